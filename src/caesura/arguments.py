"""Arguments of public functions: a wrong type is a TypeError, a wrong value a ConfigError, and both messages
name the argument, what was got and what is allowed.

NumPy's integers and floats are numbers as Python's are; True and False are not.
"""

from __future__ import annotations

import math
import os
import reprlib
import stat
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from caesura.errors import CaesuraError, ConfigError, FormatError

# A .cae file: its bytes, or the path of it.
Content = bytes | bytearray | memoryview | str | os.PathLike[str]


def number(name: str, value: Any, allowed: str, lowest: float, highest: float) -> float:
    """A number from `lowest` to `highest` as Python's own."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise wrong_type(name, value, allowed)
    try:  # NumPy's would round what they are compared with
        plain = int(value) if isinstance(value, Integral) else float(value)
    except OverflowError:  # of a fraction
        plain = math.inf
    return _within(name, plain, allowed, lowest, highest)


def integer(name: str, value: Any, allowed: str, lowest: float = -math.inf, highest: float = math.inf) -> int:
    """An integer from `lowest` to `highest` as Python's own."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise wrong_type(name, value, allowed)
    return int(_within(name, int(value), allowed, lowest, highest))


def max_pixels(value: Any) -> int:
    """The setting of that name."""
    return integer("max_pixels", value, "an integer of 1 or more is allowed", 1)


def flag(name: str, value: Any) -> bool:
    """True or False; nothing else, for "no" would count as true."""
    import numpy as np  # here, since the command line must start without it

    return bool(of_type(name, value, (bool, np.bool_), "True and False are allowed"))


def function(name: str, value: Any) -> None:
    """Something that can be called."""
    if not callable(value):
        raise wrong_type(name, value, "a function is allowed")


def of_type(name: str, value: Any, kinds: tuple[type, ...], allowed: str) -> Any:
    """A value of one of several types."""
    if not isinstance(value, kinds):
        raise wrong_type(name, value, allowed)
    return value


def path(name: str, value: Any) -> Path:
    """A path, of which nothing need be there."""
    return Path(of_type(name, value, (str, os.PathLike), "a path is allowed"))


def content(name: str, value: Any) -> bytes:
    """The bytes of a .cae file.

    Raises:
        FormatError: the path is of something that is no file.
        OSError: of the system, as `open` raises it: FileNotFoundError if there is none.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    of_type(name, value, (str, os.PathLike), "bytes and the path of a file are allowed")
    return read(Path(value), FormatError)


def read(file: Path, unlike: type[CaesuraError]) -> bytes:
    """A file's bytes; raises as `check_file` and `open` do."""
    check_file(file, unlike)
    return file.read_bytes()


def check_file(file: Path, unlike: type[CaesuraError]) -> None:
    """Check that a path may be opened: a pipe could be waited for, and a device be read, without end.

    Folders may, for the system says by itself what is wrong with them.

    Raises:
        OSError: of the system, if it is not there.
        CaesuraError: of type `unlike`, if it is there and no file; a ConfigError, if no path is like that.
    """
    try:
        mode = file.stat().st_mode
    except ValueError as error:  # a null character, or half a surrogate pair
        raise ConfigError(f"path is {_shown(str(file))}; one of a file is allowed: {error}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise unlike(f"{file} is not a file; the path of one is allowed")


def wrong_type(name: str, value: Any, allowed: str) -> TypeError:
    """The error."""
    return TypeError(f"{name} is {_shown(value)}, of type {type(value).__name__}; {allowed}")


def _within(name: str, value: float, allowed: str, lowest: float, highest: float) -> float:
    if not lowest <= value <= highest:
        raise ConfigError(f"{name} is {_shown(value)}; {allowed}")
    return value


def _shown(value: Any) -> str:
    """In a message, where neither an array nor a long text has room."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no integers of very many digits
        return "a number of very many digits"
