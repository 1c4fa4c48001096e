"""`-` for stdin and stdout, and the progress bar on a terminal; in processes where these are the point."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caesura
from caesura import cli
from cli_helpers import complaint, drawn, files, opened, run, strict_json, succeeded
from train_helpers import save


def piped(*arguments: object, given: bytes = b"") -> tuple[int, bytes, str]:
    """Exit status, stdout and stderr of a command that reads `given`."""
    command = [sys.executable, "-m", "caesura.cli", *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def streamed(*arguments: object, given: bytes = b"") -> tuple[int, bytes, str]:
    """As `piped`, in this process."""
    out, err, status = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["caesura", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        try:
            cli.main()
        except SystemExit as stop:
            status = int(stop.code or 0)
    return status, out.buffer.getvalue(), err.getvalue()  # type: ignore[attr-defined]


def on_a_terminal(*arguments: object, stdout: int | None = None) -> tuple[int, str]:
    """Exit status, and what a terminal shows: all of it, or with `stdout` elsewhere."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "caesura.cli", *map(str, arguments)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs if stdout is None else stdout, stderr=theirs, env=environment
    ) as child:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 1 << 16):
                shown += part
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    return child.returncode, shown.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("output", "command"), [([], piped), (["-o", "-"], streamed)])
def test_a_picture_goes_through_pipes(
    output: list[str], command: Callable[..., tuple[int, bytes, str]], picture: Path
) -> None:
    status, data, said = command("encode", "-", *output, given=picture.read_bytes())
    assert (status, data) == (0, caesura.encode(drawn(40, 56)))
    assert said == f"stdout  {len(data)} bytes  {8 * len(data) / (40 * 56):.3f} bpp\n"
    status, back, said = command("decode", "-", *output, given=data)
    assert (status, said) == (0, "stdout  56 x 40\n")
    with Image.open(io.BytesIO(back)) as decoded:
        assert decoded.format == "PNG"
        assert np.array_equal(np.asarray(decoded), caesura.decode_array(data))


def test_stdout_takes_the_format_asked_for(file: Path) -> None:
    status, back, _ = streamed("decode", file, "-o", "-", "--format", "webp")
    assert status == 0
    with Image.open(io.BytesIO(back)) as decoded:
        assert decoded.format == "WEBP"


def test_stdin_goes_into_a_file(file: Path, tmp_path: Path) -> None:
    status, out, _ = streamed("decode", "-", "-o", tmp_path / "new" / "a.jpg", given=file.read_bytes())
    assert status == 0
    assert out.decode() == f"{tmp_path / 'new' / 'a.jpg'}  56 x 40\n"
    with Image.open(tmp_path / "new" / "a.jpg") as decoded:
        assert decoded.format == "JPEG"


def test_a_file_made_of_stdin_is_kept_unless_forced(file: Path, picture: Path) -> None:
    before = file.read_bytes()
    status, _, said = streamed("encode", "-", "-o", file, "-q", 10, given=picture.read_bytes())
    assert status == 1
    assert "is there already; --force replaces it" in said
    assert file.read_bytes() == before
    assert streamed("encode", "-", "-o", file, "-q", 10, "-f", given=picture.read_bytes())[0] == 0
    assert file.read_bytes() == caesura.encode(drawn(40, 56), quality=10)


@pytest.mark.parametrize("command", ["encode", "decode"])
@pytest.mark.parametrize("given", [b"", b"neither"])
def test_what_is_neither_is_one_line_and_nothing_on_stdout(command: str, given: bytes) -> None:
    status, out, said = streamed(command, "-", given=given)
    assert (status, out) == (1, b"")
    assert said.startswith("caesura: stdin")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["-", "PICTURE"], ["PICTURE", "PICTURE", "-o", "-"], ["-r", "-"], ["FOLDER", "-o", "-"]]
)
def test_a_stream_goes_alone(arguments: list[str], picture: Path) -> None:
    places = {"PICTURE": str(picture), "FOLDER": str(picture.parent)}
    line = complaint(run("encode", *(places.get(part, part) for part in arguments)))
    assert "it is allowed with one file" in line
    assert list(files(picture.parent)) == ["picture.png"]


