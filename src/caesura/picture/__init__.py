"""Pictures of other formats: reading them, converting them to arrays, and writing them with their metadata.

`files` and `streams` read and write bytes. `formats` makes Pillow images of them, and picture files of Pillow
images. `loading` loads a Pillow image's pixels; `source_info` holds the depth and colours that its file
declares and Pillow does not report. `convert` makes the image 8-bit grey or RGB, with an ICC profile by
`colour` where the file declares its colours in another way. `read_metadata` returns its metadata, which
`metadata` defines and packs for .cae files, with `exif` and `extended_xmp` for two of its kinds;
`write_metadata` writes it into files of other formats. `pixels` turns the image into arrays and back,
`channels` counts their channels, and `alpha` codes transparency.
"""
