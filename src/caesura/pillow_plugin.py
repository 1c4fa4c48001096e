"""Pillow reads and writes .cae files once this is imported.

    import caesura.pillow_plugin
    picture = Image.open("photo.cae")                # size and info at once, pixels when they are needed
    picture.save("again.cae", quality=60)            # and the other settings of `caesura.encode`

Of several frames the one the picture is at is saved, with a warning; with `strict=True` none is.
A file that does not start like a .cae is left to Pillow's other plugins; a damaged one raises our errors.
"""

from __future__ import annotations

from dataclasses import replace
from types import NoneType
from typing import IO, Any

from PIL import Image, ImageFile

from caesura import arguments, codec
from caesura.format import container
from caesura.picture import channels, convert, loading, metadata, read_metadata, source_info
from caesura.picture import pixels as image

FORMAT, EXTENSION, MIME = "CAE", ".cae", "image/x-caesura"
_SETTINGS = ("quality", "target", "model", "tune", "effort", "strip", "strict", "exact")


class CaeImageFile(ImageFile.ImageFile):
    """A .cae file that Pillow has opened."""

    format = FORMAT
    format_description = "caesura"
    _content: bytes | None = None  # of the file, until it is decoded; a copy is made of pixels
    _scale = 1

    def _open(self) -> None:
        assert self.fp is not None  # of Pillow's constructor
        self._content = self.fp.read()
        header, payload = container.read(self._content)
        self._size = header.width, header.height
        self._mode = channels.pillow_mode(header.channels)
        self.info.update(metadata.to_info(payload.metadata))

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode a preview, no smaller than `size`; `Image.thumbnail` asks for one. The mode stays."""
        if self._content is None or self._scale > 1 or not size:
            return None
        width, height = self.size
        fits = [s for s in codec.SCALES if -(-width // s) >= size[0] and -(-height // s) >= size[1]]
        self._scale = max(fits, default=1)
        self._size = -(-width // self._scale), -(-height // self._scale)
        return self.mode, (0, 0, width / self._scale, height / self._scale)

    def load(self) -> Any:
        """Decode, the first time."""
        if self._content is not None:
            if self.fp and self._exclusive_fp:  # it was read whole
                self.fp.close()
            self.fp = None
            decoded = image.to_image(codec.decode_array(self._content, scale=self._scale))
            self.im, self.readonly, self._content = decoded.im, decoded.readonly, None
        return super().load()


def _save(picture: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    given: dict[str, Any] = picture.encoderinfo
    settings = {name: given[name] for name in _SETTINGS if name in given}
    strict = arguments.flag("strict", settings.get("strict", False))
    convert.check_whole(picture, strict=strict)  # a copy knows nothing of other frames
    loading.load(picture)
    kept = convert.copied(picture)
    kept.info.update(read_metadata.info_entries(picture))
    for name in ("icc_profile", "exif", "xmp"):
        if name in given:
            kept.info[name] = _metadata(name, given[name])
    if given.get("icc_profile"):  # it counts more than what the file said of its colours
        kept.info[source_info.KEY] = replace(kept.info[source_info.KEY], cicp=None, lost="")
    file.write(codec.encode(kept, **settings))


def _metadata(name: str, content: Any) -> bytes:
    """What the caller gives in place of what the picture has; None and nothing leave it out."""
    if name == "exif" and isinstance(content, Image.Exif):
        return content.tobytes() if content else b""
    if name == "xmp" and isinstance(content, str):
        return content.encode()
    allowed = {"exif": "bytes and an Image.Exif are", "xmp": "bytes and text are"}.get(name, "bytes are")
    arguments.of_type(name, content, (bytes, bytearray, memoryview, NoneType), f"{allowed} allowed")
    return bytes(content or b"")


Image.register_open(FORMAT, CaeImageFile, lambda prefix: prefix.startswith(container.SIGNATURE))
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, EXTENSION)
Image.register_mime(FORMAT, MIME)
