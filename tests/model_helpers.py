"""What the tests of bundles share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from caesura.models import bundle as bundles

MakeBundle = Callable[..., Path]
SHIPPED = {"cae2017": "cae2017", "photo": "cae2026", "photo-psnr": "cae2026"}  # architecture by name


def set_models(patch: pytest.MonkeyPatch, *roots: Path) -> None:
    patch.setenv("CAESURA_MODELS", os.pathsep.join(map(str, roots)))


def folder_of(model: str) -> Path:
    """Folder of a shipped model."""
    return next(folder for folder in bundles.folders() if folder.name == model)
