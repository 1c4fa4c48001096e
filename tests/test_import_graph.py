"""The floors of the package: modules import only from their own floor and those below, without cycles."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

# Lowest first. "caesura" is the package itself, whose names are those of codec and others.
FLOORS = (
    {"errors", "extras", "progress"},
    {"arguments"},
    {"entropy", "picture"},
    {"format"},
    {"models"},
    {"runtime", "ratecontrol"},
    {"metrics"},
    {"coding"},
    {"options"},
    {"tiles"},
    {"train"},
    {"caesura", "codec", "large", "data", "pillow_plugin", "target", "web"},
    {"batch"},
    {"archive", "bench"},
    {"cli"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

# Imports that break these rules, importer first. The fit of a quality scale needs the extras of both.
KNOWN = {("caesura.train.quality_scale", "caesura.bench.quality")}
TORCH = {"torch", "torchvision", "lightning_fabric"}
# The CVVDP metric is implemented in PyTorch; this module is run in a process of its own.
WITH_TORCH = {"caesura.bench.cvvdp_worker"}

Imports = dict[str, set[str]]


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports() -> Imports:
    """The modules that each module of the package imports, also in functions and for type checking only."""
    paths = {name_of(path): path for path in SOURCE.rglob("*.py")}
    found: Imports = {}
    for module, path in paths.items():
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module} has a relative import; absolute ones are allowed"
                assert node.module is not None
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found[module] |= {name if name in paths else node.module for name in names}
    return found


def own_imports() -> Imports:
    """The imports of the package's own modules, without the known exceptions."""
    graph = imports()
    return {
        module: {name for name in names if name in graph and (module, name) not in KNOWN}
        for module, names in graph.items()
    }


def folder(module: str) -> str:
    """The folder, or the module at the top level, that a module of the package belongs to."""
    return module.split(".")[1] if "." in module else module


def test_every_folder_has_a_floor() -> None:
    assert {folder(module) for module in imports()} == FLOOR.keys()


def test_modules_import_only_from_their_own_floor_and_below() -> None:
    upward = [
        f"{module} imports {name}"
        for module, names in own_imports().items()
        for name in names
        if FLOOR[folder(name)] > FLOOR[folder(module)]
    ]
    assert not upward


def test_modules_have_no_cycle() -> None:
    TopologicalSorter(own_imports()).prepare()  # raises CycleError, which shows the cycle


def test_folders_have_no_cycle() -> None:
    graph: Imports = {}
    for module, names in own_imports().items():
        graph.setdefault(folder(module), set()).update({folder(name) for name in names} - {folder(module)})
    TopologicalSorter(graph).prepare()


def test_known_exceptions_are_still_there() -> None:
    assert not [pair for pair in KNOWN if pair[1] not in imports()[pair[0]]]


def test_only_train_imports_torch() -> None:
    importing = {
        module for module, names in imports().items() if TORCH & {name.split(".")[0] for name in names}
    }
    assert {module for module in importing if folder(module) != "train"} == WITH_TORCH


def test_nothing_imports_the_command_line_or_benchmarks() -> None:
    for module, names in imports().items():
        assert "benchmarks" not in {name.split(".")[0] for name in names}, module
        if folder(module) != "cli":
            assert "cli" not in {folder(name) for name in names & imports().keys()}, module
