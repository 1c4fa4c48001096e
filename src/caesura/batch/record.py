"""What folder runs have made, noted beside it: `.caesura-outputs` in OUT, a JSON object a line.

    {"output": "trip/a.cae", "source": "/home/me/photos/trip/a.jpg", "of": "<BLAKE2b>", "made": "<BLAKE2b>"}

`of` and `made` are fingerprints (`files.digest`) of the source and of the result. A file in the place of a
result may be the only copy of somebody's photograph: a folder run replaces it unasked only if it is, byte for
byte, what an earlier one made of the same source, and that has changed since. Lines are written before the
results, so that what was killed in between is known. The last line of an output counts.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import NamedTuple

from caesura.picture.files import FileError

NAME = ".caesura-outputs"


class Made(NamedTuple):
    """A result that is noted.

    Attributes:
        source: the path of what it was made of, absolute and without links.
        of, made: fingerprints of both.
    """

    source: str
    of: str
    made: str


class Noted(NamedTuple):
    """What is noted of a file, and in the record of which folder."""

    folder: Path
    made: Made


class Record:
    """The results that folder runs have left in a folder and in those below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.realpath(folder))
        self._path = self._folder / NAME

    def of(self, output: Path) -> Made | None:
        """What is noted of a file below the folder, if anything is.

        Raises:
            FileError: the record cannot be read.
        """
        return self._known.get(self._name(output))

    def add(self, output: Path, noted: Made) -> None:
        """Note a result.

        Raises:
            FileError: the record cannot be written.
        """
        fact = {"output": self._name(output), **noted._asdict()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as file:
                # The line before may have been cut off; what reads this passes over empty ones.
                file.write(f"\n{json.dumps(fact)}\n")
        except OSError as error:
            raise FileError(f"{self._path}: {error.strerror or error}") from error

    @functools.cached_property
    def _known(self) -> dict[str, Made]:
        try:
            lines = self._path.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise FileError(f"{self._path}: {error.strerror or error}") from error
        known = {}
        for line in lines:
            try:
                fact = json.loads(line)
                known[str(fact["output"])] = Made(str(fact["source"]), str(fact["of"]), str(fact["made"]))
            except (ValueError, TypeError, KeyError, RecursionError):  # cut off by what ended a run
                continue
        return known

    def _name(self, output: Path) -> str:
        return (real(output.parent) / output.name).relative_to(self._folder).as_posix()


class Records:
    """The records of any folders: those in which a result may be noted are in its own folder and above."""

    def __init__(self) -> None:
        self._at = functools.lru_cache(maxsize=None)(Record)

    def find(self, output: Path) -> Noted | None:
        """What the nearest record notes of a file, if any does.

        Raises:
            FileError: a record cannot be read.
        """
        for folder in (real(output.parent) / output.name).parents:
            if made := self._at(folder).of(output):
                return Noted(folder, made)
        return None


def real(path: Path) -> Path:
    """A path, absolute and without links; those that go in circles are left."""
    return Path(os.path.realpath(path))
