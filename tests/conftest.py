"""Shared by all tests: the photos, the shipped bundles, and a maker of altered bundles."""

from __future__ import annotations

import gc
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser

from caesura.models import bundle as bundles
from caesura.models.bundle import Bundle
from caesura.models.manifest import FILES, MANIFEST, bundle_id, digest
from cli_helpers import coded, drawn

# Nothing here depends on how busy the machine is, and in CI nothing on chance.
settings.register_profile(
    "caesura",
    max_examples=int(os.environ.get("EXAMPLES") or 50),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("caesura")

# With the default, collecting garbage takes a thirtieth of the time.
gc.set_threshold(10_000, 20, 50)


SIDE_BY_SIDE = "PYTEST_XDIST_WORKER" in os.environ  # this process is one of several


# Fixtures whose tests are slow, since they take seconds to make.
SLOW_FIXTURES = {"browser", "models_for_web", "ray_here", "whole", "written"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that the end of a run has small pieces to share out."""
    for item in items:
        if not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session", autouse=True)
def _only_shipped_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither the models nor the settings of whoever runs the tests; side by side, a thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CAESURA_MODELS", raising=False)
        patch.delenv("CAESURA_THREADS", raising=False)
        if SIDE_BY_SIDE:
            patch.setenv("CAESURA_THREADS", "1")
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache-home")))
        patch.setenv("CAESURA_RUNTIME", "onnxruntime")  # whatever is installed, and the processor
        yield


@pytest.fixture(scope="session")
def graphs_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Networks that are the same are exported once, whichever test or process does it first."""
    from graph_helpers import made_once

    root = tmp_path_factory.getbasetemp()
    with made_once((root.parent if SIDE_BY_SIDE else root) / "graphs"):
        yield


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """uint8 (512, 512, 3)."""
    from skimage import data

    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def part(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (256, 256, 3), a part of a photo."""
    return np.ascontiguousarray(astronaut[:256, 128:384])


@pytest.fixture(scope="session")
def coffee() -> NDArray[np.uint8]:
    """uint8 (400, 600, 3)."""
    from skimage import data

    return np.asarray(data.coffee())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """See `chromium`."""
    from browser_helpers import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The shipped model of the paper."""
    return bundles.load("cae2017")


@pytest.fixture(scope="session")
def flagship() -> Bundle:
    """The shipped flagship whose quality is the ladder position, 1 to 72."""
    return bundles.load("photo-psnr")


@pytest.fixture(scope="session", params=["cae2017", "photo-psnr"])
def either(request: pytest.FixtureRequest) -> Bundle:
    """Each shipped model in turn."""
    return bundles.load(request.param)


@pytest.fixture(scope="session")
def shipped() -> Path:
    """Folder of the paper's shipped model."""
    return _shipped("cae2017")


@pytest.fixture(scope="session")
def shipped_flagship() -> Path:
    """Folder of the same."""
    return _shipped("photo-psnr")


def _shipped(name: str) -> Path:
    return next(folder for folder in bundles.folders() if folder.name == name)


@pytest.fixture(scope="session")
def make_bundle(shipped: Path) -> Callable[..., Path]:
    """A function that writes a shipped bundle elsewhere, altered, and with hashes and id that fit again."""

    def make(
        folder: Path,
        files: dict[str, bytes | dict[str, Any]] | None = None,
        *,
        of: Path = shipped,
        **fields: Any,
    ) -> Path:
        """Write a bundle to `folder`.

        Args:
            folder: is made.
            files: replacements by file name: content, or the arrays of an npz.
            of: the bundle's folder that is altered.
            fields: of the manifest, set last.
        """
        folder.mkdir(parents=True)
        manifest = json.loads((of / MANIFEST).read_text(encoding="utf-8"))
        architecture, digests = manifest["architecture"], {}
        added = [name for name in files or {} if name not in FILES[architecture]]
        for name in (*FILES[architecture], *added):
            content = files[name] if files and name in files else (of / name).read_bytes()
            content = _npz(content) if isinstance(content, dict) else content
            (folder / name).write_bytes(content)
            digests[name] = digest(content)
        made = {"name": folder.name, "files": digests, "id": bundle_id(architecture, digests)}
        (folder / MANIFEST).write_text(json.dumps(manifest | made | fields), encoding="utf-8")
        return folder

    return make


def _npz(arrays: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A drawn PNG in a folder of its own."""
    path = tmp_path / "in" / "picture.png"
    path.parent.mkdir()
    Image.fromarray(drawn(40, 56)).save(path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The same picture as .cae, in another folder."""
    folder = tmp_path / "coded"
    folder.mkdir()
    return coded(folder / "picture.cae", drawn(40, 56))
