"""Archives: what goes in comes out once, whatever dies on the way.

A run on Ray takes seconds to start its workers. Tests of what a worker reads and writes run without it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import archive_helpers
import caesura
from archive_helpers import in_this_process
from caesura.archive import engine
from caesura.archive.manifest import FOLDER, Manifest
from caesura.archive.reading import Reader
from caesura.archive.run import Archive
from caesura.archive.store import Store
from caesura.archive.units import Done, Item, Unit
from caesura.archive.work import Work, Worker
from caesura.batch.jobs import Decode, Encode
from caesura.errors import ConfigError, DependencyError, ModelError
from caesura.options import EncodeOptions
from caesura.picture.formats import is_picture
from caesura.ratecontrol.search import Target
from cli_helpers import complaint, drawn, files, heeding_ctrl_c, run, succeeded

pa = pytest.importorskip("pyarrow", reason="archives need the extra [ray]")
pq = pytest.importorskip("pyarrow.parquet", reason="archives need the extra [ray]")

PATIENCE = 180  # seconds, of a machine with much else to do
JOB = Encode(EncodeOptions(quality=50, effort=2))


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket of a server that speaks S3, on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        Store("s3://bucket").fs.mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(scope="module")
def ray_here(s3: str) -> Iterator[None]:
    """A cluster that all tests of this file share; its workers know the settings of `s3`."""
    with engine.cluster(2, None):
        yield


def address() -> str:
    """Of the cluster that tests share."""
    import ray

    found: str = ray.get_runtime_context().gcs_address
    return found


@pytest.fixture
def without_ray() -> Iterator[None]:
    """Runs are in this process."""
    with in_this_process():
        yield


def png(number: int) -> bytes:
    """A picture of one of two sizes, no two alike."""
    pixels = drawn(*((24, 40) if number % 2 else (40, 24)))
    pixels[:4, :4] = number
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def photos(folder: Path, number: int) -> Path:
    """A folder tree of pictures."""
    for place in range(number):
        path = folder / "ab"[place % 2] / f"{place:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(place))
    return folder


def archive(source: Path | str, destination: Path | str, **settings: Any) -> Archive:
    return Archive(str(source), str(destination), JOB, ".cae", **{"batch": 2} | settings)


def begun(archive: Archive, *, force: bool = False) -> Work:
    """What workers are given once a run has begun; there is no cluster."""
    return archive._begin(archive._checked(force)[1], 0, force)[0]


def coded(path: Path) -> bytes:
    """What the archive makes of a picture."""
    with Image.open(path) as picture:
        return caesura.encode(picture, JOB.options)


def rows(destination: Path | str) -> list[dict[str, Any]]:
    return sorted(Manifest(Store(str(destination))).all(), key=lambda row: str(row["path"]))


def check(source: Path, destination: Path, *, failed: tuple[str, ...] = ()) -> None:
    """Every source has one row, every output decodes, and nothing else is there."""
    names = sorted(str(p.relative_to(source)) for p in source.rglob("*.png"))
    found = rows(destination)
    assert [row["path"] for row in found] == names
    assert sorted(row["path"] for row in found if row["error"]) == sorted(failed)
    outputs = set()
    for row in found:
        if row["error"]:
            continue
        data = (destination / row["output"]).read_bytes()
        outputs.add(row["output"])
        assert row["output"] == f"{row['path']}.cae"
        assert (row["bytes_before"], row["bytes"]) == ((source / row["path"]).stat().st_size, len(data))
        assert caesura.decode_array(data).shape[:2] == (row["height"], row["width"])
        assert row["bpp"] == pytest.approx(8 * len(data) / row["height"] / row["width"])
        assert (row["model"], row["quality"]) == (f"{caesura.read_header(data).model_id:08x}", 50)
    there = {str(p.relative_to(destination)) for p in destination.rglob("*") if p.is_file()}
    assert {name for name in there if not name.startswith(FOLDER)} == outputs
    assert not [name for name in there if "/doing-" in name]


def workers() -> list[int]:
    """Process ids of this test's own workers, which Ray names."""
    parents, found = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            pid = int(folder.name)
            parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if "MapWorker" in (folder / "cmdline").read_text():
                found.append(pid)
        except (OSError, ValueError):
            continue

    def is_ours(pid: int) -> bool:
        while pid > 1:
            pid = parents.get(pid, 0)
            if pid == os.getpid():
                return True
        return False

    return [pid for pid in found if is_ours(pid)]