def test_stdin_does_not_go_into_a_folder(tmp_path: Path) -> None:
    line = complaint(run("encode", "-", "-o", tmp_path))
    assert "a file name is needed for the output of stdin" in line


def test_json_and_a_picture_do_not_share_stdout(picture: Path) -> None:
    assert "-o FILE is needed" in complaint(run("encode", picture, "-o", "-", "--json"))
    status, out, _ = streamed(
        "encode", "-", "-o", picture.with_suffix(".cae"), "--json", given=picture.read_bytes()
    )
    assert status == 0
    assert strict_json(out.decode())["file"] == "-"


def test_a_dry_run_reads_no_stdin(picture: Path) -> None:
    outcome = run("encode", "-", "--dry-run")
    assert (succeeded(outcome), outcome.err) == ("", "stdin would be written to stdout\n")


@pytest.mark.slow
def test_no_picture_goes_to_a_terminal(picture: Path) -> None:
    status, shown = on_a_terminal("encode", picture, "-o", "-")
    assert status == 1
    assert shown.splitlines() == ["caesura: stdout is a terminal; -o FILE or a redirection is needed"]


@pytest.mark.slow
def test_a_terminal_shows_how_far_it_is(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / "in" / name, drawn(16, 24))
    with (tmp_path / "lines.txt").open("wb") as lines:
        status, shown = on_a_terminal("encode", "-r", tmp_path / "in", stdout=lines.fileno())
    assert status == 0
    for part in ("0/3 files", "megapixels/s", "saved"):
        assert part in shown
    assert "3 done, 0 skipped, 0 failed; " in shown.splitlines()[-1]
    assert [line.split()[0] for line in (tmp_path / "lines.txt").read_text().splitlines()] == [
        str(tmp_path / "in" / name) for name in ("a.cae", "b.cae", "c.cae")
    ]
    assert opened(tmp_path / "in" / "a.png").shape == (16, 24, 3)


@pytest.mark.slow
def test_a_single_file_needs_no_bar(picture: Path) -> None:
    status, shown = on_a_terminal("encode", picture)
    assert status == 0
    (line,) = shown.splitlines()
    assert line.startswith(f"{picture.with_suffix('.cae')}  ")


# Streams that are closed or full


def shell(script: str, *arguments: object, folder: Path) -> tuple[int, str]:
    """Exit status and stderr of a shell script, in which `$0` is the command line and $1 and on are given."""
    program = folder / "caesura"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m caesura.cli "$@"\n')
    program.chmod(0o755)
    command = ["sh", "-c", script, program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, cwd=folder)
    return done.returncode, done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["1>&-", "1>/dev/full", "2>&-", "2>/dev/full", "1>&- 2>&-", "0<&- 1>&-"])
def test_files_are_written_whatever_becomes_of_the_lines(where: str, picture: Path, tmp_path: Path) -> None:
    status, said = shell(f'"$0" encode -r "$1" -o out {where}', picture.parent, folder=tmp_path)
    assert status == 0
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert (tmp_path / "out" / "picture.cae").read_bytes() == caesura.encode(drawn(40, 56))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["1>&-", "1>/dev/full"])
@pytest.mark.parametrize(
    "command", ["encode $1 -o -", "encode $1 -f --json", "info $2", "compare $1 $1", "models", "--help"]
)
def test_what_was_to_go_to_stdout_and_could_not_fails(
    where: str, command: str, picture: Path, file: Path, tmp_path: Path
) -> None:
    status, said = shell(f'"$0" {command} {where}', picture, file, folder=tmp_path)
    assert status == 1
    (line,) = said.splitlines()
    assert line.startswith("caesura: ")
    assert ("Bad file descriptor" if "&" in where else "No space left on device") in line


@pytest.mark.slow
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_a_failure_that_cannot_be_reported_has_its_status(where: str, picture: Path, tmp_path: Path) -> None:
    (picture.parent / "bad.png").write_bytes(b"no picture")
    status, _ = shell(f'"$0" encode -r "$1" -o out {where}', picture.parent, folder=tmp_path)
    assert status == 1
    assert (tmp_path / "out" / "picture.cae").exists()
    assert shell(f'"$0" info nowhere.cae {where}', folder=tmp_path)[0] == 1


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_end_the_batch(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "in" / f"{number}.png", drawn(16, 24))
    status, said = shell('{ "$0" encode -r in -o out; echo $? >status; } | true', folder=tmp_path)
    assert (status, (tmp_path / "status").read_text()) == (0, "0\n"), said
    assert len(list((tmp_path / "out").glob("*.cae"))) == 4


