"""Time of decoding small pictures of many rates, compared with as many of one rate.

    python -m benchmarks.rates [--pictures 600] [--rates 100] [--model photo]

Crops of 96 x 64 of a photograph of scikit-image, in random order; one thread. "First" loads what each rate
needs, "again" has it loaded.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import benchmarks
from caesura import codec
from caesura.bench.photos import skimage_data
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import DEFAULT, Bundle
from caesura.runtime import onnx_runtime

_HEIGHT, _WIDTH = 64, 96


class Times(NamedTuple):
    """Milliseconds of processor time per picture.

    Attributes:
        one: of one rate, in the middle of the ladder.
        first, again: of many rates, as nothing is loaded before and once more.
    """

    one: float
    first: float
    again: float


def main() -> None:
    """Parse arguments, decode and print."""
    parser = benchmarks.parser("rates", __doc__)
    parser.add_argument("--pictures", type=int, default=600, help="how many are decoded")
    parser.add_argument("--rates", type=int, default=100, help="of how many rates, over the whole ladder")
    parser.add_argument("--model", default=DEFAULT, help="name or folder of a bundle")
    arguments = parser.parse_args()
    found = measure(bundles.load(arguments.model), arguments.pictures, arguments.rates)
    print(f"one rate {found.one:.1f} ms; first {found.first:.1f} ms, again {found.again:.1f} ms")
    print(f"first / one rate {found.first / found.one:.2f}; first / again {found.first / found.again:.2f}")


def measure(bundle: Bundle, pictures: int, rates: int) -> Times:
    """Measure with `pictures` files of `rates` rates."""
    os.environ["CAESURA_THREADS"] = "1"
    draw, photo = random.Random(0), np.asarray(skimage_data().coffee())
    low, high = (ladder.quality_of(one, bundle.quality_scale) for one in (100, bundle.ladder_top))
    qualities = np.linspace(low, high, rates).tolist()

    def coded(quality: float) -> bytes:
        top, left = draw.randrange(len(photo) - _HEIGHT), draw.randrange(photo.shape[1] - _WIDTH)
        crop = np.ascontiguousarray(photo[top : top + _HEIGHT, left : left + _WIDTH])
        return codec.encode(crop, quality=quality, model=bundle)

    many = [coded(qualities[number % rates]) for number in range(pictures)]
    draw.shuffle(many)
    one = [coded(qualities[rates // 2]) for _ in range(min(pictures, 10))]
    onnx_runtime.forget()
    codec.decode_array(one[0])
    alone = _decoded(one * -(-pictures // len(one)), pictures)
    return Times(alone, _decoded(many, pictures), _decoded(many, pictures))


def _decoded(files: Sequence[bytes], count: int) -> float:
    start = time.process_time()
    for data in files[:count]:
        codec.decode_array(data)
    return 1e3 * (time.process_time() - start) / count


if __name__ == "__main__":
    main()
