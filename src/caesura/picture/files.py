"""Files as the command line reads and writes them: whole or not at all. `-` is stdin and stdout."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from caesura.errors import CaesuraError
from caesura.picture import streams

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
    def digest(self) -> str:
        """The fingerprint of its bytes, of those that were read if they were.

        Raises:
            OSError: it cannot be read.
        """
        read = self.path == STREAM or "content" in self.__dict__
        return digest(self.content) if read else digest_of(self.path)

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
    """Write a file whole or not at all, see `whole`, or write to stdout.

    Raises:
        FileError: the file is there and `force` is not set, or it cannot be written.
    """
    if path == STREAM:
        try:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        except OSError as error:
            streams.silence(sys.stdout)
            raise FileError(f"stdout: {error.strerror or error}") from error
        return
    keep(path, force=force)
    try:
        with whole(path, force=force) as out:
            out.write(content)
    except FileExistsError as error:  # since `keep` looked
        raise FileError(there(path)) from error
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


@contextlib.contextmanager
def whole(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to be written that becomes `path` at the end of the block; if that fails, nothing is left.

    A link is written through: what it leads to is replaced, and the link stays. Devices and pipes are written
    to as they are.

    Raises:
        FileExistsError: the file is there and `force` is not set.
        OSError: it cannot be written.
    """
    if is_device(path):
        with path.open("wb") as out:
            yield out
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    handle, unfinished = _aside(path.parent)
    try:
        with os.fdopen(handle, "w+b") as out:
            yield out
            out.flush()
            os.fsync(handle)
            if unfinished is None:
                if not force and _link(handle, path):
                    return
                unfinished = _name(path.parent)
                if not _link(handle, unfinished):
                    out.seek(0)
                    with unfinished.open("xb") as copy:
                        shutil.copyfileobj(out, copy)
        if not force and path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        unfinished.replace(path)
    except BaseException:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
        raise


def keep(path: Path, *, force: bool) -> None:
    """Make sure that a file may be written: it is not there, or may be replaced; its folder is there.

    Raises:
        FileError: the file is there and `force` is not set, or the folder cannot be made.
    """
    if is_device(path):
        return
    try:
        if path.exists() and not force:
            raise FileError(there(path))
        if path.exists() and not path.is_file():
            raise FileError(f"{path} is not a file; a new one or one to be replaced is allowed")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def is_device(path: Path) -> bool:
    """Whether a path is of a character device, as /dev/null, or of a pipe, which are never replaced."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def there(path: Path) -> str:
    """What is said of an output that is kept."""
    return f"{path} is there already; --force replaces it"


def digest(content: bytes) -> str:
    """A fingerprint of a file's bytes: BLAKE2b of 128 bits, hexadecimal."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def digest_of(path: Path) -> str:
    """The fingerprint of a file that is there.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _aside(folder: Path) -> tuple[int, Path | None]:
    """A new file to write to, and its name; none where the system can do without: then it ends with us."""
    if hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir():
        with contextlib.suppress(OSError):  # not every file system can
            return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666), None
    name = _name(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(name, flags, 0o666), name


def _link(handle: int, name: Path) -> bool:
    """Give a nameless file a name, where the file system has links.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        # A folder's handle, of no use with an absolute path, makes Python call linkat, which follows /proc's
        # link to the file itself.
        os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=handle)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _name(folder: Path) -> Path:
    return folder / f".caesura-{secrets.token_hex(8)}"
