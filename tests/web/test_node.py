"""The parts of the library for browsers that need none: its own tests, under Node."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from browser_helpers import lacks

GOLDEN = Path(__file__).parents[1] / "golden"
ROOT = Path(__file__).parents[2] / "web"


def test_the_librarys_own_tests_pass_and_symbols_are_those_of_python(
    models_for_web: Path, tmp_path: Path
) -> None:
    """They decode every golden file; none may be skipped."""
    if not (ROOT / "node_modules" / ".installed").exists():
        lacks("web/node_modules is not there; make web")
    (tmp_path / "models").symlink_to(models_for_web)
    for path in GOLDEN.glob("*.npz"):
        np.load(path)["symbols"].astype("<i2").tofile(tmp_path / f"{path.stem}.symbols")
    node = Path(sys.executable).parent / "node"
    tests = sorted(str(path) for path in (ROOT / "test").glob("*.test.ts"))
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", *tests],
        env=os.environ | {"CAESURA_FIXTURES": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "\n# skipped 0\n" in done.stdout