# Whole runs


def test_a_folder_and_a_bad_picture_and_running_again(ray_here: None, tmp_path: Path) -> None:
    source, out, back = photos(tmp_path / "in", 7), tmp_path / "out", tmp_path / "back"
    (source / "a" / "bad.png").write_bytes(b"not a picture")
    command = ("archive", "encode", source, out, "--batch", 2, "--workers", 1)
    outcome = run(*command, "--json")
    assert outcome.status == 1
    assert "a/bad.png" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("7 done, 0 skipped, 1 failed")
    facts = [json.loads(line) for line in outcome.out.splitlines()]
    assert sorted(fact["path"] for fact in facts) == [row["path"] for row in rows(out)]
    check(source, out, failed=("a/bad.png",))

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.cae")}
    (source / "a" / "bad.png").write_bytes(png(99))
    assert succeeded(run(*command, "--dry-run")) == "1 pictures would be done, 7 are done already\n"
    assert succeeded(run(*command)).startswith("1 done, 7 skipped, 0 failed")
    check(source, out)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in out.rglob("*.cae")}.items()

    assert "quality 50" in complaint(run(*command, "-q", 30)).replace("None", "50")
    with in_this_process():
        succeeded(run("archive", "decode", out, back, "--workers", 2))
    assert len(list(back.rglob("*.png.png"))) == 8
    with Image.open(back / "a" / "bad.png.png") as picture:
        wanted = caesura.decode_array((out / "a" / "bad.png.cae").read_bytes())
        assert np.array_equal(np.asarray(picture), wanted)


def test_a_worker_that_is_killed_loses_and_doubles_nothing(ray_here: None, tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 40), tmp_path / "out"
    killed = []
    with archive(source, out).open(2) as (summary, finished):
        for _ in finished:
            if not killed:
                killed = workers()[:1]
                os.kill(killed[0], signal.SIGKILL)
    assert killed
    assert (summary.done, summary.failed) == (40, 0)
    check(source, out)


@pytest.mark.parametrize(
    ("number", "status", "own"), [(signal.SIGINT, 130, True), (signal.SIGKILL, -9, False)]
)
def test_a_driver_that_ends_leaves_what_the_next_goes_on_with(
    number: int, status: int, own: bool, ray_here: None, tmp_path: Path
) -> None:
    """With `own`, the driver starts Ray itself, without stdout; else it uses a cluster that outlives it."""
    source, out = photos(tmp_path / "in", 60), tmp_path / "out"
    options = ("encode", source, out, "--batch", 1, "--workers", 1, "-q", 50)
    command = [sys.executable, "-m", "caesura.cli", "archive", *map(str, options)]
    command = ["sh", "-c", 'exec "$@" 1>&-', "sh", *command] if own else [*command, "--address", address()]
    with heeding_ctrl_c():
        child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    with child:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not list(out.glob(f"{FOLDER}/part-*")):
            time.sleep(0.005)
        os.killpg(child.pid, number)  # as a terminal does
        _, said = child.communicate(timeout=PATIENCE)
    assert child.returncode == status
    assert "Traceback" not in said.decode()
    for path in out.rglob("*.cae"):
        caesura.decode_array(path.read_bytes())
    done = len(rows(out))
    assert 0 < done < 60
    with in_this_process():
        outcome = run("archive", *options)
    assert "0 failed" in succeeded(outcome)
    check(source, out)


