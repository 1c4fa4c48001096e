"""config.py: one TOML file in, frozen settings out, every mistake named."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caesura.train.config
from caesura.errors import ConfigError
from caesura.train.config import Config, MixConfig, from_dict, load

SHIPPED = Path(caesura.train.config.__file__).parent
BASES = ("cae2017", "photo", "photo-psnr")


def settings_with(section: str, key: str, value: Any) -> dict[str, Any]:
    """The smallest valid configuration with one setting added or replaced; `section` may be "loss.mix"."""
    values: dict[str, Any] = {"loss": {"betas": [10.0, 20.0]}}
    table = values
    for name in section.split("."):
        table = table.setdefault(name, {})
    table[key] = value
    return values


transforms = st.fixed_dictionaries(
    {
        "fine_width": st.integers(1, 512),
        "fine_blocks": st.integers(1, 9),
        "coarse_width": st.integers(1, 512),
        "coarse_blocks": st.integers(0, 9),
    }
)
weights = st.floats(0, 1e6)
mixes = st.fixed_dictionaries({"mse": weights, "ssimulacra2": weights, "psnr_hvs": weights}).filter(
    lambda mix: any(mix.values())
)


@st.composite
def configurations(draw: st.DrawFn) -> Config:
    positive = st.floats(1e-6, 1e6)
    count = st.integers(1, 10_000)
    is_cae2026 = draw(st.booleans())
    return from_dict(
        {
            "network": {
                "name": "cae2026" if is_cae2026 else "cae2017",
                "latent_channels": 4 * draw(st.integers(1, 192)) if is_cae2026 else draw(st.integers(1, 192)),
                "hyperlatent_channels": draw(st.integers(1, 192)),
                "prior_width": draw(st.integers(1, 512)),
                "analysis": draw(transforms),
                "synthesis": draw(transforms),
                "padding": draw(st.sampled_from(["zeros", "mirror"])),
            },
            "prior": {
                "kind": draw(st.sampled_from(["mixture", "scale-mixture"])),
                "components": draw(st.integers(1, 9)),
            },
            "loss": {
                "betas": sorted(draw(st.sets(positive, min_size=1, max_size=9))),
                "distortion": draw(st.sampled_from(["mse", "perceptual"])),
                "mix": draw(mixes),
            },
            "train": {
                "steps": draw(count),
                "stage": draw(
                    st.sampled_from(["joint", "synthesis", "detail"] if is_cae2026 else ["joint", "scales"])
                ),
                "mask_steps": 0 if is_cae2026 else draw(st.integers(0, 100)),
                "batch": draw(count),
                "crop": 64 * draw(st.integers(3, 8)) if is_cae2026 else 8 * draw(st.integers(21, 64)),
                "learning_rate": draw(positive),
                "warmup": draw(st.integers(0, 100)),
                "decay": draw(st.floats(0, 1)),
                "ema": draw(st.floats(0, 0.9999)),
                "drawn": draw(st.floats(0, 0.9999)),
                "grey": draw(st.floats(0, 0.9999)),
                "seed": draw(st.integers(0, 2**31 - 1)),
                "precision": draw(st.sampled_from(["auto", "bf16-mixed", "32-true"])),
                "validate_every": draw(count),
                "validation_squares": draw(count),
                "checkpoint_every": draw(count),
            },
        }
    )


@pytest.mark.parametrize(
    ("name", "architecture", "channels"),
    [("cae2017", "cae2017", 96), ("photo", "cae2026", 320), ("photo-psnr", "cae2026", 320)],
)
def test_a_shipped_configuration_loads(name: str, architecture: str, channels: int) -> None:
    config = load(SHIPPED / f"{name}.toml")
    assert config.network.name == architecture
    assert config.network.latent_channels == channels
    assert len(config.loss.betas) >= 8
    assert all(type(beta) is float for beta in config.loss.betas)


def test_every_shipped_configuration_is_tested() -> None:
    assert {path.stem for path in SHIPPED.glob("*.toml")} == {*BASES, "detail", "finetune"}


def test_the_shipped_photo_models_differ_in_their_loss_alone() -> None:
    photo, psnr = (load(SHIPPED / f"{name}.toml") for name in ("photo", "photo-psnr"))
    assert photo.network == psnr.network
    assert photo.network.synthesis.fine_blocks == 1
    assert photo.loss.betas[:-1] == psnr.loss.betas
    assert photo.loss.mix == MixConfig()
    assert (photo.loss.distortion, psnr.loss.distortion) == ("perceptual", "mse")


def test_everything_but_the_betas_has_a_default() -> None:
    config = from_dict({"loss": {"betas": [1]}})
    assert config.loss.betas == (1.0,)
    assert config.prior.components == 3
    assert config.network.padding == "zeros"


@pytest.mark.slow
@settings(deadline=None)
@given(configurations())
def test_a_configuration_survives_the_way_through_a_dict_and_through_json(config: Config) -> None:
    assert from_dict(config.as_dict()) == config
    assert from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_a_configuration_cannot_be_changed() -> None:
    config = from_dict({"loss": {"betas": [1]}})
    with pytest.raises(AttributeError, match="steps"):
        config.train.steps = 5  # type: ignore[misc]


def test_whole_numbers_are_taken_for_real_ones() -> None:
    config = from_dict({"loss": {"betas": [1, 2]}, "train": {"learning_rate": 1, "decay": 0}})
    assert type(config.train.learning_rate) is float
    assert type(config.train.decay) is float
    assert config.loss.betas == (1.0, 2.0)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("train", "stepz"),
        ("network", "channels"),
        ("network", "fine_width"),
        ("network", "init"),
        ("train", "clip"),
        ("network.analysis", "width"),
        ("prior", "K"),
        ("loss", "beta"),
        ("loss.mix", "ms_ssim"),
    ],
)
def test_an_unknown_key_is_named_with_those_that_are_known(section: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{section}\.{key} is not a setting; known: {section}\."):
        from_dict(settings_with(section, key, 1))


def test_an_unknown_section_is_named() -> None:
    with pytest.raises(ConfigError, match=r"training is not a setting; known: .*train"):
        from_dict({"loss": {"betas": [1]}, "training": {}})


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "steps", 10.0),
        ("train", "steps", "10"),
        ("train", "steps", True),
        ("train", "learning_rate", "1e-3"),
        ("train", "learning_rate", True),
        ("train", "stage", "both"),
        ("train", "stage", 1),
        ("train", "precision", "16-mixed"),
        ("network", "name", "cae2018"),
        ("network", "name", None),
        ("network", "latent_channels", 96.0),
        ("network", "hyperlatent_channels", "96"),
        ("network", "prior_width", 128.0),
        ("network.analysis", "fine_width", 128.0),
        ("network.analysis", "fine_blocks", True),
        ("network.synthesis", "coarse_width", [192]),
        ("network.synthesis", "coarse_blocks", 2.0),
        ("network", "padding", "reflect"),
        ("network", "padding", ["zeros"]),
        ("prior", "kind", "hyperprior"),
        ("prior", "components", "3"),
        ("loss", "distortion", "ms-ssim"),
        ("loss", "distortion", "psnr"),
        ("loss.mix", "mse", "0.1"),
        ("loss.mix", "ssimulacra2", True),
        ("loss", "betas", 100.0),
        ("loss", "betas", "100"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(section: str, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^{section}\.{key} is {re.escape(repr(value))}; it must be "):
        from_dict(settings_with(section, key, value))


def test_a_wrong_entry_of_a_list_is_named_with_its_index() -> None:
    with pytest.raises(ConfigError, match=r"loss\.betas\[1\] is 'a'; it must be of type float"):
        from_dict({"loss": {"betas": [1.0, "a"]}})


@pytest.mark.parametrize("section", ["network", "prior", "loss", "train"])
def test_a_section_must_be_a_table(section: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{section}\.? is 3; it must be a table"):
        from_dict({"loss": {"betas": [1.0]}, section: 3})


@pytest.mark.parametrize(("section", "key"), [("network", "analysis"), ("loss", "mix")])
def test_a_section_of_a_section_must_be_a_table(section: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{section}\.{key}\.? is 3; it must be a table"):
        from_dict(settings_with(section, key, 3))


def test_a_mix_of_nothing_is_refused() -> None:
    nothing = dict.fromkeys(("mse", "ssimulacra2", "psnr_hvs"), 0.0)
    with pytest.raises(ConfigError, match=r"^loss\.mix is .*; one of its weights must be above 0"):
        from_dict(settings_with("loss", "mix", nothing))
    from_dict(settings_with("loss", "mix", nothing | {"psnr_hvs": 0.1}))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("network", "latent_channels", 0),
        ("prior", "components", 0),
        ("train", "steps", 0),
        ("train", "mask_steps", -1),
        ("train", "batch", 0),
        ("train", "warmup", -1),
        ("train", "validate_every", 0),
        ("train", "validation_squares", 0),
        ("train", "checkpoint_every", 0),
        ("train", "crop", 0),
        ("train", "crop", -8),
        ("train", "crop", 12),
        ("train", "decay", -0.1),
        ("train", "decay", 1.1),
        ("train", "ema", -0.1),
        ("train", "ema", 1.0),
        ("train", "drawn", -0.1),
        ("train", "drawn", 1.0),
        ("train", "grey", -0.1),
        ("train", "grey", 1.0),
        ("train", "learning_rate", 0.0),
        ("train", "learning_rate", -1e-3),
        ("loss", "betas", []),
        ("loss", "betas", [0.0]),
        ("loss", "betas", [-1.0, 1.0]),
        ("loss", "betas", [2.0, 1.0]),
        ("loss", "betas", [1.0, 1.0]),
        ("loss.mix", "mse", -0.1),
        ("loss.mix", "ssimulacra2", -1.0),
        ("loss.mix", "psnr_hvs", -1e-9),
    ],
)
def test_a_value_out_of_range_is_named(section: str, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^{section}\.{key} is {re.escape(str(value))}; it must be "):
        from_dict(settings_with(section, key, value))


@pytest.mark.parametrize(
    ("section", "key", "value", "allowed"),
    [
        ("network", "hyperlatent_channels", 0, "it must be 1 or more"),
        ("network", "prior_width", 0, "it must be 1 or more"),
        ("network.analysis", "fine_width", 0, "it must be 1 or more"),
        ("network.analysis", "coarse_blocks", -1, "it must be 0 or more"),
        ("network.synthesis", "coarse_width", -8, "it must be 1 or more"),
        ("network.synthesis", "fine_blocks", 0, "it must be 1 or more"),
        ("network", "latent_channels", 98, "a multiple of 4 up to 768 is allowed"),
        ("network", "latent_channels", 772, "a multiple of 4 up to 768 is allowed"),
        ("train", "crop", 72, "cae2026 needs a multiple of 64"),
    ],
)
def test_what_cae2026_cannot_use_is_named(section: str, key: str, value: int, allowed: str) -> None:
    values = settings_with(section, key, value)
    values["network"] = {"name": "cae2026"} | values.get("network", {})
    with pytest.raises(ConfigError, match=rf"^{section}\.{key} is {value}; {allowed}"):
        from_dict(values)


@pytest.mark.parametrize(("key", "value"), [("mask_steps", 5), ("stage", "scales")])
def test_settings_of_cae2017_are_refused_for_cae2026(key: str, value: Any) -> None:
    from_dict(settings_with("train", key, value))
    with pytest.raises(ConfigError, match="belong to cae2017"):
        from_dict(settings_with("train", key, value) | {"network": {"name": "cae2026"}})


@pytest.mark.parametrize("stage", ["detail", "synthesis"])
def test_stages_of_cae2026_are_refused_for_cae2017(stage: str) -> None:
    from_dict(settings_with("train", "stage", stage) | {"network": {"name": "cae2026"}})
    with pytest.raises(
        ConfigError, match=rf"train\.stage is '{stage}', which belongs to cae2026; network\.name is 'cae2017'"
    ):
        from_dict(settings_with("train", "stage", stage))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("section", "key", "in_list"),
    [
        ("loss", "betas", True),
        ("loss.mix", "mse", False),
        ("train", "learning_rate", False),
        ("train", "decay", False),
        ("train", "ema", False),
        ("train", "drawn", False),
        ("train", "grey", False),
    ],
)
def test_numbers_that_are_not_finite_are_refused(section: str, key: str, in_list: bool, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{section}\.{key}"):
        from_dict(settings_with(section, key, [value] if in_list else value))


@pytest.mark.parametrize("seed", [-1, 1 << 40])
def test_a_seed_that_no_generator_takes_is_refused(seed: int) -> None:
    with pytest.raises(ConfigError, match=r"train\.seed"):
        from_dict(settings_with("train", "seed", seed))


def test_the_klt_start_has_no_more_components_than_a_patch_has_values() -> None:
    from_dict({"loss": {"betas": [1.0]}, "network": {"name": "cae2026", "latent_channels": 320}})
    from_dict({"loss": {"betas": [1.0]}, "network": {"latent_channels": 192}})
    with pytest.raises(ConfigError, match=r"network\.latent_channels is 193; cae2017 has at most 192"):
        from_dict({"loss": {"betas": [1.0]}, "network": {"latent_channels": 193}})


def test_mirror_padding_needs_crops_that_can_be_mirrored() -> None:
    with pytest.raises(ConfigError, match=r"train\.crop"):
        from_dict({"loss": {"betas": [1.0]}, "network": {"padding": "mirror"}, "train": {"crop": 8}})


@pytest.mark.parametrize(
    ("values", "missing"), [({}, "loss is missing"), ({"loss": {}}, r"loss\.betas is missing")]
)
def test_missing_betas_are_named(values: dict[str, Any], missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        from_dict(values)


@pytest.mark.parametrize("content", [b"[loss\nbetas = [1]", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"run\.toml cannot be read"):
        load(path)


def test_a_file_gives_what_its_values_give(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[loss]\nbetas = [1, 2.5]\n[train]\nsteps = 7\n")
    assert load(path) == from_dict({"loss": {"betas": [1.0, 2.5]}, "train": {"steps": 7}})


def test_a_file_takes_the_model_of_the_run_it_starts_from_where_it_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    model: dict[str, Any] = {"network": {"latent_channels": 8}, "prior": {"kind": "scale-mixture"}}
    inherited = from_dict({**model, "loss": {"betas": [1.0, 2.5]}, "train": {"steps": 12}}).as_dict()
    path.write_text("[train]\nseed = 7\n")
    # Of the model all, of the training nothing.
    assert load(path, inherited) == from_dict({**model, "loss": {"betas": [1.0, 2.5]}, "train": {"seed": 7}})
    with pytest.raises(ConfigError, match="loss is missing"):
        load(path)
    path.write_text("[loss]\nbetas = [3]\n")
    assert load(path, inherited) == from_dict({**model, "loss": {"betas": [3.0]}})


def test_the_shipped_configuration_of_the_detail_layer_is_for_both_photo_models() -> None:
    for name in ("photo", "photo-psnr"):
        base = load(SHIPPED / f"{name}.toml")
        config = load(SHIPPED / "detail.toml", base.as_dict())
        assert (config.network, config.prior, config.loss) == (base.network, base.prior, base.loss)
        assert config.train.stage == "detail"
