"""Tasks: one input file each, and the output that is made from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from caesura.batch.record import FoundEntry

CODED = ".cae"


@dataclass(frozen=True)
class Task:
    """One input file and its output.

    Attributes:
        source: path of the input; `-` is stdin.
        target: path of the output; `-` is stdout.
        force: replace the target if it exists.
        replaces: digest of the existing target that may be replaced; "" allows any.
        record_folder: folder to whose record (`record.py`) the output is added; None for no record.
        origin: the record entry of the source, if it was encoded from the file at `target`.
        instead: what is done if the output would not be smaller than the source: a task with the same source,
            whose target gets the source's bytes, or is the source itself. None writes the output anyway.
        skipped: why there is nothing to do; "" if there is.
        error: why the task cannot be done; "" if it can.
    """

    source: Path
    target: Path
    force: bool = False
    replaces: str = ""
    record_folder: Path | None = None
    origin: FoundEntry | None = None
    instead: Task | None = None
    skipped: str = ""
    error: str = ""


@dataclass(frozen=True)
class Kind:
    """The files that a command reads from folders.

    Attributes:
        name: plural, for messages.
        wanted: whether a path is one of them, by its extension.
    """

    name: str
    wanted: Callable[[PurePath], bool]


@dataclass
class Plan:
    """The tasks of a command.

    Attributes:
        tasks: one for each file.
        ignored: files in folders that are not of the command's kind, counted by lower-case extension.
    """

    tasks: list[Task] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def is_coded(path: PurePath) -> bool:
    """Whether a path has the extension of .cae files."""
    return path.suffix.lower() == CODED


def output_names(sources: Sequence[Path], suffix: str, *, one_folder: bool = False) -> list[str]:
    """The file name of each output.

    It is the source's name with its extension replaced by `suffix`. Where several outputs would share that
    name, each keeps its source's extension too: IMG_1.JPG.cae and IMG_1.png.cae.

    Args:
        sources: paths of the inputs.
        suffix: extension of the outputs, with its dot.
        one_folder: all outputs go to one folder, not each to its source's folder.
    """
    paths = [path if not one_folder else Path(path.name) for path in sources]
    outputs = [path.with_suffix(suffix) for path in paths]
    while True:
        shared = {output for output, number in Counter(outputs).items() if number > 1}
        longer = [
            path.with_name(path.name + suffix) if output in shared else output
            for path, output in zip(paths, outputs, strict=True)
        ]
        if longer == outputs:
            return [output.name for output in outputs]
        outputs = longer


def counted(extensions: Counter[str]) -> str:
    """A list of extensions with their counts, the most frequent first, for messages."""
    shown = extensions.most_common(_SHOWN)
    names = [f"{number} {extension or 'without an extension'}" for extension, number in shown]
    rest = extensions.total() - sum(number for _, number in shown)
    return ", ".join([*names, f"{rest} of other kinds"] if rest else names)


_SHOWN = 10