def test_s3_to_s3_and_back(ray_here: None, s3: str, tmp_path: Path) -> None:
    store = Store(s3)
    for place in range(5):
        store.write(f"photos/sub/{place}.png", png(place))
    command = ("archive", "encode", f"{s3}/photos", f"{s3}/coded", "--batch", 2, "--workers", 1)
    assert succeeded(run(*command)).startswith("5 done, 0 skipped, 0 failed")
    with in_this_process():
        assert succeeded(run(*command)).startswith("0 done, 5 skipped, 0 failed")
    assert [row["output"] for row in rows(f"{s3}/coded")] == [f"sub/{place}.png.cae" for place in range(5)]
    assert caesura.decode(store.read("coded/sub/3.png.cae")).size == (40, 24)
    succeeded(run("archive", "decode", f"{s3}/coded", tmp_path / "back"))
    assert len(list((tmp_path / "back" / "sub").glob("*.png"))) == 5


def test_tar_shards_keep_the_rest_of_their_samples(ray_here: None, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for shard in range(2):
        with tarfile.open(tmp_path / "in" / f"{shard}.tar", "w") as tar:
            for place in range(3):
                for ending, content in (("json", b"{}"), ("png", png(3 * shard + place))):
                    fact = tarfile.TarInfo(f"{place}.{ending}")
                    fact.size = len(content)
                    tar.addfile(fact, io.BytesIO(content))
    (tmp_path / "in" / "cut.tar").write_bytes((tmp_path / "in" / "0.tar").read_bytes()[:700])
    out = tmp_path / "out"
    outcome = run("archive", "encode", tmp_path / "in", out, "--to", "tar", "--batch", 2, "--workers", 1)
    assert outcome.status == 1
    assert outcome.out.startswith("6 done, 0 skipped, 1 failed")
    assert "cut.tar" in outcome.err
    members = []
    for row in rows(out):
        if row["error"]:
            continue
        shard, _, member = row["output"].partition("/")
        with tarfile.open(out / shard) as tar:
            content = tar.extractfile(member)
            assert content is not None
            assert caesura.decode(content.read()).size == (row["width"], row["height"])
            members += tar.getnames()
    assert {member.split(".", 1)[1] for member in members} == {"json", "png.cae"}
    with in_this_process():
        succeeded(run("archive", "decode", out, tmp_path / "back", "--to", "tar"))
    assert len(rows(tmp_path / "back")) == 6


@pytest.mark.slow
def test_tables_keep_their_other_columns(without_ray: None, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pictures = [png(place) for place in range(5)]
    pictures[3] = b"bad"
    cells = [{"bytes": data, "path": "x.png"} for data in pictures]
    table = pa.table({"image": cells, "label": list(range(5))})
    pq.write_table(table, tmp_path / "in" / "t.parquet")
    out = tmp_path / "out"
    outcome = run("archive", "encode", tmp_path / "in", out, "--to", "parquet", "--batch", 2, "--workers", 1)
    assert outcome.status == 1
    assert outcome.out.startswith("4 done, 0 skipped, 1 failed")
    coded = pa.concat_tables([pq.read_table(path) for path in out.glob("table-*.parquet")]).sort_by("label")
    assert coded["label"].to_pylist() == [0, 1, 2, 4]
    decoded = [caesura.decode(data).size for data in coded["image"].to_pylist()]
    assert decoded == [(24, 40), (40, 24), (24, 40), (24, 40)]
    assert rows(out)[1]["path"] == "t.parquet/000000001-x.png"

    lost = "0123456789abcdef"
    (out / f"table-{lost}.parquet").write_bytes(b"what a dead worker did not note")
    attempt = Manifest(Store(str(out))).attempt(lost)
    attempt.begin(["t.parquet/000000009-x.png"])
    attempt.announce(b"what a dead worker did not note")
    foreign = out / "table-fedcba9876543210.parquet"
    pq.write_table(table, foreign)
    cells[3]["bytes"] = png(3)
    pq.write_table(pa.table({"image": cells, "label": list(range(5))}), tmp_path / "in" / "t.parquet")
    outcome = run("archive", "encode", tmp_path / "in", out, "--to", "parquet", "--batch", 2, "--workers", 1)
    assert succeeded(outcome).startswith("1 done, 4 skipped, 0 failed")
    assert pq.read_table(foreign) == table
    foreign.unlink()
    coded = pa.concat_tables([pq.read_table(path) for path in out.glob("table-*.parquet")])
    assert sorted(coded["label"].to_pylist()) == list(range(5))


# What lies in DST already may be somebody's only copy.


@pytest.mark.slow
@pytest.mark.parametrize("to", ["files", "tar", "parquet"])
def test_what_is_not_the_archives_is_kept(to: str, without_ray: None, tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 4), tmp_path / "out"
    theirs = {
        "a/000.png.cae": b"somebody's",
        "shard-000000.tar": b"a dataset's",
        "shard-0123456789abcdef.tar": b"a dataset's",
        "table-0.parquet": b"a table",
        "_manifest/notes.txt": b"notes",
    }
    for name, content in theirs.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    for _ in range(2):
        outcome = run("archive", "encode", source, out, "--to", to, "--batch", 2, "--workers", 1)
        assert {name: (out / name).read_bytes() for name in theirs} == theirs
        if to == "files":
            assert outcome.status == 1
            line = "caesura: a/000.png: a/000.png.cae is there already; --force replaces it"
            assert outcome.err.splitlines() == [line]
        else:
            succeeded(outcome)
    succeeded(run("archive", "encode", source, out, "--to", to, "--force", "--batch", 2, "--workers", 1))
    kept = {name: (out / name).read_bytes() for name in theirs}
    assert [name for name in theirs if kept[name] != theirs[name]] == (
        ["a/000.png.cae"] if to == "files" else []
    )


@pytest.mark.parametrize("to", ["files", "tar", "parquet"])
def test_what_comes_in_the_place_of_an_output_that_a_dead_worker_announced_is_kept(
    to: str, tmp_path: Path
) -> None:
    source, out = photos(tmp_path / "in", 2), tmp_path / "out"
    unit = Unit([Item("a/000.png", "a/000.png"), Item("b/001.png", "b/001.png")])
    run = archive(source, out, to=to)
    begun(run)
    attempt = Manifest(Store(str(out))).attempt(unit.id)
    attempt.begin([item.path for item in unit.items])
    if to != "files":
        attempt.announce(b"what it was about to write")
    places = {
        "files": ["a/000.png.cae", "b/001.png.cae"],
        "tar": [f"shard-{unit.id}.tar"] * 2,
        "parquet": [f"table-{unit.id}.parquet"] * 2,
    }[to]
    for name in places:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(b"somebody's")
    errors = [row["error"] for row in Worker(begun(run)).do(unit).rows]
    assert sorted(errors) == [
        f"{item.path}: {name} is there already; --force replaces it"
        for item, name in zip(unit.items, places, strict=True)
    ]
    assert {(out / name).read_bytes() for name in places} == {b"somebody's"}


def test_a_shard_that_a_dead_worker_wrote_is_written_again(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 1), tmp_path / "out"
    unit = Unit([Item("a/000.png", "a/000.png")])
    attempt = Manifest(Store(str(out))).attempt(unit.id)
    attempt.begin(["a/000.png"])
    attempt.announce(b"whole")
    (out / f"shard-{unit.id}.tar").write_bytes(b"whole")
    (row,) = Worker(Work(JOB, str(source), str(out), "tar", ".cae")).do(unit).rows
    assert (row["error"], row["output"]) == (None, f"shard-{unit.id}.tar/a/000.png.cae")
    assert tarfile.is_tarfile(out / f"shard-{unit.id}.tar")


def test_a_shard_of_the_same_name_is_kept(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 2), tmp_path / "out"
    unit = Unit([Item("a/000.png", "a/000.png"), Item("b/001.png", "b/001.png")])
    out.mkdir()
    (out / f"shard-{unit.id}.tar").write_bytes(b"somebody's")
    work = Work(JOB, str(source), str(out), "tar", ".cae")
    errors = [row["error"] for row in Worker(work).do(unit).rows]
    assert errors == [
        f"{item.path}: shard-{unit.id}.tar is there already; --force replaces it" for item in unit.items
    ]
    assert (out / f"shard-{unit.id}.tar").read_bytes() == b"somebody's"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "as_json", "status"),
    [("1>/dev/full", "", 0), ("1>&- 2>&-", "", 0), ("1>/dev/full", "--json", 1)],
)
def test_an_archive_is_made_whatever_becomes_of_the_lines(
    where: str, as_json: str, status: int, tmp_path: Path
) -> None:
    source, out = photos(tmp_path / "in", 2), tmp_path / "out"
    program = f'"{sys.executable}" "{archive_helpers.__file__}"'
    command = f'{program} archive encode "{source}" "{out}" -j 1 --batch 1 {as_json}'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        ["sh", "-c", f"{command} {where}"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == status, done.stderr
    assert len(list(out.rglob("*.cae"))) == 2
    assert (b"caesura: stdout: No space left on device" in done.stderr) == bool(as_json)


@pytest.mark.slow
def test_an_archive_begun_anew_removes_its_own_shards(without_ray: None, tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 4), tmp_path / "out"
    succeeded(run("archive", "encode", source, out, "--to", "tar", "--batch", 2, "--workers", 1))
    (out / "shard-000000.tar").write_bytes(b"a dataset's")
    succeeded(run("archive", "encode", source, out, "--to", "tar", "--batch", 4, "--workers", 1, "--force"))
    names = {row["output"].partition("/")[0] for row in rows(out)}
    assert {path.name for path in out.glob("shard-*")} == {"shard-000000.tar", *names}
    assert len(names) == 1


def test_pictures_that_a_dead_run_has_begun_are_done_whatever_units_they_are_in_now(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 2), tmp_path / "out"
    names = ["a/000.png", "b/001.png"]
    Manifest(Store(str(out))).attempt("0123456789abcdef").begin(names[:1])
    for name in names:
        (out / name).parent.mkdir(exist_ok=True)
        (out / f"{name}.cae").write_bytes(coded(source / name))
    work = begun(archive(source, out))
    found = Worker(work).do(Unit([Item(name, name) for name in names])).rows
    taken = "b/001.png: b/001.png.cae is there already; --force replaces it"
    assert {row["path"]: row["error"] for row in found} == {names[0]: None, names[1]: taken}
    assert caesura.decode((out / "a/000.png.cae").read_bytes()).size == (24, 40)
    assert (out / "b/001.png.cae").read_bytes() == coded(source / names[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "destination"), [("in", "in"), ("in", "in/out"), ("in/a", "in"), ("in", "link")]
)
def test_a_place_within_the_other_is_refused(source: str, destination: str, tmp_path: Path) -> None:
    photos(tmp_path / "in", 2)
    (tmp_path / "link").symlink_to(tmp_path / "in" / "a")
    before = files(tmp_path)
    for options in ([], ["--dry-run"], ["--force"]):
        line = complaint(run("archive", "encode", tmp_path / source, tmp_path / destination, *options))
        assert line.endswith("they must be different, and neither inside the other")
    assert files(tmp_path) == before


def test_names_that_lead_elsewhere_pipes_and_circles(tmp_path: Path) -> None:
    source = photos(tmp_path / "in", 2)
    (source / "circle").symlink_to(source)
    (source / "link.png").symlink_to(source / "a" / "000.png")
    os.mkfifo(source / "pipe.png")
    (source / os.fsdecode(b"\xff.png")).write_bytes(png(0))
    (tmp_path / "evil.tar").write_bytes(b"")
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        for name in ("../evil.png", "/evil.png", "good.png"):
            fact = tarfile.TarInfo(name)
            fact.size = len(png(0))
            tar.addfile(fact, io.BytesIO(png(0)))
    found = {item.path: item.error for unit in listed(source, "files") for item in unit.items}
    assert found == {
        "\\udcff.png": "\\udcff.png: the name is not UTF-8",
        **dict.fromkeys(("a/000.png", "b/001.png", "link.png"), ""),
    }
    found = {item.path: item.error for unit in listed(tmp_path / "evil.tar", "tar") for item in unit.items}
    assert found == {
        "evil.tar/../evil.png": "evil.tar/../evil.png: the name leads out of its folder",
        "evil.tar//evil.png": "evil.tar//evil.png: the name leads out of its folder",
        "evil.tar/good.png": "",
    }


def test_the_second_member_of_a_name_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "x.tar"
    with tarfile.open(source, "w") as tar:
        for place, name in enumerate(("a.png", "a.png", "./a.png", "b.png")):
            fact = tarfile.TarInfo(name)
            fact.size = len(png(place))
            tar.addfile(fact, io.BytesIO(png(place)))
    taken = [f"x.tar/{name}: the name is taken by an earlier member" for name in ("a.png", "./a.png")]
    for to, pictures in (("files", 64), ("tar", 64), ("parquet", 64), ("files", 1)):
        out = tmp_path / f"{to}{pictures}"
        worker = Worker(Work(JOB, str(source), str(out), to, ".cae"))
        units = listed(source, "tar", pictures=pictures)
        found = [row for unit in units for row in worker.do(unit).rows]
        assert sorted(row["error"] for row in found if row["error"]) == sorted(taken)
        made = {row["path"]: row["sha256"] for row in found if row.get("output")}
        assert made == {
            f"x.tar/{name}": hashlib.sha256(png(place)).hexdigest()
            for name, place in (("a.png", 0), ("b.png", 3))
        }
        again = listed(source, "tar", done=Done([made]))
        assert [item.error for unit in again for item in unit.items] == taken


def test_units_are_bounded_by_pictures_and_by_bytes(tmp_path: Path) -> None:
    source = photos(tmp_path / "in", 7)
    assert [len(unit.items) for unit in listed(source, "files", pictures=3)] == [3, 3, 1]
    assert [len(unit.items) for unit in listed(source, "files", size=1)] == [1] * 7
    done = Done([["a/000.png", "b/001.png"]])
    assert [len(unit.items) for unit in listed(source, "files", done=done)] == [5]


def listed(
    source: Path, kind: str, *, pictures: int = 64, size: int = 1 << 20, done: Done | None = None
) -> list[Unit]:
    reader = Reader(str(source), kind, is_picture, pictures, size)
    return [unit for file in reader.files() for unit in reader.units(file, done or Done())]


# Refusals


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("empty", "out"), "empty holds no pictures"),
        (("missing", "out"), "missing does not exist"),
        (("empty", "out", "--from", "zip"), "from is 'zip'; files, tar, parquet are allowed"),
        (("empty", "out", "--to", "zip"), "to is 'zip'; files, tar, parquet are allowed"),
        (("ftq://x/y", "out"), "ftq"),
        (("empty", "out", "-q", "50", "--bpp", "1"), "quality and bpp are given; one of them is allowed"),
    ],
)
def test_what_cannot_be_done_is_refused(options: tuple[str, ...], says: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    places = [word if "://" in word else str(tmp_path / word) for word in options[:2]]
    assert says in complaint(run("archive", "encode", *places, *options[2:]))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--model", "nosuch"), ("--tune", "ms-ssim"), ("--from", "parquet")])
def test_what_cannot_be_done_leaves_an_archive_as_it_is(options: tuple[str, ...], tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 2), tmp_path / "out"
    command = ("archive", "encode", source, out, *options)
    complaint(run(*command))
    complaint(run(*command, "--dry-run"))
    assert not out.exists()
    unit = Unit([Item("a/000.png", "a/000.png"), Item("b/001.png", "b/001.png")])
    Worker(begun(archive(source, out, to="tar"))).do(unit)
    before = files(out)
    for more in ("--to=tar", "--dry-run"):
        complaint(run(*command, "--force", more))
    assert files(out) == before


def test_what_no_cluster_can_do_leaves_an_archive_as_it_is(ray_here: None, tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 2), tmp_path / "out"
    begun(archive(source, out))
    before = files(out)
    for options in (("--workers", 99), ("--gpus-per-worker", 1)):
        complaint(run("archive", "encode", source, out, "--force", *options))
    assert files(out) == before
    work = archive(source, out)._work(gpus=0)
    engine.check(work)
    with pytest.raises(ModelError, match="nosuch"):
        engine.check(replace(work, job=Encode(replace(JOB.options, model="nosuch"))))


def test_settings_that_differ_are_named_also_by_a_dry_run(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 1), tmp_path / "out"
    begun(replace(archive(source, out), job=Encode(replace(JOB.options, exact=True))))
    for options in ([], ["--dry-run"]):
        line = complaint(run("archive", "encode", source, out, "-q", 50, "-e", 2, *options))
        assert "was begun with exact True, and this run has exact None;" in line


def test_the_settings_of_a_manifest_stay_as_they_are(tmp_path: Path) -> None:
    """Equal to those of archives that earlier versions began, which otherwise could not be continued."""
    encoding, decoding = (
        archive(tmp_path / "in", tmp_path / "out"),
        archive(tmp_path / "out", tmp_path / "back"),
    )
    decoding = replace(decoding, job=Decode("PNG", None, 1, False, False, 1 << 28), ending=".png", to="tar")
    source = str(tmp_path / "in")
    first = {"quality": 50, "model": "photo", "tune": None, "effort": 2, "strip": False, "bpp": None}
    assert encoding._settings() == {**first, "source": source, "ending": ".cae", "to": "files"}
    options = EncodeOptions(target=Target(bpp=0.5), model="cae2017", tune="psnr", strip=True, exact=True)
    second = {"quality": None, "model": "cae2017", "tune": "psnr", "effort": 5, "strip": True, "bpp": 0.5}
    second |= {"exact": True, "source": source, "ending": ".cae", "to": "files"}
    assert replace(encoding, job=Encode(options))._settings() == second
    third = {"strip": False, "kind": "PNG", "source": str(tmp_path / "out"), "ending": ".png", "to": "tar"}
    assert decoding._settings() == third


@pytest.mark.parametrize("places", [("", "out"), ("in", "")])
def test_an_empty_place_is_refused(places: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"(SRC|DST) is ''; a path or a URL is allowed"):
        archive(*places)


def test_damaged_files_of_a_manifest_are_named(without_ray: None, tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 1), tmp_path / "out"
    begun(archive(source, out))
    doing = out / FOLDER / "doing-0123456789abcdef.json"
    for content in (b"{", b"{}", b"[]", b'{"deaths": 0, "at": 1, "paths": null}'):
        doing.write_bytes(content)
        assert not begun(archive(source, out)).begun
    manifest = Manifest(Store(str(out)))
    manifest.add("0123456789abcdef", [{"path": "a/000.png"}])
    manifest.merge()
    (path,) = (out / FOLDER).glob("rows-*")
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-20] + bytes(20)):
        path.write_bytes(content)
        for options in ([], ["--dry-run"]):
            line = complaint(run("archive", "encode", source, out, "-q", 50, "-e", 2, *options))
            assert f"{path.name} is damaged: " in line


