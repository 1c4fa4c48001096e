"""Codes a photograph with caesura, JPEG, WebP and AVIF at the same size; prints figures, draws a comparison.

python -m benchmarks.demo [PHOTO] [--out FOLDER] [--quality Q]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

import benchmarks
from caesura import codec, metrics
from caesura.bench import photos
from caesura.bench.codecs import AVIF_PSNR, JPEG, WEBP
from caesura.bench.matched import encode_within

_TUNED = "caesura is tuned for perceived quality here, AVIF for PSNR; other metrics: caesura bench"
_PANEL = 384  # side in pixels of the part in a panel, shown at twice its size


def main() -> None:
    """Parse arguments and run."""
    parser = benchmarks.parser("demo", __doc__)
    parser.add_argument("photo", nargs="?", type=Path, help="a picture (default: one of scikit-image)")
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="folder of the results")
    parser.add_argument("--quality", type=float, default=45.0, help="of caesura, 1 to 100 (default: 45)")
    arguments = parser.parse_args()
    pixels = photos.read(arguments.photo) if arguments.photo else sample_photo()
    run(pixels, arguments.out, arguments.quality)


def run(pixels: NDArray[np.uint8], out: Path, quality: float) -> None:
    """Code `pixels`, uint8 (H, W, 3), with all four codecs; write the files and side-by-side.png to `out`."""
    height, width, _ = pixels.shape
    ours = codec.encode(pixels, quality=quality)
    files = {"photo.cae": ("caesura", ours, np.asarray(codec.decode_array(ours)))}
    for coder, name in ((JPEG, "photo.jpg"), (WEBP, "photo.webp"), (AVIF_PSNR, "photo.avif")):
        data = encode_within(coder, pixels, len(ours), 0, 100)
        files[name] = (coder.name, data, coder.decode(data))
    out.mkdir(parents=True, exist_ok=True)
    table = Table(
        "codec",
        "bytes",
        "bpp",
        "PSNR (dB)",
        title=f"{width} x {height} pixels, at most the size of caesura's file",
        caption=_TUNED,
    )
    for name, (codec_name, data, decoded) in files.items():
        (out / name).write_bytes(data)
        rate = metrics.bits_per_pixel(len(data), width, height)
        table.add_row(codec_name, str(len(data)), f"{rate:.3f}", f"{metrics.psnr(pixels, decoded):.2f}")
    Image.fromarray(pixels).save(out / "original.png")
    panels = [("original", pixels)]
    for codec_name, data, decoded in (files["photo.jpg"], files["photo.cae"]):
        label = f"{codec_name}, {len(data)} bytes, {metrics.psnr(pixels, decoded):.2f} dB"
        panels.append((label, decoded))
    side_by_side(panels).save(out / "side-by-side.png")
    console = Console()
    console.print(table)
    console.print(f"comparison: {out / 'side-by-side.png'}", highlight=False)


def side_by_side(panels: list[tuple[str, NDArray[np.uint8]]]) -> Image.Image:
    """The middle of each picture at twice its size, labelled, side by side."""
    height, width, _ = panels[0][1].shape
    side = min(_PANEL, height, width)
    y, x = (height - side) // 2, (width - side) // 2
    sheet = Image.new("RGB", (len(panels) * (2 * side + 8) - 8, 2 * side + 36), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(20)
    for number, (label, pixels) in enumerate(panels):
        part = Image.fromarray(np.ascontiguousarray(pixels[y : y + side, x : x + side]))
        left = number * (2 * side + 8)
        sheet.paste(part.resize((2 * side, 2 * side), Image.Resampling.NEAREST), (left, 36))
        draw.text((left + 4, 6), label, "black", font)
    return sheet


def sample_photo() -> NDArray[np.uint8]:
    """Portrait of Eileen Collins (NASA, public domain) from scikit-image, uint8 (512, 512, 3)."""
    photo: NDArray[np.uint8] = photos.skimage_data().astronaut()
    return photo


if __name__ == "__main__":
    main()
