"""Command line of `caesura.bench.speed`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from caesura.bench import speed
from caesura.errors import CaesuraError
from caesura.models import bundle as bundles


def main() -> None:
    """Parse arguments and measure."""
    parser = argparse.ArgumentParser(
        prog="python -m caesura.bench.speed",
        description=speed.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", nargs="?", type=Path, default=Path("bench-output/speed"))
    parser.add_argument("--model", action="append", help="name of a bundle; may be repeated")
    parser.add_argument("--all", action="store_true", help="measure all installed bundles")
    parser.add_argument("--sizes", type=_numbers, default=speed.SIZES, help="megapixels, comma-separated")
    parser.add_argument(
        "--threads", type=_counts, help="numbers of threads, comma-separated (default: 1 and all processors)"
    )
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    models = arguments.model or [bundles.DEFAULT]
    if arguments.all:
        models = list(dict.fromkeys(folder.name for folder, _ in bundles.known()))
    try:
        speed.run(
            arguments.out,
            model=models,
            sizes=arguments.sizes,
            threads=arguments.threads,
            repeats=arguments.repeats,
        )
    except CaesuraError as error:
        Console(stderr=True).print(f"error: {error}", markup=False, highlight=False)
        sys.exit(1)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
