"""Archives of millions of pictures, encoded and decoded on Ray Data (extra `[ray]`).

    readers -> units of some pictures -> workers, each with a loaded model -> outputs, then a manifest part

A unit is processed, recorded and repeated as a whole. Its id is a hash of the paths in it, and its part of
the manifest is written after its outputs: a unit that has a part is done; any other is processed from the
start and may overwrite what it has left. So no picture is lost or counted twice when a worker or the driver
dies.
"""
