"""Configuration of a training run: a TOML file, read into frozen dataclasses.

All keys but `loss.betas` have defaults. An unknown key, a wrong type or a value out of range raises
`ConfigError` with the full name of the key.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from caesura.errors import ConfigError


@dataclass(frozen=True)
class TransformConfig:
    """The network of one transform of cae2026: channels and blocks at 1/8 (fine) and at 1/16 (coarse)."""

    fine_width: int = 128
    fine_blocks: int = 3
    coarse_width: int = 192
    coarse_blocks: int = 2


@dataclass(frozen=True)
class NetworkConfig:
    """Analysis and synthesis transforms, and the networks of the hyperprior.

    `padding` belongs to cae2017; `hyperlatent_channels`, `prior_width` (channels inside the networks of the
    hyperprior and the means), `analysis` and `synthesis` to cae2026.
    """

    name: Literal["cae2017", "cae2026"] = "cae2017"
    latent_channels: int = 96
    hyperlatent_channels: int = 96
    prior_width: int = 128
    analysis: TransformConfig = field(default_factory=TransformConfig)
    synthesis: TransformConfig = field(default_factory=TransformConfig)
    padding: Literal["zeros", "mirror"] = "zeros"


@dataclass(frozen=True)
class PriorConfig:
    """Entropy model of the latents of cae2017 (`priors.py`); `components` belongs to the mixture."""

    kind: Literal["mixture", "scale-mixture"] = "mixture"
    components: int = 3


@dataclass(frozen=True)
class MixConfig:
    """Weights of the parts of the distortion "perceptual", each in units of the squared error."""

    mse: float = 0.1
    ssimulacra2: float = 0.42
    psnr_hvs: float = 0.48

    def __post_init__(self) -> None:
        weights = dataclasses.asdict(self)
        for name, weight in weights.items():
            if not 0 <= weight < math.inf:
                raise ConfigError(f"loss.mix.{name} is {weight}; it must be 0 or more and finite")
        if not any(weights.values()):
            raise ConfigError(f"loss.mix is {weights}; one of its weights must be above 0")


@dataclass(frozen=True)
class LossConfig:
    """Rate + beta * distortion, one beta per anchor of the rate ladder, ascending (`loss.py`).

    `mix` is used by the distortion "perceptual" alone.
    """

    betas: tuple[float, ...]
    distortion: Literal["mse", "perceptual"] = "mse"
    mix: MixConfig = field(default_factory=MixConfig)


@dataclass(frozen=True)
class TrainConfig:
    """The run itself (`loop.py`).

    Attributes:
        minutes: wall time of the run if above 0, in place of `steps`, which is 0 then (`pace.py`).
        steps: length of the run.
        stage: what is trained. "joint": everything but the entropy control of the detail layer; "detail":
            that alone, last; "synthesis": the synthesis of cae2026 alone, a new decoder for the same latents;
            "scales": the scale vectors of cae2017 alone, the paper's way to move a network to new rates.
        mask_steps: steps over which the latent channels of cae2017 are enabled one after another (the paper's
            incremental training); 0 enables all from the start.
        batch: crops per step, on all ranks together.
        crop: side of a crop, in pixels.
        drawn: share of the crops that is drawn by code instead of cut out of photos (`drawn.py`).
        grey: share of the crops whose colours are taken away, so that grey pictures stay grey.
        learning_rate: the highest of the run.
        warmup: steps over which the learning rate rises linearly.
        decay: share of the run over which the learning rate falls along a half cosine, at its end; 0 keeps it
            constant, for a run that a later one continues.
        ema: decay of the moving average of the weights.
        seed: of crops, rates and noise.
        precision: "auto" is "bf16-mixed" where the device has instructions for it, else "32-true".
        validate_every, checkpoint_every: steps between validations, between checkpoints.
        validation_squares: held-out squares that a validation codes.
    """

    minutes: float = 0.0
    steps: int = 1000
    stage: Literal["joint", "synthesis", "scales", "detail"] = "joint"
    mask_steps: int = 0
    batch: int = 8
    crop: int = 128
    drawn: float = 0.05
    grey: float = 0.0
    learning_rate: float = 1.5e-3
    warmup: int = 100
    decay: float = 1.0
    ema: float = 0.999
    seed: int = 0
    precision: Literal["auto", "bf16-mixed", "32-true"] = "auto"
    validate_every: int = 1000
    validation_squares: int = 16
    checkpoint_every: int = 250


@dataclass(frozen=True)
class Config:
    """A whole run."""

    loss: LossConfig
    network: NetworkConfig = field(default_factory=NetworkConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        betas, train, network = self.loss.betas, self.train, self.network
        finite = all(0 < beta < math.inf for beta in betas)
        if not betas or not finite or list(betas) != sorted(set(betas)):
            raise ConfigError(f"loss.betas is {list(betas)}; it must be positive and strictly ascending")
        for name, value, low in (
            ("network.latent_channels", network.latent_channels, 1),
            ("prior.components", self.prior.components, 1),
            ("train.seed", train.seed, 0),
            ("train.mask_steps", train.mask_steps, 0),
            ("train.batch", train.batch, 1),
            ("train.warmup", train.warmup, 0),
            ("train.validate_every", train.validate_every, 1),
            ("train.validation_squares", train.validation_squares, 1),
            ("train.checkpoint_every", train.checkpoint_every, 1),
        ):
            if value < low:
                raise ConfigError(f"{name} is {value}; it must be {low} or more")
        if train.crop % 8 or train.crop < 8:
            raise ConfigError(f"train.crop is {train.crop}; it must be a positive multiple of 8")
        for name, real, fits, allowed in (
            ("train.decay", train.decay, 0 <= train.decay <= 1, "between 0 and 1"),
            ("train.ema", train.ema, 0 <= train.ema < 1, "at least 0 and below 1"),
            ("train.drawn", train.drawn, 0 <= train.drawn < 1, "at least 0 and below 1"),
            ("train.grey", train.grey, 0 <= train.grey < 1, "at least 0 and below 1"),
            (
                "train.learning_rate",
                train.learning_rate,
                0 < train.learning_rate < math.inf,
                "above 0 and finite",
            ),
        ):
            if not fits:
                raise ConfigError(f"{name} is {real}; it must be {allowed}")
        if train.seed >= 1 << 31:
            raise ConfigError(f"train.seed is {train.seed}; it must be below {1 << 31}")
        self._check_length()
        if network.name == "cae2026":
            self._check_cae2026()
        else:
            self._check_cae2017()

    def _check_length(self) -> None:
        steps, minutes = self.train.steps, self.train.minutes
        if not 0 <= minutes < math.inf:
            raise ConfigError(f"train.minutes is {minutes}; it must be 0 or more and finite")
        if steps < 0 or not (steps or minutes):
            raise ConfigError(f"train.steps is {steps}; it must be 1 or more")
        if steps and minutes:
            raise ConfigError(f"train.minutes is {minutes} and train.steps is {steps}; give one of them")

    def _check_cae2017(self) -> None:
        network, train = self.network, self.train
        if network.latent_channels > 192:  # the components of an 8x8 RGB patch, from which training starts
            raise ConfigError(
                f"network.latent_channels is {network.latent_channels}; cae2017 has at most 192"
            )
        if network.padding == "mirror" and train.crop < 16:
            raise ConfigError(f"train.crop is {train.crop}; it must be 16 or more for network.padding mirror")
        if train.stage in {"detail", "synthesis"}:
            raise ConfigError(
                f"train.stage is {train.stage!r}, which belongs to cae2026; network.name is {network.name!r}"
            )

    def _check_cae2026(self) -> None:
        network, train = self.network, self.train
        for name in ("hyperlatent_channels", "prior_width"):
            if getattr(network, name) < 1:
                raise ConfigError(f"network.{name} is {getattr(network, name)}; it must be 1 or more")
        for transform in ("analysis", "synthesis"):
            for name, value in dataclasses.asdict(getattr(network, transform)).items():
                low = 0 if name == "coarse_blocks" else 1
                if value < low:
                    raise ConfigError(f"network.{transform}.{name} is {value}; it must be {low} or more")
        if network.latent_channels % 4 or network.latent_channels > 768:
            raise ConfigError(
                f"network.latent_channels is {network.latent_channels}; a multiple of 4 up to 768 is allowed"
            )
        if train.crop % 64:
            raise ConfigError(f"train.crop is {train.crop}; cae2026 needs a multiple of 64")
        if train.mask_steps or train.stage == "scales":
            raise ConfigError("train.mask_steps and the stage 'scales' belong to cae2017")

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dict, as `from_dict` takes it."""
        return dataclasses.asdict(self)


