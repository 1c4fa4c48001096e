"""Codecs that are external commands, by a template: 'name@10,20=enc {in} {out} {q} ; dec {in} {out}'."""

from __future__ import annotations

import functools
import hashlib
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from caesura.bench.codecs import Pixels
from caesura.errors import CaesuraError, ConfigError, DependencyError

LADDER = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0)
_FORM = "'name=enc {in} {out} {q} ; dec {in} {out}', and settings as 'name@10,20,30=...'"
_PLACEHOLDER = re.compile(r"\{(in|out)\}(\.\w+)?|\{q\}")


class CommandError(CaesuraError):
    """An external command failed, or its output is not a picture."""


@dataclass(frozen=True)
class External:
    """A codec of two commands, run without a shell in a temporary folder.

    In arguments, {in} and {out} are replaced by paths and {q} by the setting. Pictures are PNG files, unless
    an extension follows ({in}.ppm, {out}.bpg), which is then that of the file.

    Attributes:
        name: as reports show it.
        settings: a ladder from small to large files; if all are integers, settings are rounded to integers.
        encoder, decoder: arguments of the commands.
        limit: maximum duration of a command in seconds.
    """

    name: str
    settings: tuple[float, ...]
    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    limit: float = 600

    @property
    def version(self) -> str:
        """The commands, and hashes of the programs; see `Codec`."""
        programs = (_program(command[0]) for command in (self.encoder, self.decoder))
        return "; ".join(
            f"{shlex.join(command)} [{digest}]"
            for command, digest in zip((self.encoder, self.decoder), programs, strict=True)
        )

    def encode(self, pixels: Pixels, setting: float) -> bytes:
        """See `Codec`.

        Raises:
            CommandError: the command failed, took too long, or left no file.
        """
        if all(float(one).is_integer() for one in self.settings):
            setting = round(setting)
        with tempfile.TemporaryDirectory(prefix="caesura-bench-") as folder:
            original = Path(folder) / f"original{_extension(self.encoder, 'in', '.png')}"
            coded = Path(folder) / f"coded{_extension(self.encoder, 'out', '.bin')}"
            Image.fromarray(pixels).save(original)
            self._run(self.encoder, original, coded, f"{setting:g}")
            return coded.read_bytes()

    def decode(self, data: bytes) -> Pixels:
        """See `Codec`.

        Raises:
            CommandError: the command failed, took too long, or left no picture.
        """
        with tempfile.TemporaryDirectory(prefix="caesura-bench-") as folder:
            # The extension that the encoder used, since programs may depend on it.
            usual = _extension(self.encoder, "out", ".bin")
            coded = Path(folder) / f"coded{_extension(self.decoder, 'in', usual)}"
            decoded = Path(folder) / f"decoded{_extension(self.decoder, 'out', '.png')}"
            coded.write_bytes(data)
            self._run(self.decoder, coded, decoded, "")
            try:
                with Image.open(decoded) as picture:
                    return np.asarray(picture.convert("RGB"))
            except Exception as error:  # what Pillow's readers raise has no common base but this
                raise CommandError(
                    f"{self.name}: the decoder's {decoded.name} is no picture: {error}"
                ) from error

    def _run(self, command: tuple[str, ...], source: Path, target: Path, setting: str) -> None:
        values = {"{in}": str(source), "{out}": str(target), "{q}": setting}

        def value(match: re.Match[str]) -> str:
            return values[f"{{{match[1]}}}"] if match[1] else setting

        arguments = [_PLACEHOLDER.sub(value, part) for part in command]
        with (source.parent / "stderr").open("w+b") as stderr:  # a pipe might stay open in a grandchild
            try:
                done = subprocess.run(
                    arguments,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    timeout=self.limit,
                )
            except subprocess.TimeoutExpired as error:
                limit = f"{self.limit:g} seconds are allowed"
                raise CommandError(f"{self.name}: {shlex.join(arguments)} did not end; {limit}") from error
            except OSError as error:
                raise CommandError(f"{self.name}: {arguments[0]}: {error.strerror or error}") from error
            stderr.seek(0)
            lines = stderr.read().decode(errors="replace").strip().splitlines()
        if done.returncode:
            last = lines[-1] if lines else "no output"
            raise CommandError(
                f"{self.name}: {shlex.join(arguments)} failed with status {done.returncode}: {last}"
            )
        if not target.is_file():
            raise CommandError(f"{self.name}: {shlex.join(arguments)} left no file {target.name}")


def parse(template: str) -> External:
    """The codec that a template describes.

    Raises:
        ConfigError: the template is malformed.
    """
    named, equals, commands = template.partition("=")
    name, at, ladder = named.partition("@")
    name = name.strip()
    if not equals or not name or any(character in name for character in ",\n"):
        raise ConfigError(f"external is {template!r}; allowed is {_FORM}")
    try:
        settings = tuple(float(part) for part in ladder.split(",")) if at else LADDER
    except ValueError as error:
        raise ConfigError(f"external {name}: settings are {ladder!r}; numbers are allowed") from error
    if len(set(settings)) != len(settings) or not np.isfinite(settings).all():
        raise ConfigError(f"external {name}: settings are {ladder!r}; finite numbers, each once, are allowed")
    reader = shlex.shlex(commands, posix=True, punctuation_chars=";")  # a quoted semicolon separates nothing
    reader.whitespace_split, reader.commenters = True, ""
    try:
        split = list(reader)
    except ValueError as error:
        raise ConfigError(f"external {name}: {error} in {commands!r}; allowed is {_FORM}") from error
    if split.count(";") != 1:
        raise ConfigError(f"external {name}: {commands!r} has not one ;; allowed is {_FORM}")
    middle = split.index(";")
    encoder, decoder = tuple(split[:middle]), tuple(split[middle + 1 :])
    for command, needs in ((encoder, ("{in}", "{out}", "{q}")), (decoder, ("{in}", "{out}"))):
        missing = [name for name in needs if not any(name in part for part in command)]
        if missing:
            raise ConfigError(
                f"external {name}: {shlex.join(command)!r} lacks {missing[0]}; allowed is {_FORM}"
            )
    return External(name, settings, encoder, decoder)


def _extension(command: tuple[str, ...], name: str, usual: str) -> str:
    found = (match for part in command for match in _PLACEHOLDER.finditer(part) if match[1] == name)
    return next((match[2] for match in found if match[2]), usual)


@functools.cache
def _program(name: str) -> str:
    """The first 8 hexadecimal digits of the SHA-256 of a program."""
    path = shutil.which(name)
    if path is None:
        raise DependencyError(f"{name} is not found")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:8]
