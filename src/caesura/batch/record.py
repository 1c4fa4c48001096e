"""The record of what folder runs have written: `.caesura-outputs` in OUT, one JSON object per line.

    {"output": "trip/a.cae", "source": "/home/me/photos/trip/a.jpg", "of": "<BLAKE2b>", "made": "<BLAKE2b>"}

`of` and `made` are digests (`files.digest`) of the source and of the output. An existing file may be the only
copy of somebody's photograph, so a folder run replaces it without --force only if its bytes are those that an
earlier run made from the same source, and the source has changed since. An entry is added before its output
is written, so that the outputs of an interrupted run are known. The last entry of an output counts. The two
digests are equal for an original that was kept, since its .cae file would not be smaller.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import NamedTuple

from caesura.picture.files import FileError

NAME = ".caesura-outputs"


class Entry(NamedTuple):
    """What is recorded of one output.

    Attributes:
        source: absolute path, without symbolic links, of the file it was made from.
        source_digest, output_digest: digests of both; "of" and "made" in the file.
    """

    source: str
    source_digest: str
    output_digest: str

    @property
    def is_original(self) -> bool:
        """Whether the output is the source or a copy of it, kept since its .cae file would not be smaller."""
        return self.source_digest == self.output_digest


class FoundEntry(NamedTuple):
    """An entry, and the folder whose record has it."""

    folder: Path
    entry: Entry


class Record:
    """The record in one folder, of outputs in it and in its subfolders."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.realpath(folder))
        self._path = self._folder / NAME

    def get(self, output: Path) -> Entry | None:
        """The entry of an output, None if it has none.

        Raises:
            FileError: the record cannot be read.
        """
        return self._entries.get(self._name(output))

    def add(self, output: Path, entry: Entry) -> None:
        """Append the entry of an output.

        Raises:
            FileError: the record cannot be written.
        """
        fields = {
            "output": self._name(output),
            "source": entry.source,
            "of": entry.source_digest,
            "made": entry.output_digest,
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as file:
                # The last line may be cut off, so start a new one; the reader skips empty lines.
                file.write(f"\n{json.dumps(fields)}\n")
        except OSError as error:
            raise FileError(f"{self._path}: {error.strerror or error}") from error

    @functools.cached_property
    def _entries(self) -> dict[str, Entry]:
        try:
            lines = self._path.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise FileError(f"{self._path}: {error.strerror or error}") from error
        entries = {}
        for line in lines:
            try:
                fields = json.loads(line)
                entry = Entry(str(fields["source"]), str(fields["of"]), str(fields["made"]))
                entries[str(fields["output"])] = entry
            except (ValueError, TypeError, KeyError, RecursionError):  # cut off when a run was interrupted
                continue
        return entries

    def _name(self, output: Path) -> str:
        return (resolved(output.parent) / output.name).relative_to(self._folder).as_posix()


class Records:
    """The records of all folders, each read once. An output's entry is in its own folder or one above."""

    def __init__(self) -> None:
        self._in = functools.lru_cache(maxsize=None)(Record)

    def find(self, output: Path) -> FoundEntry | None:
        """The entry of an output in the nearest record that has one, None if none has.

        Raises:
            FileError: a record cannot be read.
        """
        for folder in (resolved(output.parent) / output.name).parents:
            if entry := self._in(folder).get(output):
                return FoundEntry(folder, entry)
        return None


def resolved(path: Path) -> Path:
    """The path made absolute and without symbolic links; links that form a loop are kept."""
    return Path(os.path.realpath(path))
