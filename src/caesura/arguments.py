"""Checks of arguments of public functions: TypeError for a wrong type, ConfigError for a wrong value.

Messages name the argument, what was got and what is allowed. NumPy's integers and floats are accepted as
numbers; True and False are not.
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

# A .cae file: its bytes or its path.
Content = bytes | bytearray | memoryview | str | os.PathLike[str]


def number(name: str, value: Any, allowed: str, lowest: float, highest: float) -> float:
    """The value as a Python int or float, from `lowest` to `highest`."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise wrong_type(name, value, allowed)
    try:  # NumPy would round the bounds to the value's type
        plain = int(value) if isinstance(value, Integral) else float(value)
    except OverflowError:  # a Fraction that is too large
        plain = math.inf
    return _within(name, plain, allowed, lowest, highest)


def integer(name: str, value: Any, allowed: str, lowest: float = -math.inf, highest: float = math.inf) -> int:
    """The value as a Python int, from `lowest` to `highest`."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise wrong_type(name, value, allowed)
    return int(_within(name, int(value), allowed, lowest, highest))


def max_pixels(value: Any) -> int:
    """The argument `max_pixels` as an int of 1 or more."""
    return integer("max_pixels", value, "an integer of 1 or more is allowed", 1)


def flag(name: str, value: Any) -> bool:
    """The value as a bool; only True and False are accepted, since any text would count as true."""
    import numpy as np  # slow to import, and not needed by every command

    return bool(of_type(name, value, (bool, np.bool_), "True and False are allowed"))


def function(name: str, value: Any) -> None:
    """Check that the value can be called."""
    if not callable(value):
        raise wrong_type(name, value, "a function is allowed")


def of_type(name: str, value: Any, kinds: tuple[type, ...], allowed: str) -> Any:
    """The value, of one of these types."""
    if not isinstance(value, kinds):
        raise wrong_type(name, value, allowed)
    return value


def path(name: str, value: Any) -> Path:
    """The value as a Path, which need not exist."""
    return Path(of_type(name, value, (str, os.PathLike), "a path is allowed"))


def content(name: str, value: Any) -> bytes:
    """The bytes of a .cae file, given as bytes or as a path.

    Raises:
        FormatError: the path is not of a regular file.
        OSError: as from `open`; FileNotFoundError if the path does not exist.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    of_type(name, value, (str, os.PathLike), "bytes and the path of a file are allowed")
    return read(Path(value), FormatError)


def read(file: Path, unlike: type[CaesuraError]) -> bytes:
    """The bytes of a file; errors are those of `check_file` and `open`."""
    check_file(file, unlike)
    return file.read_bytes()


def check_file(file: Path, unlike: type[CaesuraError]) -> None:
    """Check that a path is of a regular file, since reading a pipe or a device may never end.

    Folders pass: `open` raises IsADirectoryError for them.

    Args:
        file: the path.
        unlike: the error to raise for something that is not a file.

    Raises:
        OSError: the path does not exist or cannot be accessed.
        CaesuraError: of type `unlike`, if it is not a file; ConfigError, if the path is malformed.
    """
    try:
        mode = file.stat().st_mode
    except ValueError as error:  # a null character, or half a surrogate pair
        raise ConfigError(f"path is {_shown(str(file))}; one of a file is allowed: {error}") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise unlike(f"{file} is not a file; the path of one is allowed")


def wrong_type(name: str, value: Any, allowed: str) -> TypeError:
    """A TypeError that names the argument, its value and its type."""
    return TypeError(f"{name} is {_shown(value)}, of type {type(value).__name__}; {allowed}")


def _within(name: str, value: float, allowed: str, lowest: float, highest: float) -> float:
    if not lowest <= value <= highest:
        raise ConfigError(f"{name} is {_shown(value)}; {allowed}")
    return value


def _shown(value: Any) -> str:
    """The value in a message, shortened if it is long."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python does not convert integers of more than 4300 digits
        return "a number of very many digits"
