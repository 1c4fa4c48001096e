"""The options of encoding, one value that every entrance shares: Python, command line, plugin, archive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import TypedDict, Unpack

from caesura import arguments
from caesura.coding.base import DEFAULT_EFFORT, MAX_EFFORT, MIN_EFFORT
from caesura.errors import ConfigError
from caesura.format.container import CELL, MAX_CELLS, MAX_PIXELS
from caesura.models import bundle as bundles
from caesura.models import ladder
from caesura.models.bundle import Bundle
from caesura.ratecontrol.search import Target


@dataclass(frozen=True)
class EncodeOptions:
    """How a picture is encoded.

    Attributes:
        quality: 1 to 100, continuous; larger is better and bigger. None stands for 50, or for a target.
        target: a maximum size, or a minimum PSNR or MS-SSIM, instead; the best quality or smallest file that
            meets it.
        model: a bundle, its name or its folder.
        tune: "psnr" selects the bundle NAME-psnr of a model NAME, trained for PSNR instead of the eye. None
            takes the model as it is.
        effort: 1 (fastest) to 9 (smallest; needs PyTorch, and minutes for large pictures). The decoder's work
            is the same. cae2017 has one effort only.
        strip: leave metadata out, and apply the EXIF orientation that would be lost with it.
        strict: refuse pictures of which a part would be lost with a warning: frames, bits of samples beyond
            8, or colours that no ICC profile describes (HDR).
        exact: keep the colours of fully transparent pixels. Otherwise others are coded there that cost least,
            and these pixels do not count for a target.
        max_pixels: refuse larger pictures.
        segment_side: pixels a side of the squares that are coded independently, a multiple of 64 up to 2048.
            Smaller squares cost more bytes; regions then decode faster and damage stays smaller. None takes
            one square up to 1536 pixels a side, and squares of 1024 beyond.

    Raises:
        TypeError: an option is of another type.
        ConfigError: an option is out of range, or both a quality and a target are given.
    """

    quality: float | None = None
    target: Target | None = None
    model: str | Path | Bundle = bundles.DEFAULT
    tune: str | None = None
    effort: int = DEFAULT_EFFORT
    strip: bool = False
    strict: bool = False
    exact: bool = False
    max_pixels: int = MAX_PIXELS
    segment_side: int | None = None

    def __post_init__(self) -> None:
        arguments.flag("strip", self.strip)
        arguments.flag("strict", self.strict)
        arguments.flag("exact", self.exact)
        allowed = "a caesura.target.Target is allowed"
        arguments.of_type("target", self.target, (Target, NoneType), allowed)
        allowed = f"{MIN_EFFORT} to {MAX_EFFORT} is allowed"
        effort = arguments.integer("effort", self.effort, allowed, MIN_EFFORT, MAX_EFFORT)
        object.__setattr__(self, "effort", effort)
        object.__setattr__(self, "max_pixels", arguments.max_pixels(self.max_pixels))
        if self.segment_side is not None:
            allowed = f"a multiple of {CELL} up to {CELL * MAX_CELLS} is allowed"
            side = arguments.integer("segment_side", self.segment_side, allowed, CELL, CELL * MAX_CELLS)
            if side % CELL:
                raise ConfigError(f"segment_side is {side}; {allowed}")
            object.__setattr__(self, "segment_side", side)
        if self.quality is not None:
            if self.target is not None:
                given = f"quality is {self.quality} and target is {self.target}"
                raise ConfigError(f"{given}; one of them is allowed")
            ladder.check(self.quality)

    @property
    def refines(self) -> bool:
        """Whether symbols are refined by gradients, for which the whole picture must be in memory."""
        return self.effort == MAX_EFFORT

    def bundle(self) -> Bundle:
        """The model, loaded.

        Raises:
            ConfigError: `tune` is not allowed with this model.
            ModelError: there is no such model, or it is damaged.
        """
        return bundles.load(bundles.tuned(self.model, self.tune))

    def ladder_position(self, bundle: Bundle) -> int:
        """The ladder position of `quality`, in hundredths."""
        quality = ladder.DEFAULT_QUALITY if self.quality is None else self.quality
        return ladder.position_of(quality, bundle.quality_scale)


class Settings(TypedDict, total=False):
    """The attributes of `EncodeOptions` as keywords of a function."""

    quality: float | None
    target: Target | None
    model: str | Path | Bundle
    tune: str | None
    effort: int
    strip: bool
    strict: bool
    exact: bool
    max_pixels: int
    segment_side: int | None


def options_of(options: EncodeOptions | None, **settings: Unpack[Settings]) -> EncodeOptions:
    """The options that a function was called with: those given, with single settings in place of theirs.

    Raises:
        TypeError: `options` is no `EncodeOptions`, a setting has another name or type.
        ConfigError: as `EncodeOptions` does.
    """
    arguments.of_type("options", options, (EncodeOptions, NoneType), "caesura.EncodeOptions is allowed")
    return EncodeOptions(**settings) if options is None else replace(options, **settings)