def test_more_workers_than_there_are_gpus_for_are_refused(ray_here: None, tmp_path: Path) -> None:
    photos(tmp_path / "in", 1)
    with (
        pytest.raises(
            ConfigError, match="workers is 1; 0 are allowed in a cluster of 3 processors and 0 GPUs"
        ),
        archive(tmp_path / "in", tmp_path / "out").open(1, gpus=0.5),
    ):
        pass


@pytest.mark.parametrize("gpus", [math.nan, 1e-5, -1, 1.5])
def test_parts_of_gpus_that_ray_does_not_share_are_refused(gpus: float) -> None:
    with (
        pytest.raises(ConfigError, match=r"a fraction from 0\.01 to 1 and whole numbers are allowed"),
        engine.cluster(1, None, gpus),
    ):
        pass


def test_a_worker_on_a_gpu_needs_what_codes_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "1")
    monkeypatch.setenv("CAESURA_DEVICE", "cpu")  # the worker changes it for good
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    work = archive(photos(tmp_path / "in", 1), tmp_path / "out")._work(gpus=0.5)
    with pytest.raises(DependencyError, match="onnxruntime-gpu is needed"):
        Worker(work)
    assert os.environ["CAESURA_DEVICE"] == "cuda"
    Worker(replace(work, gpus=0))
    assert os.environ["CAESURA_DEVICE"] == "cpu"


