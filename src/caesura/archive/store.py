"""Files below a URL or path, on any file system of fsspec. Writes are atomic."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from caesura.errors import ConfigError, DependencyError
from caesura.picture import files
from caesura.picture.files import FileError

# Writing an object is atomic; elsewhere files are written under a temporary name and renamed.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}


class Entry(NamedTuple):
    """A file: its path below the store's root, with slashes, and its size in bytes."""

    name: str
    size: int


class Store:
    """The files below a URL or a local path, by names relative to it with slashes.

    Args:
        url: URL of fsspec, such as `s3://bucket/photos`, or a local path.

    Raises:
        ConfigError: its protocol is not known.
        DependencyError: the package of its protocol is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        try:
            # A cache of listings would hold millions of names, and miss files that other processes write.
            self.fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise DependencyError(f"{url} needs a package that is not installed: {error}") from error
        except ValueError as error:
            raise ConfigError(f"{url}: {error}") from error
        self.root = str(root).rstrip("/")
        protocols = self.fs.protocol
        self.protocols = {protocols} if isinstance(protocols, str) else set(protocols)
        self.is_local = "file" in self.protocols

    def at(self, name: str) -> str:
        """The path of a name in the file system."""
        return f"{self.root}/{name}" if name else self.root

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            OSError: it cannot be read.
        """
        content: bytes = self.fs.cat_file(self.at(name))
        return content

    def open(self, name: str) -> Any:
        """A file opened for reading."""
        return self.fs.open(self.at(name), "rb")

    def write(self, name: str, content: bytes) -> None:
        """Write a file; an existing one is replaced.

        Raises:
            OSError, FileError: it cannot be written.
        """
        path = self.at(name)
        if self.is_local:
            files.write(Path(path), content, force=True)
        elif self.protocols & _OBJECT_STORES:
            self.fs.pipe_file(path, content)
        else:
            folder, _, last = path.rpartition("/")
            temporary = f"{folder}/.caesura-{secrets.token_hex(8)}-{last}"
            self.fs.makedirs(folder, exist_ok=True)
            self.fs.pipe_file(temporary, content)
            self.fs.mv(temporary, path)

    def exists(self, name: str = "") -> bool:
        """Whether a file or folder of this name exists."""
        return bool(self.fs.exists(self.at(name)))

    def overlaps(self, other: Store) -> bool:
        """Whether one store is inside the other, or both are the same."""
        if not self.protocols & other.protocols:
            return False
        roots = [PurePosixPath(Path(s.root).resolve() if s.is_local else s.root) for s in (self, other)]
        return roots[0].is_relative_to(roots[1]) or roots[1].is_relative_to(roots[0])

    def is_file(self) -> bool:
        """Whether the URL is that of a file."""
        return bool(self.fs.isfile(self.root))

    def remove(self, names: Sequence[str]) -> None:
        """Remove files."""
        for name in names:
            self.fs.rm_file(self.at(name))

    def names(self, folder: str) -> list[str]:
        """The sorted file names in a folder; empty if it does not exist."""
        return [entry.name.rpartition("/")[2] for entry, is_folder in self._listed(folder) if not is_folder]

    def walk(self, folder: str = "") -> Iterator[Entry]:
        """Yield every file, folder by folder, sorted by name, except hidden ones and those in `_manifest`.

        The names of one folder are in memory at a time.

        Raises:
            FileError: the root does not exist or cannot be read.
        """
        if not folder and not self.exists() and not self.protocols & _OBJECT_STORES:
            raise FileError(f"{self.url} does not exist")
        for entry, is_folder in self._listed(folder):
            last = entry.name.rpartition("/")[2]
            if last.startswith(".") or entry.name == "_manifest":
                continue
            if is_folder:
                yield from self.walk(entry.name)
            else:
                yield entry

    def _listed(self, folder: str) -> list[tuple[Entry, bool]]:
        try:
            found = self.fs.ls(self.at(folder), detail=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise FileError(f"{self.at(folder)}: {error.strerror or error}") from error
        listed = []
        for fact in found:
            path = str(fact["name"]).rstrip("/")
            if fact["type"] == "other" and not (fact.get("islink") and Path(path).is_file()):
                continue  # reading a pipe could block for ever, links to folders may form loops
            if path != self.at(folder):  # object stores may list a folder in itself
                listed.append(
                    (Entry(path[len(self.root) + 1 :], fact["size"] or 0), fact["type"] == "directory")
                )
        return sorted(listed)


def as_url(location: str) -> str:
    """A URL as it is, or a local path made absolute, since workers run in other folders."""
    return location if "://" in location or "::" in location else str(Path(location).absolute())
