"""Results that are larger than their originals: the line says so, and --no-larger keeps the originals."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

import caesura
from caesura.batch import record
from cli_helpers import Outcome, complaint, drawn, files, process, run, strict_json, succeeded

LARGE, SMALL = ("-q", 100), ("-q", 1)  # larger and smaller than the JPEG


def jpeg(path: Path, *, height: int = 40) -> Path:
    """A JPEG of about 700 bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn(height, 56)).save(path, "JPEG", quality=5)
    return path


def later(path: Path) -> None:
    """Make a file newer than all others."""
    then = path.stat().st_mtime_ns + 60 * 10**9
    os.utime(path, ns=(then, then))


def summary(outcome: Outcome) -> str:
    """The counts at the end of a folder run that went well."""
    succeeded(outcome)
    return outcome.err.splitlines()[-1].partition(";")[0]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return jpeg(tmp_path / "photos" / "small.jpg")


@pytest.fixture
def photos(small: Path) -> Path:
    """A folder with a JPEG that is smaller than its .cae file of quality 100, and one that is larger."""
    Image.fromarray(drawn(40, 56)).save(small.with_name("big.bmp"))
    return small.parent


# What is said


def test_a_larger_result_is_written_and_said_to_be_larger(small: Path) -> None:
    size = small.stat().st_size
    said = f" bpp  larger than the original ({size} bytes)  hint: the JPEG has quality "
    assert said in succeeded(run("encode", small, *LARGE))
    facts = strict_json(succeeded(run("encode", small, *LARGE, "--json", "--force")))
    assert facts["larger_than_original"] is True
    assert facts["bytes_before"] == size < facts["bytes"] == small.with_suffix(".cae").stat().st_size


def test_a_smaller_result_is_not(small: Path) -> None:
    assert "larger" not in succeeded(run("encode", small, *SMALL))
    assert "larger_than_original" not in strict_json(succeeded(run("encode", small, *SMALL, "--json", "-f")))


# --no-larger: files


@pytest.mark.parametrize("output", [[], ["-o", "named.cae"]])
def test_nothing_is_written_where_out_is_no_folder(output: list[str], small: Path) -> None:
    before, size = files(small.parent), small.stat().st_size
    options = ["-o", small.parent / output[1]] if output else []
    out = succeeded(run("encode", small, *options, *LARGE, "--no-larger"))
    assert out.startswith(f"{small}  {size} bytes  the original is kept: the .cae file would have ")
    assert files(small.parent) == before
    assert not (small.parent / record.NAME).exists()


def test_json_of_an_original_that_is_kept(small: Path) -> None:
    would_be = len(caesura.encode(small, quality=100))
    facts = strict_json(succeeded(run("encode", small, *LARGE, "--no-larger", "--json")))
    size = small.stat().st_size
    assert facts.pop("seconds") > 0
    assert facts == {
        "file": str(small),
        "output": str(small),
        "bytes_before": size,
        "bytes": size,
        "width": 56,
        "height": 40,
        "kept": f"the .cae file would have {would_be} bytes",
        "hint": "the JPEG has quality 5; quality 30 keeps what it has",
    }


def test_a_smaller_result_is_written_as_without_the_option(small: Path) -> None:
    succeeded(run("encode", small, *SMALL, "--no-larger"))
    assert small.with_suffix(".cae").read_bytes() == caesura.encode(small, quality=1)
    assert sorted(files(small.parent)) == ["small.cae", "small.jpg"]


def test_an_equally_large_original_is_kept(small: Path) -> None:
    size = len(caesura.encode(small, quality=100))
    small.write_bytes(small.read_bytes().ljust(size, b"\0"))  # JPEGs may have bytes after their end
    assert "the original is kept" in succeeded(run("encode", small, *LARGE, "--no-larger"))
    assert not small.with_suffix(".cae").exists()


def test_a_target_that_is_there_is_not_touched(small: Path) -> None:
    target = small.with_suffix(".cae")
    target.write_bytes(b"there")
    outcome = run("encode", small, *LARGE, "--no-larger")
    assert f"{target} is there already; --force replaces it" in complaint(outcome)
    outcome = run("encode", small, *LARGE, "--no-larger", "--force")
    assert "the original is kept" in succeeded(outcome)
    assert outcome.err == f"caesura: warning: {small}: {target} was there already and is left as it is\n"
    assert target.read_bytes() == b"there"


