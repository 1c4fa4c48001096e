"""Reading files and writing them atomically. The path `-` is stdin or stdout."""

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
    """The name of a file in messages; `stream` for the path `-`."""
    return stream if path == STREAM else str(path)


class Source:
    """An input file or stdin, read at most once."""

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
        """The digest of its bytes; of `content` if that was read already, see `digest`.

        Raises:
            OSError: it cannot be read.
        """
        is_read = self.path == STREAM or "content" in self.__dict__
        return digest(self.content) if is_read else digest_of(self.path)

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
    """Write a file atomically (see `atomic`), or write to stdout. The folder is made if needed.

    Args:
        path: of the file, or `-`.
        content: its bytes.
        force: replace a file that exists.

    Raises:
        FileError: the file exists and `force` is not set, or it cannot be written.
    """
    if path == STREAM:
        try:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        except OSError as error:
            streams.silence(sys.stdout)
            raise FileError(f"stdout: {error.strerror or error}") from error
        return
    check_output(path, force=force)
    try:
        with atomic(path, force=force) as out:
            out.write(content)
    except FileExistsError as error:  # made after `check_output`
        raise FileError(exists_message(path)) from error
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


@contextlib.contextmanager
def atomic(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A context with a file open for writing, which gets the name `path` at its end; on errors it is removed.

    A symbolic link stays, and its target is replaced. Devices and pipes are written to directly.

    Args:
        path: of the file.
        force: replace a file that exists.

    Raises:
        FileExistsError: the file exists and `force` is not set.
        OSError: it cannot be written.
    """
    if is_device(path):
        with path.open("wb") as out:
            yield out
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    handle, unfinished = _temporary(path.parent)
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


def check_output(path: Path, *, force: bool) -> None:
    """Check that a file may be written, and make its folder.

    Raises:
        FileError: the file exists and `force` is not set, the path is of something that is not a file, or the
            folder cannot be made.
    """
    if is_device(path):
        return
    try:
        if path.exists() and not force:
            raise FileError(exists_message(path))
        if path.exists() and not path.is_file():
            raise FileError(f"{path} is not a file; the path of a file is allowed")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def is_device(path: Path) -> bool:
    """Whether the path is of a character device, such as /dev/null, or a pipe; these are never replaced."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def is_same(path: Path, other: Path) -> bool:
    """Whether both are paths of one file that exists."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def exists_message(path: Path) -> str:
    """The message for an output that exists and is not replaced."""
    return f"{path} is there already; --force replaces it"


def digest(content: bytes) -> str:
    """The digest of bytes: BLAKE2b of 128 bits, hexadecimal."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def digest_of(path: Path) -> str:
    """The digest of a file, see `digest`.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _temporary(folder: Path) -> tuple[int, Path | None]:
    """Descriptor and path of a new file; no path where the system allows a file without a name (O_TMPFILE).

    The system removes such a file when the process ends.
    """
    if hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir():
        with contextlib.suppress(OSError):  # not every file system can
            return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666), None
    name = _name(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.open(name, flags, 0o666), name


def _link(handle: int, path: Path) -> bool:
    """Give a file without a name a path; False where the file system has no links.

    Raises:
        FileExistsError: the path exists.
    """
    try:
        # `src_dir_fd` is ignored for an absolute path, but with it Python calls linkat, which follows the
        # symbolic link in /proc to the file itself.
        os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _name(folder: Path) -> Path:
    return folder / f".caesura-{secrets.token_hex(8)}"
