"""Files as the command line reads and writes them: whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from caesura.errors import CaesuraError


class FileError(CaesuraError):
    """A file cannot be read or written."""


def read(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        FileError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


def write(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file under another name and rename it into place.

    Raises:
        FileError: the file is there and `force` is not set, or it cannot be written.
    """
    if path.exists() and not force:
        raise FileError(f"{path} is there already; --force replaces it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(handle)
            umask = os.umask(0)
            os.umask(umask)
            Path(unfinished).chmod(0o666 & ~umask)
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error


@contextmanager
def warnings_as_lines(path: Path) -> Iterator[None]:
    """Print each warning about a file as one line on stderr that names it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)  # of every file, even if it is the same
        try:
            yield
        finally:
            for warning in caught:
                text = " ".join(str(warning.message).split())
                print(f"caesura: warning: {path}: {text}", file=sys.stderr)


def outputs(inputs: Sequence[Path], output: Path | None, suffix: str) -> list[Path]:
    """Where each input's result goes.

    Args:
        inputs: the files given.
        output: a file (for one input), a folder (one that is there, or a name without an extension), or
            None for each input's own folder.
        suffix: of names that are made up here, with its dot.

    Raises:
        FileError: an input has no name, a folder is needed and `output` is a file, or two results would
            share one name.
    """
    for path in inputs:
        if not path.name:
            raise FileError(f"{path} is a folder; a file is needed")
    if output is None:
        targets = [path.with_suffix(suffix) for path in inputs]
    elif len(inputs) == 1 and output.suffix and not output.is_dir():
        targets = [output]
    elif output.is_file():
        raise FileError(f"{output} is a file; {len(inputs)} inputs need a folder")
    else:
        targets = [output / path.with_suffix(suffix).name for path in inputs]
    twice = {target for target in targets if targets.count(target) > 1}
    if twice:
        raise FileError(f"{min(twice)} would be written twice; inputs must have different names")
    return targets
