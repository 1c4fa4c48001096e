"""The hostile files in attacks/: each gives its error, within bounds of memory."""

from __future__ import annotations

import importlib.util
import json
import re
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import ModuleType

import pytest

import caesura
import reference_decoder
from caesura.models import bundle as bundles

FOLDER = Path(__file__).parents[2] / "attacks"
ADDRESS_SPACE = 3 << 30
SECONDS = 300  # for all of them; they take ten


def _make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_attacks", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make = _make()
ATTACKS = {attack.name: attack for attack in make.attacks()}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, str]]:
    """What becomes of each, all in one process of limited memory."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    paths = [str(FOLDER / f"{name}.cae") for name in ATTACKS]
    command = [sys.executable, str(FOLDER / "make.py"), *paths]
    done = subprocess.run(
        command, preexec_fn=limit, timeout=SECONDS, check=True, capture_output=True, text=True
    )
    return {found["name"]: found for found in map(json.loads, done.stdout.splitlines())}


def test_the_folder_holds_what_the_script_makes() -> None:
    held = {path.stem: path.read_bytes() for path in FOLDER.glob("*.cae")}
    made = {name: attack.data for name, attack in ATTACKS.items()}
    assert held == made
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"`([^`]+)\.cae`", table) == list(ATTACKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_as_it_should(name: str, verdicts: dict[str, dict[str, str]]) -> None:
    attack, found = ATTACKS[name], verdicts[name]
    assert found["error"] == attack.error
    assert re.search(attack.message, found["message"])
    assert attack.error == "" or issubclass(getattr(caesura, attack.error), caesura.CaesuraError)


@pytest.mark.parametrize("name", ["4-gigapixels", "most-pixels", "most-segments", "longest-side"])
def test_claims_are_not_believed(name: str) -> None:
    caesura.decode(ATTACKS["payload-empty"].data)  # so that everything is imported and loaded
    tracemalloc.start()
    try:
        with pytest.raises(caesura.FormatError, match=ATTACKS[name].message):
            caesura.decode(ATTACKS[name].data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_the_reference_decoder_agrees(name: str) -> None:
    if name.startswith(("png-", "zlib-", "webp-pixels-", "clipped-cells-", "unknown-model")):
        pytest.skip("it looks neither into pictures nor into metadata, and is told the model")
    if name == "nothing-4-megapixels":
        pytest.skip("it takes its time")
    attack = ATTACKS[name]
    flagship, old = (next(f for f in bundles.folders() if f.name == n) for n in ("photo", "cae2017"))
    folder = old if attack.data[7:11] == make.CAE2017.to_bytes(4, "little") else flagship
    if attack.error:
        with pytest.raises(reference_decoder.RefusedError):
            reference_decoder.decode(attack.data, folder)
    else:
        reference_decoder.decode(attack.data, folder)
