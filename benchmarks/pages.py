"""Draws synthetic scans of text pages: a narrow set of pictures to fine-tune a model on.

    python -m benchmarks.pages FOLDER [--pages 200] [--first 0]

Random words in Pillow's default font on shaded paper, slightly rotated, blurred and noisy. A page depends on
its number alone, so that different numbers can be used for training and for measuring.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from rich.progress import track

SIDE = 512
_LETTERS = "etaoinshrdlcumwfgypbvk"


def page(number: int) -> NDArray[np.uint8]:
    """The page of this number, uint8 (SIDE, SIDE, 3)."""
    random = np.random.default_rng((20, number))
    paper = random.normal((244, 240, 228), (6, 7, 10)).clip(200, 255)
    ink = random.uniform(10, 70, 3)
    size = int(random.integers(12, 27))
    large = SIDE + 64  # so that rotation uncovers no corner
    sheet = Image.new("L", (large, large), 0)
    draw, fonts = ImageDraw.Draw(sheet), [ImageFont.load_default(size), ImageFont.load_default(2 * size)]
    left, top = 48 + float(random.integers(24)), 44.0
    while top < large - 44:
        heading = random.random() < 0.06
        width = (large - left - 60) * (1 if random.random() < 0.85 else random.uniform(0.2, 0.9))
        draw.text((left, top), _line(random, width, fonts[heading]), fill=255, font=fonts[heading])
        top += size * (2.9 if heading else 1.35) + (size if random.random() < 0.1 else 0)
    turned = sheet.rotate(float(random.normal(0, 0.7)), Image.Resampling.BICUBIC)
    turned = turned.filter(ImageFilter.GaussianBlur(float(random.uniform(0.4, 0.9))))
    cover = np.asarray(turned, np.float64)[32:-32, 32:-32, None] / 255
    top_shade, bottom_shade = random.uniform(0.94, 1.0, 2)
    shade = np.linspace(top_shade, bottom_shade, SIDE)[:, None, None]
    pixels = (paper * (1 - cover) + ink * cover) * shade
    pixels += random.normal(0, 1.5, (SIDE, SIDE, 1)) + random.normal(0, 0.7, (SIDE, SIDE, 3))
    result: NDArray[np.uint8] = np.rint(pixels).clip(0, 255).astype(np.uint8)
    return result


def _line(
    random: np.random.Generator, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> str:
    """A line of random words of at most this width in pixels."""
    share = np.arange(len(_LETTERS), 0, -1) / np.arange(len(_LETTERS), 0, -1).sum()
    text = ""
    while True:
        letters = random.choice(list(_LETTERS), int(random.integers(1, 11)), p=share)
        word = "".join(letters)
        word = word.capitalize() if random.random() < 0.12 else word
        longer = f"{text} {word}".strip() + ("." if random.random() < 0.08 else "")
        if font.getlength(longer) > width:
            return text
        text = longer


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of the pages, PNG files.")],
    pages: Annotated[int, typer.Option(min=1, help="Number of pages.")] = 200,
    first: Annotated[int, typer.Option(min=0, help="Number of the first page.")] = 0,
) -> None:
    """Draw synthetic scans of text pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in track(range(first, first + pages), "pages"):
        Image.fromarray(page(number)).save(folder / f"page{number:05}.png")


if __name__ == "__main__":
    typer.run(main)
