"""What `caesura bench` writes: results.json, and points.csv, curves.csv, bd.csv of parts of it.

Everything is plain data; None is null in JSON and empty in CSV.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "caesura-bench-1"
METRICS = (
    "psnr",
    "psnr_luma",
    "ms_ssim_db",
    "ssimulacra2",
    "psnr_hvs_m",
    "cvvdp",
)  # that have rate differences


@dataclass(frozen=True)
class Machine:
    """Where it was measured.

    Attributes:
        processor: its model's name.
        instructions: the sets of vector instructions that it has, as "AVX2, AVX-512".
        cores: logical processors.
        memory_gib: of the machine.
        system: name and release of the operating system.
        python: its version.
    """

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    instructions: str = "unknown"


@dataclass(frozen=True)
class Picture:
    """A picture that was coded: its path in the folder, the hash of its file, its size in pixels."""

    name: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class CodecFacts:
    """A codec that was measured; `ours` tells caesura's models."""

    name: str
    version: str
    settings: list[float]
    ours: bool


@dataclass(frozen=True)
class Missing:
    """A codec that was not measured, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Remark:
    """A picture that was left out, or not coded whole, and why."""

    picture: str
    text: str


@dataclass(frozen=True)
class Point:
    """One picture coded by one codec at one setting.

    Attributes:
        codec, setting, picture: what was coded, and how.
        bytes, bpp: size of the file, and 8 times that over the number of pixels.
        mse: mean squared error over pixels and channels of 8-bit RGB.
        psnr: dB of it; None for equal pictures.
        psnr_luma: dB of the luma's error, Y = 0.299 R + 0.587 G + 0.114 B (BT.601, full range, not rounded);
            None for equal luma.
        ms_ssim: 0 to 1; None where a side is below 161 pixels.
        ssimulacra2: up to 100; None where a side is below 8 pixels, or above 2^24 pixels.
        encode_seconds, decode_seconds: wall time, medians of the repeats; None where it was not timed.
        psnr_hvs_m: dB; None where no difference is visible by it, a side is below 8 pixels, or it was not
            asked for.
        cvvdp: JOD, up to 10; None where a side is below 8 pixels, above 2^24 pixels, or not asked for.
        others: processors that other programs used while it was timed; None where that is not known.
    """

    codec: str
    setting: float
    picture: str
    bytes: int
    bpp: float
    mse: float
    psnr: float | None
    psnr_luma: float | None
    ms_ssim: float | None
    ssimulacra2: float | None
    encode_seconds: float | None
    decode_seconds: float | None
    psnr_hvs_m: float | None = None
    cvvdp: float | None = None
    others: float | None = None


@dataclass(frozen=True)
class Sample:
    """Means over all pictures at one setting; a mean is None where a picture has no value.

    Attributes:
        setting: of the codec.
        bpp, psnr, psnr_luma, ms_ssim, ssimulacra2, psnr_hvs_m, cvvdp: means of the pictures' values.
        psnr_of_mean_mse: dB of the mean over pictures of the squared error.
        ms_ssim_db: mean of the pictures' -10 log10(1 - MS-SSIM).
        encode_mps, decode_mps: megapixels a second, all pixels over all seconds; None where not timed.
    """

    setting: float
    bpp: float
    psnr: float | None
    psnr_of_mean_mse: float | None
    psnr_luma: float | None
    ms_ssim: float | None
    ms_ssim_db: float | None
    ssimulacra2: float | None
    encode_mps: float | None
    decode_mps: float | None
    psnr_hvs_m: float | None = None
    cvvdp: float | None = None


@dataclass(frozen=True)
class Curve:
    """A codec's mean curve, by rising rate."""

    codec: str
    samples: list[Sample]

    def points(self, metric: str) -> list[tuple[float, float]]:
        """(bits per pixel, quality) of the samples that have it."""
        pairs = ((sample.bpp, getattr(sample, metric)) for sample in self.samples)
        return [(rate, quality) for rate, quality in pairs if quality is not None]


@dataclass(frozen=True)
class Difference:
    """A BD-rate.

    Attributes:
        codec, anchor, metric: whose rate is compared with whose, at equal what.
        percent: of the mean curves; below zero, the codec needs fewer bits; None without overlap.
        low, high: 95% bootstrap interval over pictures; None below two pictures.
        overlap: lowest and highest quality that both mean curves reach, which it is taken over.
        pictures: the same of each picture's own curves.
    """

    codec: str
    anchor: str
    metric: str
    percent: float | None
    low: float | None
    high: float | None
    overlap: list[float] | None
    pictures: dict[str, float | None]


@dataclass(frozen=True)
class Cost:
    """What a codec costs besides time, each in a process of its own.

    Attributes:
        codec: its name.
        encode_peak_mib, decode_peak_mib: peak memory of a Python process that codes the largest picture once.
        start_seconds: from the start of a process until a picture of 64 x 64 was coded and decoded, less what
            that takes a second time.
    """

    codec: str
    encode_peak_mib: float
    decode_peak_mib: float
    start_seconds: float


@dataclass(frozen=True)
class Published:
    """A curve from the literature, and where from: (bits per pixel, dB)."""

    name: str
    source: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Shown:
    """Pixels to look at: a part of a picture, as a codec gives it at matched bytes, or as it was.

    Attributes:
        picture, codec: whose; the codec is "original" for the picture itself.
        file: its path under samples/, a lossless WebP.
        bytes, bpp, psnr: of the whole picture; None for the original, psnr also for equal pictures.
        x, y, width, height: where in the picture the part lies.
    """

    picture: str
    codec: str
    file: str
    bytes: int | None
    bpp: float | None
    psnr: float | None
    x: int
    y: int
    width: int
    height: int


@dataclass
class Results:
    """All of results.json.

    `made` is an ISO time, `threads` what each codec may use at most, `others` the mean of the points'; None
    where there are no times, or one is not known.
    """

    command: str
    made: str
    caesura: str
    machine: Machine
    threads: int
    repeats: int
    timed: bool = True
    others: float | None = None
    pictures: list[Picture] = field(default_factory=list)
    codecs: list[CodecFacts] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    bd: list[Difference] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    samples: list[Shown] = field(default_factory=list)

    def difference(self, codec: str, anchor: str, metric: str = "psnr") -> Difference | None:
        """The BD-rate of two codecs, if it was measured."""
        return next((d for d in self.bd if (d.codec, d.anchor, d.metric) == (codec, anchor, metric)), None)

    def to_json(self) -> str:
        """The text of results.json."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1, allow_nan=False) + "\n"


def read(path: Path) -> dict[str, Any]:
    """results.json as plain data."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
