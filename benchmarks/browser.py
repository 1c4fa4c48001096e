"""Chromium without a window, and a server of files for its pages; for `benchmarks.web` and tests."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from caesura.errors import DependencyError

# Makes a page cross-origin isolated, which WebAssembly needs for threads.
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
# A page of nothing but the library: `window.library` once it is loaded.
LIBRARY = """<!doctype html><title>library</title>
<script type="module">
import * as library from "./caesura/index.js";
import "./caesura/element.js";
window.library = library;
</script>"""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium, closed at the end of the block.

    Raises:
        DependencyError: none is installed.
    """
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        raise DependencyError("no Chromium found; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def served(folder: Path, headers: Mapping[str, str], more: Mapping[str, bytes]) -> Iterator[str]:
    """The address of a server of a folder's files, with a slash at its end.

    Args:
        folder: of files.
        headers: sent with each answer.
        more: content of files that the folder does not hold, by name.
    """
    handler = functools.partial(_Handler, directory=str(folder), headers=headers, more=more)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012 - as in the base class
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(
        self, *given: Any, headers: Mapping[str, str], more: Mapping[str, bytes], **named: Any
    ) -> None:
        self._headers, self._more = headers, more
        super().__init__(*given, **named)

    def do_GET(self) -> None:
        """Serve a file, or one of those that the folder does not hold."""
        name = self.path.partition("?")[0].removeprefix("/")
        if name not in self._more:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(PurePosixPath(name)))
        self.send_header("Content-Length", str(len(self._more[name])))
        self.end_headers()
        self.wfile.write(self._more[name])

    def end_headers(self) -> None:
        """With the server's own."""
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
