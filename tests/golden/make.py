"""Golden files of bundles: pictures coded, and what they decode to today.

    PYTHONPATH=src python tests/golden/make.py NAME... [--only KIND]

All files of each bundle named are replaced, or those of one kind: for a bundle that is new, or that replaces
its predecessor, and for a new kind. README.md says what they are.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import caesura  # noqa: E402
from caesura.models import bundle as bundles  # noqa: E402
from caesura.models.bundle import Bundle  # noqa: E402
from symbols import decoded, symbols_of  # noqa: E402

METADATA = ("icc_profile", "exif", "xmp")

Pixels = NDArray[np.uint8]


def main() -> None:
    """Make the files of each bundle named."""
    parser = argparse.ArgumentParser(prog="tests/golden/make.py", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--only", metavar="KIND", help="one kind of file, such as layers-60")
    os.environ["CAESURA_THREADS"] = "1"  # segments are decoded in order
    given = parser.parse_args()
    for name in given.names:
        bundle = bundles.load(name)
        for kind, content in files(bundle).items():
            if given.only not in (None, kind):
                continue
            path = HERE / f"{name}-{kind}.cae"
            path.write_bytes(content)
            np.savez_compressed(path.with_suffix(".npz"), **expected(content, bundle, kind))
            print(f"{path.name}: {len(content)} bytes")


def files(bundle: Bundle) -> dict[str, bytes]:
    """The coded pictures, by what names them besides the bundle."""
    photo = astronaut()
    noise = np.random.default_rng(0).integers(0, 256, (24, 17, 3), np.uint8)
    made = {
        f"photo-{quality}": caesura.encode(photo, quality=quality, model=bundle) for quality in (1, 50, 100)
    }
    made["grey-50"] = caesura.encode(Image.fromarray(photo).convert("L"), quality=50, model=bundle)
    made["noise-100"] = caesura.encode(noise, quality=100, model=bundle)
    made["segments-60"] = caesura.encode(photo, quality=60, model=bundle, segment_side=64)
    made["layers-60"] = caesura.encode(partly_drawn(), quality=60, model=bundle, segment_side=128)
    if bundle.detail is not None:
        made["all-chunks-90"] = caesura.encode(with_everything(photo), quality=90, model=bundle, exact=True)
    return made


def expected(content: bytes, bundle: Bundle, kind: str) -> dict[str, NDArray[np.generic]]:
    """What the `.npz` beside a file holds."""
    pixels, stream = decoded(content)
    if bundle.architecture == "cae2017" and kind not in ("segments-60", "layers-60"):
        symbols = symbols_of(content, bundle)
    else:
        symbols = np.concatenate([part.reshape(-1) for part in stream.symbols])
    held: dict[str, NDArray[np.generic]] = {"symbols": symbols.astype(np.int16), "pixels": pixels}
    if kind.startswith("all-chunks"):
        info = caesura.decode(content).info
        held |= {name: np.frombuffer(info[name], np.uint8) for name in METADATA}
    return held


def astronaut() -> Pixels:
    """uint8 (96, 150, 3), a part of a photograph."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[40:136, 160:310])


def partly_drawn() -> Pixels:
    """uint8 (256, 256, 3): a photograph beside text, text, a photograph, and one on white."""
    from skimage import data

    photo = data.astronaut()
    picture = Image.new("RGB", (256, 256), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    for line in range(8):
        draw.text((70, 4 + 15 * line), f"{line}: for segment in picture: code(segment)", fill=(0, 0, 0))
    pixels = np.array(picture)
    pixels[:128, :64] = photo[40:168, 160:224]
    pixels[128:, :128] = photo[40:168, 160:288]
    pixels[150:222, 170:234] = photo[60:132, 190:254]
    return pixels


def with_everything(photo: Pixels) -> Image.Image:
    """The picture with transparency, a colour profile, EXIF and XMP."""
    rows, columns = np.indices(photo.shape[:2])
    picture = Image.fromarray(np.dstack([photo, (rows + columns).astype(np.uint8)]))
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "astronaut", 6  # a title, and an orientation, which is not applied
    picture.info.update(icc_profile=b"a colour profile", exif=exif.tobytes(), xmp=b"<x:xmpmeta/>")
    return picture


if __name__ == "__main__":
    main()
