"""Pillow reads and writes .cae files once this is imported.

    import caesura.pillow_plugin
    picture = Image.open("photo.cae")                # size and info at once, pixels when they are needed
    picture.save("again.cae", quality=60)            # and what else `caesura.encode` takes

Of several frames the one the picture is at is saved, with a warning; with `strict=True` none is.
A file that does not start like a .cae is left to Pillow's other plugins; a damaged one raises our errors.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any

from PIL import Image, ImageFile

from caesura import codec, container, image, metadata

FORMAT, EXTENSION, MIME = "CAE", ".cae", "image/x-caesura"
_SETTINGS = ("quality", "model", "tune", "effort", "strip", "strict")


class CaeImageFile(ImageFile.ImageFile):
    """A .cae file that Pillow has opened."""

    format = FORMAT
    format_description = "caesura"

    def _open(self) -> None:
        assert self.fp is not None  # of Pillow's constructor
        self._content = self.fp.read()
        header, payload = container.read(self._content)
        self._size = header.width, header.height
        self._mode = image.mode(header.channels)
        self.info.update(metadata.to_info(payload.metadata))
        self._decoded = False

    def load(self) -> Any:
        """Decode, the first time."""
        if not self._decoded:
            pixels = codec.decode_array(self._content)
            self.fp = BytesIO(pixels.tobytes())
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
            self._decoded = True
        return super().load()


def _save(picture: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    given: dict[str, Any] = picture.encoderinfo
    settings = {name: given[name] for name in _SETTINGS if name in given}
    image.check_whole(picture, strict=bool(settings.get("strict")))  # a copy knows nothing of other frames
    kept = picture.copy()
    for name in ("icc_profile", "exif", "xmp"):
        if name in given:
            content = given[name]
            kept.info[name] = content.tobytes() if isinstance(content, Image.Exif) else content or b""
    file.write(codec.encode(kept, **settings))


Image.register_open(FORMAT, CaeImageFile, lambda prefix: prefix.startswith(container.SIGNATURE))
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, EXTENSION)
Image.register_mime(FORMAT, MIME)
