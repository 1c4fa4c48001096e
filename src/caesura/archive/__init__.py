"""Archives of millions of pictures, coded and decoded on Ray Data (extra `[ray]`).

    lister or readers -> units of some pictures -> workers, a warm model each -> outputs, then a manifest part

A unit is what is done, noted and done again together. Its id is a hash of the names in it, and its part of
the manifest is written after its outputs: a unit whose part is there is done, any other is done from the
start, over what it may have left. So neither a dead worker nor a dead driver loses a picture or counts it
twice.
"""
