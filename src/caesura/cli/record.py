"""What folder runs have made, noted beside it: `.caesura-outputs` in OUT, a JSON object a line.

    {"output": "trip/a.cae", "source": "/home/me/photos/trip/a.jpg", "blake2b": "<32 hexadecimal digits>"}

A file in the place of a result may be the only copy of somebody's photograph. So a folder run replaces it
unasked only if it is, byte for byte, what an earlier one made of the same source.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import NamedTuple

from caesura.cli import files
from caesura.cli.files import FileError

NAME = ".caesura-outputs"


class Made(NamedTuple):
    """A result: the absolute path of its source, and its bytes' `files.digest`."""

    source: str
    digest: str


class Record:
    """The results that folder runs have left in a folder and in those below it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME

    def of(self, output: Path) -> Made | None:
        """What is noted of a file below the folder; None if it is none of ours.

        Raises:
            FileError: the record cannot be read.
        """
        return self._known.get(self._name(output))

    def made(self, path: Path, source: Path) -> bool:
        """Whether a file is what was made of this source, and unchanged since.

        Raises:
            FileError, OSError: it cannot be read.
        """
        noted = self.of(path)
        return noted is not None and noted.source == str(source.resolve()) and is_unchanged(path, noted)

    def add(self, output: Path, source: Path, digest: str) -> None:
        """Note a result that was written.

        Raises:
            FileError: the record cannot be written.
        """
        fact = {"output": self._name(output), "source": str(source.resolve()), "blake2b": digest}
        try:
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
                known[str(fact["output"])] = Made(str(fact["source"]), str(fact["blake2b"]))
            except (ValueError, TypeError, KeyError):  # cut off by what ended a run
                continue
        return known

    def _name(self, output: Path) -> str:
        return output.relative_to(self._folder).as_posix()


def is_unchanged(path: Path, noted: Made) -> bool:
    """Whether a file's bytes are those that were noted.

    Raises:
        OSError: it cannot be read.
    """
    return files.digest_of(path) == noted.digest