def test_files_that_go_into_a_folder_are_copied_there(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lines = succeeded(
        run("encode", photos / "small.jpg", photos / "big.bmp", "-o", out, *LARGE, "--no-larger")
    )
    assert sorted(files(out)) == ["big.cae", "small.jpg"]
    assert (out / "small.jpg").read_bytes() == (photos / "small.jpg").read_bytes()
    assert f"{out / 'small.jpg'}  " in lines
    again = run("encode", photos / "small.jpg", "-o", out, *LARGE, "--no-larger")
    assert f"{out / 'small.jpg'} is there already; --force replaces it" in complaint(again)
    succeeded(run("encode", photos / "small.jpg", "-o", out, *LARGE, "--no-larger", "--force"))


def test_an_original_that_lies_in_the_output_folder_stays(photos: Path) -> None:
    before = files(photos)
    succeeded(run("encode", photos / "small.jpg", "-o", photos, *LARGE, "--no-larger"))
    assert files(photos) == before


def test_metadata_cannot_be_left_out_of_an_original(small: Path) -> None:
    line = complaint(run("encode", small, "--strip", "--no-larger"))
    assert line == "caesura: no_larger is given with strip; originals are kept with their metadata"


def test_a_picture_that_cannot_be_encoded_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(b"no picture")
    assert "is not a picture" in complaint(run("encode", path, "-o", f"{tmp_path}/out/", "--no-larger"))
    assert list(files(tmp_path)) == ["bad.jpg"]


# --no-larger: stdin and stdout


class _Stream(io.TextIOWrapper):
    """A text stream over bytes, as sys.stdin and sys.stdout are."""

    def __init__(self, content: bytes = b"") -> None:
        self.bytes = io.BytesIO(content)
        super().__init__(self.bytes)


@pytest.mark.parametrize("from_stdin", [True, False])
def test_stdout_gets_the_original(from_stdin: bool, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from caesura.batch import jobs, plan
    from caesura.batch import run as runs
    from caesura.batch.tasks import Kind
    from caesura.options import EncodeOptions
    from caesura.picture import formats

    stdout = _Stream()
    monkeypatch.setattr(sys, "stdin", _Stream(small.read_bytes()))
    monkeypatch.setattr(sys, "stdout", stdout)
    source = Path("-") if from_stdin else small
    kind = Kind("pictures", formats.is_picture)
    (task,) = plan.plan([source], "-", ".cae", kind, recursive=False, force=False, no_larger=True).tasks
    outcome = runs.run_task(jobs.Encode(EncodeOptions(quality=100)), task)
    assert stdout.bytes.getvalue() == small.read_bytes()
    assert outcome.kept.startswith("the .cae file would have ")
    assert str(outcome.task.target) == "-"


@pytest.mark.slow
def test_a_shell_gets_the_original_and_is_told(small: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m caesura.cli encode - -q 100 --no-larger < {small} > {tmp_path}/out"
    outcome = process(program=f"import os, sys; sys.exit(os.WEXITSTATUS(os.system({command!r})))")
    succeeded(outcome)
    assert outcome.err.startswith("stdout  ")
    assert "the original is kept" in outcome.err
    assert (tmp_path / "out").read_bytes() == small.read_bytes()


def test_an_original_from_stdin_is_not_lost(tmp_path: Path) -> None:
    line = complaint(run("encode", "-", "-o", tmp_path / "out.cae", "--no-larger"))
    assert f"an original from stdin would be lost if {tmp_path / 'out.cae'} was not written" in line
    assert files(tmp_path) == {}


# --no-larger: folders


def test_a_folder_is_complete_with_the_originals_that_were_kept(photos: Path, tmp_path: Path) -> None:
    jpeg(photos / "deep" / "small.jpg", height=32)
    out = tmp_path / "out"
    outcome = run("encode", "-r", photos, "-o", out, *LARGE, "--no-larger")
    assert summary(outcome) == "1 done, 2 kept, 0 skipped, 0 failed"
    assert list(files(out)) == ["big.cae", "deep/small.jpg", "small.jpg"]
    for name in ("deep/small.jpg", "small.jpg"):
        assert (out / name).read_bytes() == (photos / name).read_bytes()
    before = files(out)
    outcome = run("encode", "-r", photos, "-o", out, *LARGE, "--no-larger")
    assert summary(outcome) == "0 done, 3 skipped, 0 failed"
    assert files(out) == before


def test_sizes_count_originals_that_were_kept(small: Path, tmp_path: Path) -> None:
    outcome = run("encode", "-r", small.parent, "-o", tmp_path / "out", *LARGE, "--no-larger")
    size = small.stat().st_size
    assert outcome.err.splitlines()[-1] == (
        f"0 done, 1 kept, 0 skipped, 0 failed; {size} bytes became {size} bytes"
    )


@pytest.mark.slow
def test_so_it_is_with_several_processes(photos: Path, tmp_path: Path) -> None:
    outcome = run("encode", "-r", photos, "-o", tmp_path / "out", *LARGE, "--no-larger", "--jobs", 2)
    assert summary(outcome) == "1 done, 1 kept, 0 skipped, 0 failed"
    assert list(files(tmp_path / "out")) == ["big.cae", "small.jpg"]


def test_without_an_output_folder_originals_stay_and_are_skipped_next_time(photos: Path) -> None:
    before = files(photos)
    for counts in ("1 done, 1 kept, 0 skipped, 0 failed", "0 done, 2 skipped, 0 failed"):
        assert summary(run("encode", "-r", photos, *LARGE, "--no-larger")) == counts
        assert {**files(photos), "big.cae": b""} == {**before, "big.cae": b""}
    jpeg(photos / "small.jpg", height=32)  # changed
    assert summary(run("encode", "-r", photos, *SMALL, "--no-larger")) == "1 done, 1 skipped, 0 failed"
    assert sorted(files(photos)) == ["big.bmp", "big.cae", "small.cae", "small.jpg"]


def test_without_the_option_what_was_kept_is_encoded(small: Path) -> None:
    succeeded(run("encode", "-r", small.parent, *LARGE, "--no-larger"))
    succeeded(run("encode", "-r", small.parent, *LARGE))
    assert sorted(files(small.parent)) == ["small.cae", "small.jpg"]


def test_a_copy_follows_its_original(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("encode", "-r", small.parent, "-o", out, "--no-larger")
    succeeded(run(*arguments, *LARGE))
    jpeg(small, height=32)
    later(small)
    assert summary(run(*arguments, *LARGE)) == "0 done, 1 kept, 0 skipped, 0 failed"
    assert files(out) == {"small.jpg": small.read_bytes()}


def test_a_copy_that_was_changed_is_not_replaced(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("encode", "-r", small.parent, "-o", out, *LARGE, "--no-larger")
    succeeded(run(*arguments))
    (out / "small.jpg").write_bytes(b"changed")
    jpeg(small, height=32)
    later(small)
    outcome = run(*arguments)
    assert outcome.status == 1
    assert "small.jpg is there already; --force replaces it; it was changed since it was made" in outcome.err
    assert files(out) == {"small.jpg": b"changed"}


def test_a_copy_that_was_changed_is_not_replaced_because_a_result_may_be(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("encode", "-r", small.parent, "-o", out, "--no-larger")
    succeeded(run(*arguments, *SMALL))
    (out / "small.jpg").write_bytes(b"another file")
    jpeg(small, height=32)
    later(small)
    before = files(out)
    outcome = run(*arguments, *LARGE)
    assert outcome.status == 1
    assert f"{out / 'small.jpg'} is there already; --force replaces it; it is not known" in outcome.err
    assert files(out) == before


def test_a_file_in_the_place_of_the_copy_is_not_replaced(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jpeg(out / "small.jpg", height=24)
    before = files(out)
    arguments = ("encode", "-r", small.parent, "-o", out, "--no-larger")
    outcome = run(*arguments, *LARGE)
    assert outcome.status == 1
    assert f"{out / 'small.jpg'} is there already; --force replaces it; it is not known" in outcome.err
    assert files(out) == before
    outcome = run(*arguments, *SMALL)  # it is in nobody's way
    assert summary(outcome) == "1 done, 0 skipped, 0 failed"
    assert {name: files(out)[name] for name in before} == before


@pytest.mark.parametrize(
    ("first", "second", "left"), [(LARGE, SMALL, "small.jpg"), (SMALL, LARGE, "small.cae")]
)
def test_a_result_of_the_other_kind_is_left_and_named(
    first: tuple[object, ...], second: tuple[object, ...], left: str, small: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("encode", "-r", small.parent, "-o", out, "--no-larger")
    succeeded(run(*arguments, *first))
    before = files(out)
    assert list(before) == [left]
    jpeg(small, height=32)
    later(small)
    outcome = run(*arguments, *second)
    succeeded(outcome)
    assert f"{out / left} was there already and is left as it is" in outcome.err
    assert sorted(files(out)) == ["small.cae", "small.jpg"]
    assert files(out)[left] == before[left]
    assert summary(run(*arguments, *second)) == "0 done, 1 skipped, 0 failed"


def test_an_original_that_was_kept_is_not_replaced_by_decoding(small: Path, tmp_path: Path) -> None:
    succeeded(run("encode", "-r", small.parent, *LARGE, "--no-larger"))
    before = small.read_bytes()
    coded = tmp_path / "coded"
    coded.mkdir()
    (coded / "small.cae").write_bytes(caesura.encode(drawn(16, 16)))
    outcome = run("decode", "-r", coded, "-o", small.parent, "--format", "jpg")
    assert outcome.status == 1
    assert "small.jpg is there already; --force replaces it; it is an original that was kept" in outcome.err
    assert small.read_bytes() == before


def test_copies_within_the_input_folder_are_no_inputs(photos: Path) -> None:
    arguments = ("encode", "-r", photos, "-o", photos / "out", *LARGE, "--no-larger")
    succeeded(run(*arguments))
    before = files(photos)
    assert summary(run(*arguments)) == "0 done, 3 skipped, 0 failed"
    assert files(photos) == before
    jpeg(photos / "small.jpg", height=32)
    later(photos / "small.jpg")
    assert summary(run(*arguments)) == "0 done, 1 kept, 2 skipped, 0 failed"
    assert (photos / "out" / "small.jpg").read_bytes() == (photos / "small.jpg").read_bytes()


def test_copies_are_inputs_once_their_own_folder_is_encoded(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeeded(run("encode", "-r", small.parent, "-o", out, *LARGE, "--no-larger"))
    assert summary(run("encode", "-r", out, *SMALL)) == "1 done, 0 skipped, 0 failed"


def test_two_originals_are_not_kept_in_one_place(small: Path, tmp_path: Path) -> None:
    save = Image.fromarray(drawn(16, 16)).save
    save(small.with_suffix(".png"))  # so that there are small.jpg.cae and small.png.cae
    other = jpeg(tmp_path / "other" / "small.jpg", height=32)
    out = tmp_path / "out"
    outcome = run("encode", "-r", small.parent, other.parent, "-o", out, *LARGE, "--no-larger")
    assert outcome.status == 1
    assert f"{other}: it cannot be copied to {out / 'small.jpg'}, another file of this run" in outcome.err
    assert (out / "small.jpg").read_bytes() == small.read_bytes()
    assert not (out / "small.cae").exists()


def test_an_original_is_not_copied_over_another_even_when_forced(small: Path, tmp_path: Path) -> None:
    Image.fromarray(drawn(16, 16)).save(small.with_suffix(".png"))
    other = jpeg(tmp_path / "other" / "small.jpg", height=32)
    before = small.read_bytes()
    arguments = ("encode", "-r", small.parent, other.parent, "-o", small.parent, *LARGE, "--no-larger", "-f")
    outcome = run(*arguments)
    assert outcome.status == 1
    assert f"{other}: it cannot be copied to {small}, another file of this run" in outcome.err
    assert small.read_bytes() == before


# --no-larger: dry runs


def test_a_dry_run_says_what_might_be_done(photos: Path, tmp_path: Path) -> None:
    small, out = photos / "small.jpg", tmp_path / "out"
    before = files(tmp_path)
    lines = succeeded(run("encode", "-r", photos, "-o", out, "--no-larger", "--dry-run")).splitlines()
    assert (
        f"{small} would be written to {out / 'small.cae'}; "
        f"if that is not smaller, the original is copied to {out / 'small.jpg'}"
    ) in lines
    line = succeeded(run("encode", small, "--no-larger", "--dry-run"))
    assert line.endswith("small.cae; if that is not smaller, the original is kept where it is\n")
    facts = strict_json(
        succeeded(run("encode", small, "-o", f"{out}/", "--no-larger", "--dry-run", "--json"))
    )
    assert facts == {
        "file": str(small),
        "output": str(out / "small.cae"),
        "output_if_kept": str(out / "small.jpg"),
    }
    assert files(tmp_path) == before


def test_a_dry_run_names_what_is_in_the_way_of_a_copy(small: Path, tmp_path: Path) -> None:
    jpeg(tmp_path / "out" / "small.jpg", height=24)
    arguments = ("encode", small, "-o", f"{tmp_path}/out/", "--no-larger", "--dry-run")
    expected = (
        f"if that is not smaller: {tmp_path / 'out' / 'small.jpg'} is there already; --force replaces it"
    )
    assert expected in succeeded(run(*arguments))


def test_a_dry_run_skips_what_was_kept(small: Path, tmp_path: Path) -> None:
    arguments = ("encode", "-r", small.parent, "-o", tmp_path / "out", *LARGE, "--no-larger")
    succeeded(run(*arguments))
    line = succeeded(run(*arguments, "--dry-run"))
    assert (
        f"{small} would be skipped: {tmp_path / 'out/small.jpg'} exists and was made from this file" in line
    )
