"""picture/files.py: files are written atomically."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caesura.picture.files import FileError, write
from cli_helpers import files


@pytest.fixture(params=["nameless", "named", "without links"])
def unfinished(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ways in which temporary files are made."""

    def refuse(*paths: object, **options: object) -> None:
        raise OSError(1, "Operation not permitted")

    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if request.param == "without links":
        monkeypatch.setattr(os, "link", refuse)
    return str(request.param)


@pytest.mark.usefixtures("unfinished")
def test_a_file_is_written_and_replaced_with_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    path = tmp_path / "new" / "file"
    write(path, b"first", force=False)
    with pytest.raises(FileError, match="file is there already; --force replaces it"):
        write(path, b"second", force=False)
    assert files(tmp_path / "new") == {"file": b"first"}
    write(path, b"second", force=True)
    assert files(tmp_path / "new") == {"file": b"second"}
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.usefixtures("unfinished")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_could_not_be_finished_is_gone(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else FileError
    with pytest.raises(expected, match="No space left" if expected is FileError else None):
        write(tmp_path / "file", b"content", force=False)
    assert files(tmp_path) == {}


def test_until_it_is_whole_a_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("of Linux")
    seen = []
    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(files(tmp_path)))
    write(tmp_path / "file", b"content", force=False)
    assert seen == [{}]
    assert files(tmp_path) == {"file": b"content"}


def test_a_name_of_the_longest_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write(path, b"content", force=False)
    assert path.read_bytes() == b"content"


def test_a_name_that_is_too_long_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="File name too long"):
        write(tmp_path / ("n" * 256), b"content", force=False)
