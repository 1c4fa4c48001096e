"""libvips, which is imported when it is needed: `pip install 'caesura[large]'`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from caesura.errors import CaesuraError, DependencyError, ImageError


def load() -> Any:
    """The module pyvips.

    Raises:
        DependencyError: it or libvips is not installed.
    """
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: libvips itself is not installed
        raise DependencyError(
            f"large pictures need libvips: pip install 'caesura[large]' ({error})"
        ) from error
    return pyvips


@contextmanager
def errors(path: Path) -> Iterator[None]:
    """Raise errors of libvips and of the system as ImageError with the file's path."""
    vips = load()
    try:
        yield
    except CaesuraError:  # FormatError is an OSError, too
        raise
    except vips.Error as error:
        raise ImageError(f"{path}: {str(error).strip().splitlines()[-1]}") from error
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error
