"""Fixtures of the library for browsers: its models, and the built page on a server."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser_helpers import lacks
from caesura import web
from caesura.models import bundle as bundles

ROOT = Path(__file__).parents[2] / "web"
NAMES = ("photo", "photo-psnr", "cae2017")
# A page of nothing but the library.
LIBRARY = """<!doctype html><title>library</title>
<script type="module">
import * as library from "./caesura/index.js";
import "./caesura/element.js";
window.library = library;
</script>"""


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
    headers = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
    with _served(headers) as address:
        yield address


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the page, and library.html, which is not part of it."""

    extensions_map = {  # noqa: RUF012 - as in the base class
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, *given: Any, headers: dict[str, str], **named: Any) -> None:
        self._headers = headers
        super().__init__(*given, **named)

    def do_GET(self) -> None:
        if self.path.startswith("/library.html"):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(LIBRARY.encode())
        else:
            super().do_GET()

    def end_headers(self) -> None:
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _served(headers: dict[str, str]) -> Iterator[str]:
    folder = ROOT / "site"
    if not (folder / "files.json").exists():
        lacks("web/site is not there; make web")
    handler = functools.partial(_Handler, headers=headers, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()
