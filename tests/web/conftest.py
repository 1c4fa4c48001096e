"""Fixtures of the library for browsers: its models, and the built page on a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.browser import ISOLATION, LIBRARY, served
from browser_helpers import lacks
from caesura import web
from caesura.models import bundle as bundles

ROOT = Path(__file__).parents[2] / "web"
NAMES = ("photo", "photo-psnr", "cae2017")


@pytest.fixture(scope="session")
def models_for_web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the shipped models, exported for the web."""
    folder = tmp_path_factory.mktemp("models")
    for name in NAMES:
        web.write(bundles.load(name), folder)
    return folder


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of the built page, on a server without headers of its own."""
    with _served({}) as address:
        yield address


@pytest.fixture(scope="session")
def isolated_site() -> Iterator[str]:
    """The same, cross-origin isolated by the server's headers."""
    with _served(ISOLATION) as address:
        yield address


def _served(headers: Mapping[str, str]) -> contextlib.AbstractContextManager[str]:
    """The page, and library.html, which is not part of it."""
    if not (ROOT / "site" / "files.json").exists():
        lacks("web/site is not there; make web")
    return served(ROOT / "site", headers, {"library.html": LIBRARY.encode()})
