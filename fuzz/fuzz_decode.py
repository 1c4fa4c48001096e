"""Hostile files: whatever the bytes, decoding gives a picture of the header's shape or a CaesuraError.

    python fuzz/fuzz_decode.py --seconds 600        guided by coverage where atheris is installed, else seeded
    python fuzz/fuzz_decode.py --count 100000       as many seeded mutations; the same for the same --seed
    python fuzz/fuzz_decode.py --seeded --seconds 60
    python fuzz/fuzz_decode.py FILE...              files again, such as those found

Inputs that fail are kept in scratch/fuzz. With --compare, seeded mutations are also decoded by
tests/reference_decoder.py: what we decode, it must decode, and what we refuse, it must refuse.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

os.environ["CAESURA_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
FOUND = ROOT / "scratch" / "fuzz"
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

try:
    import atheris
except ImportError:
    atheris = None


def decode(data: bytes) -> str:
    """How decoding ends: "decoded", or the name of the error.

    Raises:
        Exception: anything else than a CaesuraError is a finding.
    """
    import numpy as np

    import caesura
    from mutations import MAX_PIXELS

    try:
        header = caesura.read_header(data, max_pixels=MAX_PIXELS)
    except caesura.CaesuraError as error:
        header, refused = None, type(error).__name__
    try:
        pixels = caesura.decode_array(data, max_pixels=MAX_PIXELS)
    except caesura.CaesuraError as error:
        return type(error).__name__
    assert header is not None, f"read_header raised {refused} for a file that decodes"
    assert pixels.dtype == np.uint8
    assert pixels.shape == (header.height, header.width, header.channels)
    return "decoded"


def compare(data: bytes, end: str) -> None:
    """Let the reference decoder decode it too.

    Raises:
        Exception: it does not end in the same way.
    """
    import caesura
    import reference_decoder
    from caesura.models import bundle as bundles
    from caesura.models.manifest import read_manifest

    if end in ("LimitError", "ModelError"):  # of pixels and of what is installed
        return
    try:
        caesura.decode_array(data)
        refusal = ""
    except caesura.CaesuraError as error:
        refusal = str(error)
    others = ("lossless layer: ", "clipped areas: ", "alpha: ", "icc: ", "exif: ", "xmp: ")
    if refusal.startswith(others):  # which are no symbols
        return
    folders = {read_manifest(folder)["id"]: folder for folder in bundles.folders()}
    try:
        folder = folders.get(caesura.read_header(data).model_id)
        if folder is None:
            return
        reference_decoder.decode(data, folder)
        theirs = ""
    except (caesura.CaesuraError, reference_decoder.RefusedError) as error:
        theirs = str(error)
    assert bool(refusal) == bool(theirs), (
        f"ours: {refusal or 'decoded'}; the reference: {theirs or 'decoded'}"
    )


def keep(data: bytes) -> Path:
    """A file of its own for an input."""
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"finding-{hashlib.sha256(data).hexdigest()[:12]}.cae"
    path.write_bytes(data)
    return path


def seeded(count: int | None, seconds: float, seed: int, compared: bool) -> int:
    """Mutations that depend on the seed alone; the number of findings."""
    from mutations import altered, seeds

    if compared:
        import reference_decoder

        reference_decoder.read_bundle = functools.cache(reference_decoder.read_bundle)
    files, ends, findings = seeds(), Counter[str](), 0
    began = time.monotonic()
    number = 0
    while number < count if count is not None else time.monotonic() - began < seconds:
        rng = random.Random(f"{seed}/{number}")
        data = altered(rng.choice(files), rng)
        try:
            end = decode(data)
            ends[end] += 1
            if compared:
                compare(data, end)
        except Exception:
            findings += 1
            traceback.print_exc()
            print(f"mutation {number} of seed {seed}: {keep(data)}", flush=True)
        number += 1
        if number % 10_000 == 0:
            print(f"{number} mutations, {number / (time.monotonic() - began):.0f} a second", flush=True)
    passed = time.monotonic() - began
    print(f"{number} mutations of seed {seed} in {passed:.0f} s, {number / passed:.0f} a second")
    print(f"{findings} findings")
    print(", ".join(f"{n} {end}" for end, n in ends.most_common()))
    return findings


def guided(seconds: float) -> None:
    """libFuzzer, guided by the coverage of caesura's Python; does not return."""
    with atheris.instrument_imports(include=["caesura"]):
        pass
    from mutations import altered, seeds

    corpus = FOUND / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        result = altered(data, random.Random(seed), lambda part: atheris.Mutate(part, len(part) + 64))
        return result[:max_size]

    flags = [f"-max_total_time={seconds:.0f}", "-max_len=65536", "-timeout=20", "-rss_limit_mb=3000"]
    flags += [f"-artifact_prefix={FOUND}/", "-print_final_stats=1", "-verbosity=0", str(corpus)]
    atheris.Setup([sys.argv[0], *flags], lambda data: void(decode(data)), custom_mutator=mutate)
    atheris.Fuzz()


def void(_: object) -> None:
    """What libFuzzer wants a target to return."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="decode these and stop")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--count", type=int, help="seeded mutations, instead of a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeded", action="store_true", help="without atheris")
    parser.add_argument("--compare", action="store_true", help="with the reference decoder; implies --seeded")
    given = parser.parse_args()
    if given.files:
        for path in given.files:
            print(path, decode(path.read_bytes()))
    elif given.seeded or given.compare or given.count is not None or atheris is None:
        if atheris is None:
            print("atheris is not installed: mutations are seeded, not guided by coverage")
        sys.exit(bool(seeded(given.count, given.seconds, given.seed, given.compare)))
    else:
        guided(given.seconds)


if __name__ == "__main__":
    main()
