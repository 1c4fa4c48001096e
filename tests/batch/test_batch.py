"""Folders coded and decoded whole: what is taken, where it goes, what is skipped, what is said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caesura
from caesura.batch import record
from caesura.batch.jobs import Encode
from caesura.batch.plan import plan
from caesura.batch.run import run_task
from caesura.batch.tasks import Kind
from caesura.models import bundle, ladder
from caesura.options import EncodeOptions
from caesura.picture import formats
from cli_helpers import complaint, drawn, files, opened, process, run, strict_json, succeeded
from train_helpers import save


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A tree of pictures, and of what is none."""
    folder = tmp_path / "photos"
    for name, height in {"a.png": 16, "b.JPG": 24, "deep/c.webp": 32, "deep/er/d.Tiff": 40}.items():
        save(folder / name, drawn(height, 24))
    save(folder / ".hidden.png", drawn(8, 8))
    save(folder / ".hidden" / "e.png", drawn(8, 8))
    (folder / "notes.txt").write_text("no picture")
    (folder / "film.mpg").write_bytes(b"no picture")
    (folder / "old.cae").write_bytes(b"coded")
    return folder


CODED = ["a.cae", "b.cae", "deep/c.cae", "deep/er/d.cae"]


def age(path: Path, seconds: int) -> None:
    """Make a file older."""
    then = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(then, then))


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_is_mirrored(jobs: int, photos: Path, tmp_path: Path) -> None:
    before = files(photos)
    outcome = run("encode", "-r", photos, "-o", tmp_path / "out", "--jobs", jobs)
    lines = succeeded(outcome).splitlines()
    assert sorted(line.split()[0] for line in lines) == [str(tmp_path / "out" / name) for name in CODED]
    assert files(photos) == before
    assert list(files(tmp_path / "out")) == CODED
    with Image.open(photos / "deep" / "c.webp") as picture:
        data = caesura.encode(picture)
    assert caesura.decode_array((tmp_path / "out/deep/c.cae").read_bytes()).shape == (32, 24, 3)
    if jobs == 1:
        assert (tmp_path / "out/deep/c.cae").read_bytes() == data
    assert outcome.err.splitlines()[-1].startswith("4 done, 0 skipped, 0 failed; ")


@pytest.mark.slow
def test_and_comes_back(photos: Path, tmp_path: Path) -> None:
    succeeded(run("encode", "-r", photos, "-o", tmp_path / "out"))
    outcome = run("decode", "-r", tmp_path / "out", "-o", tmp_path / "back")
    succeeded(outcome)
    assert list(files(tmp_path / "back")) == [name.replace(".cae", ".png") for name in CODED]
    data = (tmp_path / "out/deep/er/d.cae").read_bytes()
    assert np.array_equal(opened(tmp_path / "back/deep/er/d.png"), caesura.decode_array(data))
    assert outcome.err.splitlines()[-1].startswith("4 done, 0 skipped, 0 failed; ")


@pytest.mark.slow
def test_without_an_output_results_lie_beside_their_sources(photos: Path) -> None:
    (photos / "old.cae").unlink()
    before = files(photos)
    succeeded(run("encode", "-r", photos))
    assert sorted(set(files(photos)) - set(before)) == CODED
    before = files(photos)
    succeeded(run("decode", "-r", photos, "--format", "avif"))
    made = sorted(set(files(photos)) - set(before))
    assert made == [name.replace(".cae", ".avif") for name in CODED]


def test_files_and_folders_go_together(photos: Path, picture: Path, tmp_path: Path) -> None:
    succeeded(run("encode", "-r", picture, photos, "-o", tmp_path / "out.d"))
    assert list(files(tmp_path / "out.d")) == sorted([*CODED, "picture.cae"])


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_folder_needs_the_option(command: str, photos: Path) -> None:
    before = files(photos)
    line = complaint(run(command, photos))
    assert f"{photos} is a folder; -r reads the " in line
    assert files(photos) == before


def test_a_folder_without_the_option_does_not_hold_up_the_rest(photos: Path, picture: Path) -> None:
    assert "is a folder" in complaint(run("encode", photos, picture))
    assert list(files(picture.parent)) == ["picture.cae", "picture.png"]


@pytest.mark.parametrize(("command", "what"), [("encode", "pictures"), ("decode", ".cae files")])
def test_a_folder_with_nothing_in_it_says_so(command: str, what: str, tmp_path: Path) -> None:
    assert complaint(run(command, "-r", tmp_path)) == f"caesura: {tmp_path} holds no {what}"


