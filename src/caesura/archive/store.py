"""Folders and files on any file system that fsspec knows; writes are whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from caesura.errors import ConfigError, DependencyError
from caesura.picture import files
from caesura.picture.files import FileError

# A put makes an object whole or not at all; elsewhere files are written aside and renamed.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}


class Entry(NamedTuple):
    """A file: its name below the store's root, and its size in bytes."""

    name: str
    size: int


class Store:
    """What lies below a URL or a path, by names with slashes.

    Args:
        url: as fsspec takes it, `s3://bucket/photos`, or a local path.

    Raises:
        ConfigError: its protocol is not known.
        DependencyError: what the protocol needs is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        try:
            # A listing that is kept would hold millions of names, and not see what others write.
            self.fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise DependencyError(f"{url} needs a package: {error}") from error
        except ValueError as error:
            raise ConfigError(f"{url}: {error}") from error
        self.root = str(root).rstrip("/")
        protocols = self.fs.protocol
        self.protocols = {protocols} if isinstance(protocols, str) else set(protocols)
        self.is_local = "file" in self.protocols

    def at(self, name: str) -> str:
        """A name as the file system has it."""
        return f"{self.root}/{name}" if name else self.root

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            OSError: it cannot be read.
        """
        content: bytes = self.fs.cat_file(self.at(name))
        return content

    def open(self, name: str) -> Any:
        """A file to be read in parts."""
        return self.fs.open(self.at(name), "rb")

    def write(self, name: str, content: bytes) -> None:
        """Write a file, over what may be there.

        Raises:
            OSError, FileError: it cannot be written.
        """
        place = self.at(name)
        if self.is_local:
            files.write(Path(place), content, force=True)
        elif self.protocols & _OBJECT_STORES:
            self.fs.pipe_file(place, content)
        else:
            folder, _, last = place.rpartition("/")
            aside = f"{folder}/.caesura-{secrets.token_hex(8)}-{last}"
            self.fs.makedirs(folder, exist_ok=True)
            self.fs.pipe_file(aside, content)
            self.fs.mv(aside, place)

    def exists(self, name: str = "") -> bool:
        """Whether there is such a file or folder."""
        return bool(self.fs.exists(self.at(name)))

    def meets(self, other: Store) -> bool:
        """Whether one lies within the other, or both are the same."""
        if not self.protocols & other.protocols:
            return False
        roots = [PurePosixPath(Path(s.root).resolve() if s.is_local else s.root) for s in (self, other)]
        return roots[0].is_relative_to(roots[1]) or roots[1].is_relative_to(roots[0])

    def is_file(self) -> bool:
        """Whether the URL is of a file."""
        return bool(self.fs.isfile(self.root))

    def remove(self, names: Sequence[str]) -> None:
        """Remove files."""
        for name in names:
            self.fs.rm_file(self.at(name))

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, without it, sorted; none if it is not there."""
        return [entry.name.rpartition("/")[2] for entry, is_folder in self._listed(folder) if not is_folder]

    def walk(self, folder: str = "") -> Iterator[Entry]:
        """Every file, folder by folder, in the order of names; hidden ones and `_manifest` are left out.

        One folder's names are in memory at a time.

        Raises:
            FileError: the root is not there or cannot be read.
        """
        if not folder and not self.exists() and not self.protocols & _OBJECT_STORES:
            raise FileError(f"{self.url} is not there")
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
                continue  # a pipe could be waited for without end, links to folders go in circles
            if path != self.at(folder):  # object stores may list a folder in itself
                listed.append(
                    (Entry(path[len(self.root) + 1 :], fact["size"] or 0), fact["type"] == "directory")
                )
        return sorted(listed)


def as_url(place: str) -> str:
    """A local path made absolute: workers run in other folders."""
    return place if "://" in place or "::" in place else str(Path(place).absolute())
