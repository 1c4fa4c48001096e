"""The format of results.json, parts of which are also written as points.csv, curves.csv and bd.csv.

None is null in JSON and empty in CSV.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

FORMAT = "caesura-bench-1"
METRICS = ("psnr", "psnr_luma", "ms_ssim_db", "ssimulacra2", "psnr_hvs_m", "cvvdp")  # of BD-rates


@dataclass(frozen=True)
class Machine:
    """The machine that measured.

    Attributes:
        processor: its model's name.
        instructions: its vector instruction sets, such as "AVX2, AVX-512".
        cores: logical processors.
        memory_gib: memory in GiB.
        system: name and release of the operating system.
        python: version of Python.
    """

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    instructions: str = "unknown"


@dataclass(frozen=True)
class Picture:
    """A picture that was coded: path in the folder, SHA-256 of the file, size in pixels."""

    name: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class CodecFacts:
    """A codec that was measured; `ours` is true for models of caesura."""

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
    """A picture that was left out, or of which a part was not coded, and why."""

    picture: str
    text: str


@dataclass(frozen=True)
class Point:
    """One picture coded by one codec at one setting.

    Attributes:
        codec, setting, picture: names of the codec and the picture, and the codec's setting.
        bytes, bpp: size of the file in bytes, and in bits per pixel.
        mse: mean squared error over pixels and channels of 8-bit RGB.
        psnr: in dB; None for equal pictures.
        psnr_luma: PSNR of luma in dB, Y = 0.299 R + 0.587 G + 0.114 B (BT.601, full range, not rounded);
            None for equal luma.
        ms_ssim: 0 to 1; None if a side is below 161 pixels.
        ssimulacra2: up to 100; None if a side is below 8 pixels, or above 2^24 pixels.
        encode_seconds, decode_seconds: wall time, median of the repeats; None if not timed.
        psnr_hvs_m: in dB; None if the metric sees no difference, a side is below 8 pixels, or it was not
            requested.
        cvvdp: in JOD, up to 10; None if a side is below 8 pixels, above 2^24 pixels, or not requested.
        others: mean number of processors that other programs used meanwhile; None if not known.
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
    """Means over all pictures at one setting; a mean is None if a picture has no value.

    Attributes:
        setting: of the codec.
        bpp, psnr, psnr_luma, ms_ssim, ssimulacra2, psnr_hvs_m, cvvdp: means of the pictures' values.
        psnr_of_mean_mse: PSNR in dB of the mean over pictures of the squared error.
        ms_ssim_db: mean of the pictures' -10 log10(1 - MS-SSIM).
        encode_mps, decode_mps: megapixels per second, all pixels over all seconds; None if not timed.
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
    """The mean curve of a codec, by rising rate."""

    codec: str
    samples: list[Sample]

    def points(self, metric: str) -> list[tuple[float, float]]:
        """(bits per pixel, quality) of the samples that have this metric."""
        pairs = ((sample.bpp, getattr(sample, metric)) for sample in self.samples)
        return [(rate, quality) for rate, quality in pairs if quality is not None]


@dataclass(frozen=True)
class Difference:
    """A BD-rate.

    Attributes:
        codec, anchor, metric: the rate of the codec is compared with that of the anchor at equal metric.
        percent: of the mean curves; negative if the codec needs fewer bits; None without overlap.
        low, high: 95% bootstrap interval over pictures; None below two pictures.
        overlap: lowest and highest quality that both mean curves reach.
        pictures: BD-rate of each picture's own curves, in percent.
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
    """Memory and start-up time of a codec, each measured in a separate process.

    Attributes:
        codec: its name.
        encode_peak_mib, decode_peak_mib: peak MiB of a Python process that codes the largest picture.
        start_seconds: from the start of a process until 64 x 64 pixels are encoded and decoded, less the time
            of encoding and decoding them a second time.
    """

    codec: str
    encode_peak_mib: float
    decode_peak_mib: float
    start_seconds: float


@dataclass(frozen=True)
class Published:
    """A curve from the literature with its source; points are (bits per pixel, dB)."""

    name: str
    source: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Shown:
    """A picture to look at, or a part of one: decoded at matched file size, or the original.

    Attributes:
        picture, codec: names; the codec is "original" for the picture itself.
        file: path below samples/ of a lossless WebP.
        bytes, bpp, psnr: of the whole picture; None for the original, psnr also for equal pictures.
        x, y, width, height: the part's position and size in the picture.
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


@dataclass(frozen=True)
class Equal:
    """Bytes that a codec needs on a drawn picture.

    Attributes:
        picture, codec: their names.
        ssimulacra2: at this score; None for pixels equal to the original's.
        bytes: None if the codec does not reach it at any of its settings.
    """

    picture: str
    codec: str
    ssimulacra2: float | None
    bytes: int | None


@dataclass
class Drawn:
    """What was measured on drawn pictures, of which there are no mean curves, BD-rates and times."""

    pictures: list[Picture] = field(default_factory=list)
    codecs: list[CodecFacts] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    equal: list[Equal] = field(default_factory=list)
    samples: list[Shown] = field(default_factory=list)


@dataclass
class Results:
    """The content of results.json.

    `made` is the time in ISO 8601, `threads` the maximum of each codec, `others` the mean over the points, or
    None if one is not known. `drawn` is None without --drawn; the other lists but `missing` are not of drawn
    pictures.
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
    drawn: Drawn | None = None

    def difference(self, codec: str, anchor: str, metric: str = "psnr") -> Difference | None:
        """The BD-rate of two codecs, or None if it was not measured."""
        return next((d for d in self.bd if (d.codec, d.anchor, d.metric) == (codec, anchor, metric)), None)

    def to_json(self) -> str:
        """The text of results.json."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1, allow_nan=False) + "\n"
