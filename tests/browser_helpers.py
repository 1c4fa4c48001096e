"""Chromium for tests of pages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from benchmarks import browser
from caesura.errors import DependencyError


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium; without one, developers' tests are skipped, but not those of CI."""
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(browser.chromium())
        except DependencyError as error:
            lacks(str(error))
        yield opened


def lacks(what: str) -> None:
    """Skip a test for want of something that CI has."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