def test_a_folder_does_not_go_into_a_file(photos: Path, picture: Path) -> None:
    line = complaint(run("encode", "-r", photos, "-o", picture))
    assert f"{picture} is a file; {photos} needs a folder" in line


@pytest.mark.slow
def test_pictures_that_differ_in_their_extension_keep_it(photos: Path, tmp_path: Path) -> None:
    save(photos / "a.webp", drawn(8, 8))
    save(photos / "a.png.png", drawn(32, 8))  # what a.png would be called
    for done, skipped in ((6, 0), (0, 6)):
        outcome = run("encode", "-r", photos, "-o", tmp_path / "out")
        succeeded(outcome)
        assert outcome.err.splitlines()[-1].startswith(f"{done} done, {skipped} skipped, 0 failed")
    names = ["a.png.cae", "a.png.png.cae", "a.webp.cae", *CODED[1:]]
    contents = files(tmp_path / "out")
    assert list(contents) == names
    heights = [caesura.read_header(contents[name]).height for name in names[:3]]
    assert heights == [16, 32, 8]


def test_two_folders_may_not_meet_in_one_name(photos: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other" / "deep" / "c.png", drawn(8, 8))
    outcome = run("encode", "-r", photos, tmp_path / "other", "-o", tmp_path / "out")
    assert outcome.status == 1
    assert (
        f"{other}: {tmp_path / 'out/deep/c.cae'} is already the output for {photos / 'deep/c.webp'}"
        in outcome.err
    )
    assert list(files(tmp_path / "out")) == CODED


def test_what_is_done_is_skipped_and_what_is_older_done_again(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeeded(run("encode", "-r", photos, "-o", out))
    before = files(out)
    for name in CODED:
        age(out / name, 60 if name == "b.cae" else -60)
    save(photos / "b.JPG", drawn(8, 8))
    outcome = run("encode", "-r", photos, "-o", out)
    assert [line.split()[0] for line in succeeded(outcome).splitlines()] == [str(out / "b.cae")]
    assert outcome.err.splitlines()[-1].startswith("1 done, 3 skipped, 0 failed; ")
    contents = files(out)
    assert [name for name in CODED if contents[name] != before[name]] == ["b.cae"]


# What lies where a result would go may be the only copy of a photograph.


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("seconds", [-60, 60])
def test_an_original_is_kept_when_its_folder_is_decoded(
    seconds: int, elsewhere: bool, photos: Path, tmp_path: Path
) -> None:
    (photos / "old.cae").unlink()
    coded = tmp_path / "coded" if elsewhere else photos
    succeeded(run("encode", "-r", photos, *(["-o", coded] if elsewhere else [])))
    for name in CODED:
        age(coded / name, seconds)
    before = files(photos)
    outcome = run("decode", "-r", coded, *(["-o", photos] if elsewhere else []))
    after = files(photos)
    assert {name: after[name] for name in before} == before
    assert outcome.status == 1
    assert "a.png is there already; --force replaces it; it is not known to be made from this" in outcome.err


@pytest.mark.slow
def test_a_result_that_was_changed_since_is_kept(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeeded(run("encode", "-r", photos, "-o", out))
    (out / "a.cae").write_bytes(b"changed")
    age(out / "a.cae", 60)
    outcome = run("encode", "-r", photos, "-o", out)
    assert outcome.status == 1
    assert "a.cae is there already; --force replaces it; it was changed since it was made" in outcome.err
    assert (out / "a.cae").read_bytes() == b"changed"
    succeeded(run("encode", "-r", photos, "-o", out, "--force"))
    assert (out / "a.cae").read_bytes() != b"changed"


def test_a_result_that_is_changed_during_the_run_is_kept(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeeded(run("encode", "-r", photos, "-o", out))
    save(photos / "a.png", drawn(8, 8))
    age(out / "a.cae", 60)
    kind = Kind("pictures", formats.is_picture)
    (task, *_) = plan([photos], str(out), ".cae", kind, recursive=True, force=False).tasks
    (out / "a.cae").write_bytes(b"changed")
    job = Encode(EncodeOptions(effort=1))
    assert "it was changed during this run" in run_task(job, task).error
    assert (out / "a.cae").read_bytes() == b"changed"


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["1", "1/8"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_was_decoded_in_the_place_of_an_original_is_not_coded_again(
    scale: str, elsewhere: bool, photos: Path, tmp_path: Path
) -> None:
    trip = photos / "deep"
    coded = tmp_path / "coded" if elsewhere else trip
    options = ["-o", coded] if elsewhere else []
    succeeded(run("encode", "-r", trip, *options))
    before = (coded / "c.cae").read_bytes()
    (trip / "c.webp").unlink()
    succeeded(run("decode", coded / "c.cae", "--scale", scale, "-o", trip / "c.webp"))
    age(coded / "c.cae", 60)
    outcome = run("encode", "-r", trip, *options)
    succeeded(outcome)
    assert outcome.err.splitlines()[-1] == "0 done, 2 skipped, 0 failed"
    assert (coded / "c.cae").read_bytes() == before


@pytest.mark.slow
def test_folders_that_were_moved_and_parts_of_them_are_known(photos: Path, tmp_path: Path) -> None:
    (photos / "old.cae").unlink()
    succeeded(run("encode", "-r", photos))
    moved = photos.rename(tmp_path / "moved")
    outcome = run("encode", "-r", moved)
    succeeded(outcome)
    assert outcome.err.splitlines()[-1] == "0 done, 4 skipped, 0 failed"
    succeeded(run("encode", "-r", moved, "--force"))
    save(moved / "deep" / "c.webp", drawn(8, 8))
    age(moved / "deep" / "c.cae", 60)
    outcome = run("encode", "-r", moved / "deep")
    succeeded(outcome)
    assert outcome.err.splitlines()[-1].startswith("1 done, 1 skipped, 0 failed")


def test_links_that_lead_nowhere_or_to_pipes(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeeded(run("encode", "-r", photos, "-o", out))
    (photos / "a.png").unlink()
    (photos / "a.png").symlink_to("a.png")
    os.mkfifo(tmp_path / "pipe")
    (photos / "pipe.png").symlink_to(tmp_path / "pipe")
    (photos / "zero.png").symlink_to("/dev/zero")
    outcome = run("encode", "-r", photos, "-o", out)
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == "0 done, 3 skipped, 1 failed"


@pytest.mark.parametrize("seconds", [-60, 60])
def test_a_result_of_another_folder_is_kept(seconds: int, photos: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other", tmp_path / "out"
    save(other / "a.png", drawn(8, 8))
    succeeded(run("encode", "-r", photos, "-o", out))
    before = files(out)
    age(out / "a.cae", seconds)
    outcome = run("encode", "-r", other, "-o", out)
    assert outcome.status == 1
    assert f"--force replaces it; it was made from {photos / 'a.png'}" in outcome.err
    assert files(out) == before


def test_what_is_not_in_the_record_is_kept(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeeded(run("encode", "-r", photos, "-o", out))
    (out / record.NAME).unlink()
    age(out / "a.cae", 60)
    before = files(out)
    outcome = run("encode", "-r", photos, "-o", out)
    assert outcome.status == 1
    assert outcome.err.count("it is not known to be made from this file") == 4
    assert outcome.err.splitlines()[-1] == "0 done, 0 skipped, 4 failed"
    assert files(out) == before


def test_a_record_that_was_cut_off_loses_a_line(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeeded(run("encode", "-r", photos, "-o", out))
    path = out / record.NAME
    lines = [line for line in path.read_text().splitlines() if line]
    path.write_text("\n".join([*lines[:-1], lines[-1][:20]]))
    save(photos / "a.png", drawn(8, 8))
    age(out / "a.cae", 60)
    outcome = run("encode", "-r", photos, "-o", out)
    assert outcome.err.splitlines()[-1].startswith("1 done, 2 skipped, 1 failed")
    assert len([line for line in path.read_text().splitlines() if line]) == 5


@pytest.mark.slow
def test_what_was_decoded_in_its_place_is_not_coded_again(photos: Path) -> None:
    (photos / "old.cae").unlink()
    succeeded(run("encode", "-r", photos))
    for name in ("a.png", "b.JPG", "deep/c.webp", "deep/er/d.Tiff"):
        (photos / name).unlink()
    before = files(photos)
    succeeded(run("decode", "-r", photos))
    succeeded(run("decode", "-r", photos, "--format", "webp"))
    for name in CODED:
        age(photos / name, 60)
    outcome = run("encode", "-r", photos)
    succeeded(outcome)
    assert outcome.err.splitlines()[-1] == "0 done, 8 skipped, 0 failed"
    after = files(photos)
    assert {name: after[name] for name in before} == before
    save(photos / "a.png", drawn(8, 8))  # edited
    succeeded(run("encode", "-r", photos))
    assert caesura.read_header((photos / "a.cae").read_bytes()).height == 8


def test_a_result_is_never_its_own_source(photos: Path, picture: Path) -> None:
    (photos / "a.cae").symlink_to(photos / "a.png")
    link = picture.with_suffix(".cae")
    link.symlink_to(picture)
    before = files(photos), picture.read_bytes()
    for arguments in (["-r", photos], [picture], [picture, "-o", picture]):
        outcome = run("encode", *arguments, "--force")
        assert outcome.status == 1
        assert "itself; another output is needed" in outcome.err
    assert ({name: files(photos)[name] for name in before[0]}, picture.read_bytes()) == before


# Files that are ignored


def test_files_that_are_not_taken_are_counted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "is_picture", lambda path: path.suffix in (".png", ".webp"))
    monkeypatch.setattr(formats, "HAS_HEIF", False)
    for name in ("1.HEIC", "deep/2.heic", "raw.dng", "README"):
        (photos / name).write_bytes(b"")
    outcome = run("encode", "-r", photos, "-o", tmp_path / "out")
    succeeded(outcome)
    others, hint, summary = outcome.err.splitlines()
    assert others.startswith("ignored: 2 .heic, ")
    for part in ("1 .dng", "1 without an extension", "1 .txt", "1 .mpg", "1 .cae", "1 .jpg", "1 .tiff"):
        assert part in others
    assert hint == "HEIC is read where pillow-heif is installed: pip install pillow-heif"
    assert summary.startswith("2 done, 0 skipped, 0 failed; ")


def test_a_folder_of_other_files_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "raw.dng").write_bytes(b"")
    assert complaint(run("encode", "-r", tmp_path)).endswith(f"{tmp_path} holds no pictures; it holds 1 .dng")


def test_an_error_of_any_kind_is_one_files_own(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(content: bytes, name: str, max_pixels: int) -> Image.Image:
        if name.endswith("b.JPG"):
            raise IndexError("out of range")
        return opened(content, name, max_pixels)

    opened = formats.opened
    monkeypatch.setattr(formats, "opened", fails)
    outcome = run("encode", "-r", photos, "-o", tmp_path / "out")
    assert outcome.status == 1
    assert outcome.err.splitlines()[0] == f"caesura: {photos / 'b.JPG'}: IndexError: out of range"
    assert list(files(tmp_path / "out")) == ["a.cae", *CODED[2:]]


@pytest.mark.slow
def test_force_does_everything(photos: Path, tmp_path: Path) -> None:
    succeeded(run("encode", "-r", photos, "-o", tmp_path / "out"))
    outcome = run("encode", "-r", photos, "-o", tmp_path / "out", "--force", "-q", 10)
    assert succeeded(outcome).count("\n") == 4
    coded = caesura.read_header((tmp_path / "out/a.cae").read_bytes()).ladder_position
    assert coded == ladder.position_of(10, bundle.load().quality_scale)


def test_a_named_file_is_kept_even_in_a_folder_run(photos: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "picture.cae").write_bytes(b"kept")
    outcome = run("encode", "-r", photos, picture, "-o", tmp_path / "out")
    assert outcome.status == 1
    assert "picture.cae is there already; --force replaces it" in outcome.err
    assert list(files(tmp_path / "out")) == sorted([*CODED, "picture.cae"])


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_bad_files_are_reported_and_the_rest_go_on(jobs: int, photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(b"no picture")
    (photos / "lost.png").symlink_to(photos / "nowhere.png")
    os.mkfifo(photos / "pipe.png")  # is not waited for
    outcome = run("encode", "-r", photos, "-o", tmp_path / "out", "-j", jobs)
    assert outcome.status == 1
    *errors, _, summary = outcome.err.splitlines()
    assert sorted(errors) == [
        f"caesura: {photos / 'bad.png'} is not a picture in a format known here",
        f"caesura: {photos / 'lost.png'}: No such file or directory",
    ]
    assert summary.startswith("4 done, 0 skipped, 2 failed; ")
    assert list(files(tmp_path / "out")) == CODED


@pytest.mark.slow
def test_a_folder_in_a_results_place_fails_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "a.cae").mkdir(parents=True)
    outcome = run("encode", "-r", photos, "-o", tmp_path / "out")
    assert outcome.status == 1
    assert "a.cae is there already" in outcome.err
    assert list(files(tmp_path / "out")) == CODED[1:]


@pytest.mark.slow
def test_a_name_that_is_no_text_is_coded_and_said(photos: Path, tmp_path: Path) -> None:
    (photos / os.fsdecode(b"\xff.png")).write_bytes((photos / "a.png").read_bytes())
    outcome = process("encode", "-r", photos, "-o", tmp_path / "out")
    assert "\\udcff.cae" in succeeded(outcome)
    assert outcome.err.splitlines()[-1].startswith("5 done")


@pytest.mark.slow
def test_warnings_are_lines_that_name_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "deep.png", np.full((16, 16), 700, np.uint16))
    outcome = process("encode", path)
    succeeded(outcome)
    assert outcome.err.splitlines() == [
        f"caesura: warning: {path}: image has mode I;16; the upper 8 of its 16 bits are coded"
    ]


# --dry-run and --json


def test_a_dry_run_writes_nothing_and_says_what_it_would(photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    run("encode", "-r", photos, "-o", out)
    for name in CODED[1:]:
        (out / name).unlink()
    before = files(tmp_path)
    outcome = run("encode", "-r", photos, "-o", out, "--dry-run")
    lines = succeeded(outcome).splitlines()
    assert f"{photos / 'a.png'} would be skipped: {out / 'a.cae'} exists and was made from this file" in lines
    assert f"{photos / 'deep/c.webp'} would be written to {out / 'deep/c.cae'}" in lines
    assert outcome.err.splitlines()[-1] == "4 to do, 1 skipped, 0 failed"
    assert files(tmp_path) == before


def test_a_dry_run_finds_what_would_be_refused(picture: Path) -> None:
    picture.with_suffix(".cae").write_bytes(b"kept")
    assert "is there already; --force replaces it" in complaint(run("encode", picture, "--dry-run"))
    succeeded(run("encode", picture, "--dry-run", "--force"))
    assert picture.with_suffix(".cae").read_bytes() == b"kept"


@pytest.mark.slow
def test_json_is_an_object_a_file(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photos / "bad.png").write_bytes(b"no picture")
    run("encode", "-r", photos, "-o", out)
    for name in CODED[1:]:
        (out / name).unlink()
    outcome = run("encode", "-r", photos, "-o", out, "--json")
    assert outcome.status == 1
    facts = {Path(fact["file"]).name: fact for fact in map(strict_json, outcome.out.splitlines())}
    assert set(facts) == {"a.png", "b.JPG", "bad.png", "c.webp", "d.Tiff"}
    size = (out / "b.cae").stat().st_size
    seconds = facts["b.JPG"].pop("seconds")
    assert seconds > 0
    assert facts["b.JPG"] == {
        "file": str(photos / "b.JPG"),
        "output": str(out / "b.cae"),
        "bytes_before": (photos / "b.JPG").stat().st_size,
        "bytes": size,
        "width": 24,
        "height": 24,
        "bpp": round(8 * size / 24**2, 4),
    }
    assert facts["a.png"]["skipped"] == f"{out / 'a.cae'} exists and was made from this file"
    assert "is not a picture" in facts["bad.png"]["error"]
    assert facts["bad.png"]["bytes_before"] == 10


def test_json_of_decode_gives_the_rate_of_the_coded_file(file: Path) -> None:
    facts = strict_json(succeeded(run("decode", file, "--json")))
    size = file.stat().st_size
    assert (facts["bytes_before"], facts["width"], facts["height"]) == (size, 56, 40)
    assert facts["bytes"] == file.with_suffix(".png").stat().st_size
    assert facts["bpp"] == round(8 * size / (56 * 40), 4)


def test_a_dry_run_in_json_says_where_things_would_go(picture: Path) -> None:
    facts = strict_json(succeeded(run("encode", picture, "--json", "--dry-run")))
    assert facts == {"file": str(picture), "output": str(picture.with_suffix(".cae"))}


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_jobs_that_cannot_be_are_refused(jobs: str, picture: Path) -> None:
    outcome = run("encode", picture, f"--jobs={jobs}")
    assert outcome.status == 2
    assert "jobs" in outcome.err