def by_clock(config: Config, minutes: float) -> Config:
    """A copy of `config` that runs for `minutes` of wall time, whatever its steps or minutes.

    Raises:
        ConfigError: `minutes` is not above 0 and finite.
    """
    if not 0 < minutes < math.inf:
        raise ConfigError(f"minutes is {minutes}; it must be above 0 and finite")
    return dataclasses.replace(config, train=dataclasses.replace(config.train, minutes=minutes, steps=0))


_MODEL = ("network", "prior", "loss")
# Settings that are no more, by section; records of older runs and bundles still have them.
_REMOVED = {"network": {"init"}, "train": {"clip"}}
# Settings of cae2026 before each transform had its own.
_SHARED = ("fine_width", "fine_blocks", "coarse_width", "coarse_blocks")
FINE_TUNE = Path(__file__).with_name("finetune.toml")


def load(path: Path, inherited: dict[str, Any] | None = None) -> Config:
    """Read a run's TOML file.

    Args:
        path: the file.
        inherited: the configuration of the run that this one starts from, as a plain dict; what describes the
            model (network, prior, loss) is taken from it where the file is silent.

    Raises:
        ConfigError: the file cannot be read or parsed, or a value cannot be used.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"config {path} cannot be read: {error}") from error
    model = {name: (inherited or {})[name] for name in _MODEL if name in (inherited or {})}
    return from_dict(model | values)


def from_dict(values: dict[str, Any]) -> Config:
    """Build a `Config` from nested dicts, checking every key and type. `train.minutes` alone means no steps.

    Raises:
        ConfigError: an unknown or missing key, a wrong type, or a value out of range.
    """
    train = values.get("train") if isinstance(values, dict) else None
    if isinstance(train, dict) and train.get("minutes") and "steps" not in train:
        values = values | {"train": train | {"steps": 0}}
    result: Config = _build(Config, values, "")
    return result


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration of an older run or bundle, as `from_dict` takes it today; `values` stays as it is.

    Settings that are no more are left out. Where both transforms shared their settings, each gets a copy, and
    `prior_width` is what `fine_width` was.
    """
    result = {
        section: {name: value for name, value in table.items() if name not in _REMOVED.get(section, ())}
        for section, table in values.items()
    }
    network = result.get("network", {})
    shared = {name: network.pop(name) for name in _SHARED if name in network}
    if shared:
        network |= {"analysis": dict(shared), "synthesis": dict(shared)}
        network["prior_width"] = shared.get("fine_width", TransformConfig.fine_width)
    return result


def _build(kind: type[Any], values: Any, prefix: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{prefix or 'config'} is {values!r}; it must be a table")
    hints = get_type_hints(kind)
    if unknown := set(values) - set(hints):
        allowed = ", ".join(prefix + name for name in hints)
        raise ConfigError(f"{prefix}{min(unknown)} is not a setting; known: {allowed}")
    arguments = {}
    for entry in dataclasses.fields(kind):
        name, hint = prefix + entry.name, hints[entry.name]
        if entry.name in values:
            value = values[entry.name]
            section = dataclasses.is_dataclass(hint)
            arguments[entry.name] = _build(hint, value, name + ".") if section else _check(name, value, hint)
        elif entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{name} is missing")
    return kind(**arguments)


def _check(name: str, value: Any, hint: Any) -> Any:
    if choices := get_args(hint):
        if choices[-1] is Ellipsis:
            if not isinstance(value, list | tuple):
                raise ConfigError(f"{name} is {value!r}; it must be a list of numbers")
            return tuple(_check(f"{name}[{i}]", v, choices[0]) for i, v in enumerate(value))
        if value not in choices:
            raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{name} is {value!r}; it must be of type {hint.__name__}")
    return value