def test_what_is_not_installed_is_no_pictures_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "1")
    monkeypatch.setenv("CAESURA_DEVICE", "cpu")
    source = photos(tmp_path / "in", 1)
    worker = Worker(archive(source, tmp_path / "out")._work(gpus=0))

    def missing(*given: Any) -> None:
        raise DependencyError("CUDA's libraries are missing")

    monkeypatch.setattr(Encode, "__call__", missing)
    with pytest.raises(DependencyError, match="libraries are missing"):
        worker.do(Unit([Item("a/000.png", "a/000.png")]))
    assert not rows(tmp_path / "out")


# Parts


def test_a_unit_that_was_cut_short_is_done_again_and_one_that_is_done_is_not(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 2), tmp_path / "out"
    unit = Unit([Item("a/000.png", "a/000.png"), Item("b/001.png", "b/001.png")])
    worker = Worker(Work(JOB, str(source), str(out), "files", ".cae"))
    # By one that died after the first output.
    Manifest(Store(str(out))).attempt(unit.id).begin([item.path for item in unit.items])
    (out / "a").mkdir()
    (out / "a" / "000.png.cae").write_bytes(coded(source / "a" / "000.png"))
    first = worker.do(unit)
    assert not first.again
    check(source, out)
    assert worker.do(unit).again
    assert worker.do(unit).rows == first.rows


