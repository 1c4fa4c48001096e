"""Pillow plugin: importing this module lets Pillow open and save .cae files.

    import caesura.pillow_plugin
    picture = Image.open("photo.cae")                # reads size and metadata; pixels are decoded on demand
    picture.save("again.cae", quality=60)            # options as for `caesura.encode`

Of a picture with several frames, the current one is saved, with a warning; `strict=True` makes that an error.
A file without the .cae signature is left to Pillow's other plugins; a damaged .cae file raises FormatError.
"""

from __future__ import annotations

from dataclasses import fields, replace
from types import NoneType
from typing import IO, Any

from PIL import Image, ImageFile

from caesura import arguments, codec
from caesura.format import container
from caesura.format.chunks import SIGNATURE
from caesura.options import EncodeOptions
from caesura.picture import channels, convert, loading, metadata, pixels, read_metadata, source_info

FORMAT, EXTENSION, MIME = "CAE", ".cae", "image/x-caesura"
_OPTIONS = tuple(field.name for field in fields(EncodeOptions))


class CaeImageFile(ImageFile.ImageFile):
    """A .cae file that Pillow has opened."""

    format = FORMAT
    format_description = "caesura"
    _content: bytes | None = None  # the file; None once it is decoded
    _scale = 1

    def _open(self) -> None:
        assert self.fp is not None  # set by Pillow's constructor
        self._content = self.fp.read()
        header, payload = container.read(self._content)
        self._size = header.width, header.height
        self._mode = channels.pillow_mode(header.channels)
        self.info.update(metadata.to_info(payload.metadata))

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Choose a preview no smaller than `size`, in the same mode. Called by `Image.thumbnail`."""
        if self._content is None or self._scale > 1 or not size:
            return None
        width, height = self.size
        fits = [s for s in codec.SCALES if -(-width // s) >= size[0] and -(-height // s) >= size[1]]
        self._scale = max(fits, default=1)
        self._size = -(-width // self._scale), -(-height // self._scale)
        return self.mode, (0, 0, width / self._scale, height / self._scale)

    def load(self) -> Any:
        """Decode the pixels, the first time it is called."""
        if self._content is not None:
            if self.fp and self._exclusive_fp:  # the file has been read whole
                self.fp.close()
            self.fp = None
            decoded = pixels.to_image(codec.decode_array(self._content, scale=self._scale))
            self.im, self.readonly, self._content = decoded.im, decoded.readonly, None
        return super().load()


def _save(picture: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    given: dict[str, Any] = picture.encoderinfo
    options = EncodeOptions(**{name: given[name] for name in _OPTIONS if name in given})
    convert.check_whole(picture, strict=options.strict)  # before copying, which drops other frames
    loading.load(picture)
    copy = convert.copied(picture)
    copy.info.update(read_metadata.info_entries(picture))
    for name in ("icc_profile", "exif", "xmp"):
        if name in given:
            copy.info[name] = _metadata(name, given[name])
    if given.get("icc_profile"):  # it takes precedence over colour information of the original file
        copy.info[source_info.KEY] = replace(copy.info[source_info.KEY], cicp=None, lost="")
    file.write(codec.encode(copy, options))


def _metadata(name: str, content: Any) -> bytes:
    """Metadata given to `save` instead of the picture's own, as bytes; None or empty leaves it out."""
    if name == "exif" and isinstance(content, Image.Exif):
        return content.tobytes() if content else b""
    if name == "xmp" and isinstance(content, str):
        return content.encode()
    allowed = {"exif": "bytes and an Image.Exif are", "xmp": "bytes and text are"}.get(name, "bytes are")
    arguments.of_type(name, content, (bytes, bytearray, memoryview, NoneType), f"{allowed} allowed")
    return bytes(content or b"")


Image.register_open(FORMAT, CaeImageFile, lambda prefix: prefix.startswith(SIGNATURE))
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, EXTENSION)
Image.register_mime(FORMAT, MIME)
