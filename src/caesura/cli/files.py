"""Files as the command line reads and writes them: whole or not at all. `-` is stdin and stdout."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import sys
from pathlib import Path

from caesura.errors import CaesuraError

STREAM = Path("-")


class FileError(CaesuraError):
    """A file cannot be read or written."""


def name(path: Path, stream: str = "stdin") -> str:
    """What messages call a file."""
    return stream if path == STREAM else str(path)


class Source:
    """A file to be read, or stdin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = name(path)

    @functools.cached_property
    def content(self) -> bytes:
        """Its bytes.

        Raises:
            FileError: it cannot be read.
        """
        return read(self.path)

    @property
    def size(self) -> int:
        """Its number of bytes.

        Raises:
            FileError: it cannot be read.
        """
        try:
            return len(self.content) if self.path == STREAM else self.path.stat().st_size
        except OSError as error:
            raise FileError(f"{self.path}: {error.strerror or error}") from error


def read(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        FileError: it cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if path == STREAM else path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def write(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file aside and rename it into place, or write to stdout.

    Raises:
        FileError: the file is there and `force` is not set, or it cannot be written.
    """
    if path == STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        keep(path, force=force)
        handle, unfinished = _aside(path.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(handle)
                if unfinished is None:
                    unfinished = _name(path.parent)
                    _link(handle, unfinished, content)
            unfinished.replace(path)
        except BaseException:
            if unfinished is not None:
                unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def keep(path: Path, *, force: bool) -> None:
    """Make sure that a file may be written: it is not there, or may be replaced; its folder is there.

    Raises:
        FileError: the file is there and `force` is not set, or the folder cannot be made.
    """
    try:
        if path.exists() and not force:
            raise FileError(there(path))
        if path.exists() and not path.is_file():
            raise FileError(f"{path} is not a file; a new one or one to be replaced is allowed")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def there(path: Path) -> str:
    """What is said of an output that is kept."""
    return f"{path} is there already; --force replaces it"


def _aside(folder: Path) -> tuple[int, Path | None]:
    """A new file to write to, and its name; none where the system can do without: then it ends with us."""
    if hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir():
        with contextlib.suppress(OSError):  # not every file system can
            return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666), None
    name = _name(folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(name, flags, 0o666), name


def _link(handle: int, name: Path, content: bytes) -> None:
    """Give a nameless file, which holds `content`, a name."""
    try:
        # A folder's handle, of no use with an absolute path, makes Python call linkat, which follows /proc's
        # link to the file itself.
        os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=handle)
    except OSError:  # a file system without links
        name.write_bytes(content)


def _name(folder: Path) -> Path:
    return folder / f".caesura-{secrets.token_hex(8)}"