def test_a_picture_that_kills_workers_is_left_alone_in_the_end(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "in", 3), tmp_path / "out"
    names = ["a/000.png", "b/001.png", "a/002.png"]
    unit = Unit([Item(name, name) for name in names])
    manifest = Manifest(Store(str(out)))
    for _ in range(2):
        attempt = manifest.attempt(unit.id)
        attempt.begin(names)
        for name in names[:2]:
            assert attempt.may_try(name)
            if name != names[1]:  # where the worker dies
                attempt.survived(name)
    attempt = manifest.attempt(unit.id)
    attempt.begin(names)
    assert attempt.may_try(names[1])  # once is chance
    worker = Worker(Work(JOB, str(source), str(out), "files", ".cae"))
    errors = {row["path"]: row["error"] for row in worker.do(unit).rows}
    assert errors == {**dict.fromkeys(names), names[1]: "b/001.png: its worker process died 2 times"}
    check(source, out, failed=("b/001.png",))


def test_parts_become_few_files_and_a_merge_that_was_cut_short_doubles_nothing(tmp_path: Path) -> None:
    manifest = Manifest(Store(str(tmp_path)))
    for place in range(4):
        manifest.add(f"{place:016x}", [{"path": f"{place}.png", "error": "bad" if place == 3 else None}])
    kept = {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    manifest.merge()
    (merged,) = (tmp_path / FOLDER).iterdir()
    assert merged.name.startswith("rows-")
    for name in list(kept)[:2]:
        (tmp_path / FOLDER / name).write_bytes(kept[name])  # as if it had ended before removing these
    assert sorted(path for part in manifest.done() for path in part) == ["0.png", "1.png", "2.png"]
    assert [row["path"] for row in rows(tmp_path)] == ["0.png", "1.png", "2.png"]


def test_done_knows_names_exactly() -> None:
    done = Done([["a", "b"], ["ü/c.png"]])
    assert [name in done for name in ("a", "b", "ü/c.png", "c", "")] == [True, True, True, False, False]
    assert len(done) == 3
    assert "a" not in Done()