# Outputs that are no plain files


@pytest.mark.slow
def test_a_name_with_a_slash_is_a_folder(picture: Path, file: Path, tmp_path: Path) -> None:
    for inputs, made in ((["encode", picture], "picture.cae"), (["decode", file], f"{file.stem}.png")):
        out = tmp_path / f"{inputs[0]}.2024"
        succeeded(run(*inputs, "-o", f"{out}/"))
        assert list(files(out)) == [made]
    assert f"{picture} is a file; a folder is needed" in complaint(
        run("encode", picture, "-o", f"{picture}/")
    )


@pytest.mark.slow
def test_devices_are_written_to(picture: Path, file: Path, tmp_path: Path) -> None:
    null = Path(os.devnull).stat()
    second = save(tmp_path / "second.png", drawn(16, 24))
    succeeded(run("encode", picture, "-o", os.devnull))
    succeeded(run("encode", picture, second, "-o", os.devnull))
    succeeded(run("decode", file, "-o", os.devnull, "--force"))
    assert Path(os.devnull).stat().st_rdev == null.st_rdev
    assert "is a file; " in complaint(run("encode", "-r", picture.parent, "-o", os.devnull))
    assert "No space left on device" in complaint(run("encode", picture, "-o", "/dev/full"))


@pytest.mark.slow
def test_pipes_are_written_to(picture: Path, tmp_path: Path) -> None:
    script = 'mkfifo pipe.cae; cat pipe.cae >got.cae & "$0" encode "$1" -o pipe.cae; wait; test -p pipe.cae'
    status, said = shell(script, picture, folder=tmp_path)
    assert status == 0, said
    assert (tmp_path / "got.cae").read_bytes() == caesura.encode(drawn(40, 56))
    second = save(tmp_path / "second.png", drawn(16, 24))
    line = complaint(run("encode", picture, second, "-o", tmp_path / "pipe.cae"))
    assert "2 inputs need a folder" in line


@pytest.mark.slow
def test_standard_streams_have_names(picture: Path, tmp_path: Path) -> None:
    status, said = shell('"$0" encode /dev/stdin -o /dev/stdout <"$1" >out.cae', picture, folder=tmp_path)
    assert status == 0, said
    assert (tmp_path / "out.cae").read_bytes() == caesura.encode(drawn(40, 56))


def test_links_are_written_through(picture: Path, tmp_path: Path) -> None:
    kept, link = tmp_path / "deep" / "kept.cae", tmp_path / "link.cae"
    kept.parent.mkdir()
    link.symlink_to(kept)
    succeeded(run("encode", picture, "-o", link))  # to what is not there yet
    assert "is there already" in complaint(run("encode", picture, "-o", link))
    succeeded(run("encode", picture, "-o", link, "-q", "10", "--force"))
    assert link.is_symlink()
    assert kept.read_bytes() == caesura.encode(drawn(40, 56), quality=10)


@pytest.mark.slow
def test_a_file_may_be_stdin(picture: Path, tmp_path: Path) -> None:
    status, said = shell('"$0" encode /dev/stdin <"$1" >out.cae', picture, folder=tmp_path)
    assert status == 0, said
    assert (tmp_path / "out.cae").read_bytes() == caesura.encode(drawn(40, 56))


def test_stdin_does_not_become_a_file_that_is_named_as_a_folder(tmp_path: Path) -> None:
    line = complaint(run("encode", "-", "-o", f"{tmp_path / 'new'}/"))
    assert "a file name is needed for the output of stdin" in line


def test_empty_names_are_refused(picture: Path) -> None:
    assert run("encode", "-r", "").status == 2
    assert "OUT is empty" in complaint(run("encode", picture, "-o", ""))
    assert "is not a picture format" in complaint(run("decode", picture, "--format", "x/y.png"))
