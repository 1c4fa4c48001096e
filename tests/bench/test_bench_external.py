"""bench/external.py: commands as codecs, and how they fail."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench_helpers import PROGRAM
from caesura.bench.codecs import installed
from caesura.bench.external import LADDER, CommandError, External, parse
from caesura.errors import ConfigError
from cli_helpers import drawn

Pixels = NDArray[np.uint8]


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A command, up to its arguments."""
    path = tmp_path / "a codec.py"
    path.write_text(PROGRAM)
    return shlex.join([sys.executable, str(path)])


def failing(code: str, *, decoder: str = "true {in} {out}") -> External:
    """A codec whose encoder is a line of Python."""
    return parse(f"bad={shlex.join([sys.executable, '-c', code])} {{in}} {{out}} {{q}} ; {decoder}")


def test_pictures_go_through_commands_and_come_back(program: str) -> None:
    codec = parse(f"mine@4,32,256={program} {{in}} {{out}} {{q}} ; {program} {{in}} {{out}}")
    assert (codec.name, codec.settings) == ("mine", (4, 32, 256))
    pixels = drawn(40, 56)
    coded = [codec.encode(pixels, setting) for setting in codec.settings]
    assert len(coded[0]) < len(coded[1]) < len(coded[2])
    assert np.array_equal(codec.decode(coded[2]), pixels)
    assert np.array_equal(codec.decode(coded[0]), pixels // 64 * 64)
    assert codec.encode(pixels, 31.7) == coded[1]  # its settings are whole numbers
    assert codec.version.count("[") == 2


@pytest.mark.parametrize("separator", [" ; ", "; ", " ;"])
def test_a_template_may_leave_the_settings_to_us(separator: str) -> None:
    codec = parse(f"bpg=bpgenc -q{{q}} -o {{out}}.bpg {{in}}.ppm{separator}bpgdec -o {{out}} {{in}}.bpg")
    assert codec == External(
        "bpg",
        LADDER,
        ("bpgenc", "-q{q}", "-o", "{out}.bpg", "{in}.ppm"),
        ("bpgdec", "-o", "{out}", "{in}.bpg"),
    )


def test_extensions_are_those_that_the_template_names(tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = f"import sys; open({str(said)!r}, 'a').write(str(sys.argv[1:])); open(sys.argv[2], 'w').write('x')"
    one = shlex.join([sys.executable, "-c", code])
    codec = parse(f"x={one} {{in}}.ppm {{out}}.x2 {{q}}; {one} {{in}} {{out}}")
    assert codec.encode(drawn(8, 8), 10) == b"x"
    with pytest.raises(CommandError, match=r"x: the decoder's decoded\.png is no picture"):
        codec.decode(b"x")
    told = said.read_text()
    for name in ("original.ppm", "coded.x2", "'10'", "decoded.png"):
        assert name in told


def test_a_program_that_is_not_there_is_missing() -> None:
    codec = parse("far=no-such-program {in} {out} {q} ; true {in} {out}")
    here, missing = installed([codec])
    assert here == []
    assert missing[0].name == "far"
    assert missing[0].reason == "no-such-program is not found"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; print('first', file=sys.stderr); sys.exit('the last word')", "status 1: the last word"),
        ("raise SystemExit(3)", "failed with status 3: no output"),
        ("pass", "left no file coded.bin"),
    ],
)
def test_a_command_that_fails_is_our_error_with_its_last_word(code: str, said: str) -> None:
    with pytest.raises(CommandError, match=f"^bad: .*{said}"):
        failing(code).encode(drawn(8, 8), 10)


def test_a_command_that_does_not_end_is_stopped() -> None:
    codec = replace(failing("import time; time.sleep(600)"), limit=0.2)
    with pytest.raises(CommandError, match=r"did not end; 0\.2 seconds are allowed"):
        codec.encode(drawn(8, 8), 10)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("nothing", "external is 'nothing'; allowed is 'name=enc"),
        ("=a {in} {out} {q} ; b {in} {out}", "allowed is 'name=enc"),
        ("a,b=a {in} {out} {q} ; b {in} {out}", "allowed is 'name=enc"),
        ("x@1,high=a {in} {out} {q} ; b {in} {out}", "settings are '1,high'; numbers are allowed"),
        ("x@1,1=a {in} {out} {q} ; b {in} {out}", "settings are '1,1'; finite numbers, each once"),
        ("x@nan=a {in} {out} {q} ; b {in} {out}", "finite numbers, each once"),
        ("x=a {in} {out} {q}", "has not one ;"),
        ("x=a {in} {out} {q} ; b {in} {out} ; c", "has not one ;"),
        ("x=a {in} {out} ; b {in} {out}", "lacks {q}"),
        ("x=a {in} {out} {q} ; b {in}", "lacks {out}"),
        ("x=a {in} {out} {q} ; ", "lacks {in}"),
        ("x=a '{in} {out} {q} ; b {in} {out}", "No closing quotation"),
    ],
)
def test_a_template_of_another_form_is_refused(template: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        parse(template)
