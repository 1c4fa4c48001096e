"""The promise about dependencies: coding pictures takes the base install, and importing takes nothing."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import caesura
from caesura import errors

PACKAGE = Path(caesura.__file__).parent
EXTRAS = (
    "torch lightning lightning_fabric onnx onnxscript pytorch_msssim tensorboard "
    "bjontegaard imagecodecs matplotlib psnr_hvsm pycvvdp scipy skimage torchvision"
)
SCALE = "ray pyarrow fsspec s3fs pandas"  # of the extra `[ray]`

BLOCK = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {(EXTRAS + " openvino " + SCALE).split()}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
try:
    import torch
except ImportError as error:
    assert str(error) == "torch is blocked"
else:
    raise AssertionError("torch was imported")
"""

ROUND_TRIP = """
import caesura
import numpy as np
from PIL import Image

ramp = np.arange(40 * 30 * 3).reshape(40, 30, 3).astype(np.uint8)
for model in ("cae2017", "photo"):
    for picture, quality in ((ramp, 50), (ramp[:, :, 0], 50), (Image.fromarray(ramp), 50), (ramp, 90)):
        data = caesura.encode(picture, quality=quality, model=model)
        assert caesura.read_header(data).width == 30
        assert caesura.decode(data).size == (30, 40)
        assert caesura.decode_array(data).shape[:2] == (40, 30)
assert caesura.encode(ramp) == caesura.encode(ramp, quality=50, model="photo")

import caesura.metrics
assert caesura.metrics.psnr(ramp, ramp) == float("inf")
print("done")
"""

IMPORT_ONLY = """
import sys
import caesura

heavy = {"numpy", "onnxruntime", "constriction", "PIL", "torch", "typer", "rich"} & set(sys.modules)
assert not heavy, heavy
loaded = {name for name in sys.modules if name.startswith("caesura.")}
assert not loaded, loaded
assert caesura.FormatError.__mro__[1] is caesura.CaesuraError
assert "numpy" not in sys.modules
print("done")
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imports(module: Path) -> Iterator[str]:
    """Top-level names of everything that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@functools.cache
def imports_by_module() -> dict[str, set[str]]:
    """What each module of the package imports, by its path within the package."""
    return {path.relative_to(PACKAGE).as_posix(): set(imports(path)) for path in PACKAGE.rglob("*.py")}


def importers(library: str) -> set[str]:
    return {module for module, names in imports_by_module().items() if library in names}


@pytest.mark.slow
def test_a_round_trip_needs_no_package_of_the_extras() -> None:
    assert run(BLOCK + ROUND_TRIP) == "done\n"


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert run(IMPORT_ONLY) == "done\n"


@pytest.mark.slow
@pytest.mark.parametrize("library", EXTRAS.split())
def test_only_training_measuring_and_their_commands_name_a_package_of_the_extras(library: str) -> None:
    assert [m for m in importers(library) if not m.startswith(("train/", "bench/", "cli/"))] == []


@pytest.mark.parametrize("library", SCALE.split())
def test_only_archives_name_a_package_of_theirs(library: str) -> None:
    allowed = ("archive/", "bench/", "cli/", "data.py")
    assert [module for module in importers(library) if not module.startswith(allowed)] == []


@pytest.mark.parametrize(
    ("library", "module"),
    [
        ("onnxruntime", "runtime/onnx_runtime.py"),
        ("openvino", "runtime/openvino_runtime.py"),
        ("constriction", "entropy/coder.py"),
        ("ray", "archive/engine.py"),
    ],
)
def test_a_library_has_one_importer(library: str, module: str) -> None:
    assert importers(library) == {module}


@pytest.mark.parametrize("name", caesura.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(caesura, name) is not None
    assert name in dir(caesura)


def test_every_error_is_public_and_of_one_family() -> None:
    defined = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert set(defined) <= set(caesura.__all__)
    assert all(issubclass(kind, caesura.CaesuraError) for kind in defined.values())


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'caesura' has no attribute 'decoed'"):
        caesura.decoed  # noqa: B018
