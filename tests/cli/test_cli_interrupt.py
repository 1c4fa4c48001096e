"""Runs that are cut off: Ctrl-C, kill -9, a worker that dies. Whatever is there is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import caesura
from caesura.batch import workers
from caesura.batch.tasks import Task
from cli_helpers import drawn, files, heeding_ctrl_c, run, succeeded
from train_helpers import save
from worker_helpers import fragile

PATIENCE = 120  # seconds, for machines that are busy

NAMES = [f"{number}.png" for number in range(6)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in NAMES:
        save(tmp_path / "photos" / name, drawn(24, 24))
    return tmp_path / "photos"


@contextmanager
def stuck(photos: Path, out: Path, jobs: int) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has written something, and waits for ever for a pipe that nobody writes to."""
    pipe = photos.parent / "pipe.png"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    # A file that is named comes first, what is found in folders after it: one process would never get there.
    inputs = [pipe, photos] if jobs > 1 else [photos / NAMES[0], pipe]
    command = [sys.executable, "-m", "caesura.cli", "encode", "-r", *inputs, "-o", out, "-j", str(jobs)]
    with heeding_ctrl_c():
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    with child:
        try:
            deadline = time.monotonic() + PATIENCE
            while not list(out.glob("*.cae")):
                assert child.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.005)
            yield child
        finally:
            child.kill()
            os.close(held)


def whole(folder: Path) -> list[str]:
    """Names of everything in a folder; all of it must be files that decode."""
    contents = files(folder)
    for data in contents.values():
        assert caesura.decode_array(data).shape == (24, 24, 3)
    return list(contents)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 3])
def test_ctrl_c_ends_with_130_and_leaves_whole_files_only(jobs: int, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with stuck(photos, out, jobs) as child:
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        _, said = child.communicate(
            timeout=PATIENCE
        )  # until workers have ended too: stderr is theirs as well
    assert child.returncode == 130
    assert "Traceback" not in said.decode()
    assert said.decode().splitlines()[-1].split(" done, ")[1].startswith("0 skipped, 0 failed")
    assert {Path(name).suffix for name in whole(out)} == {".cae"}


@pytest.mark.slow
def test_after_kill_9_the_workers_end_and_the_rest_is_done_by_running_again(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with stuck(photos, out, 3) as child:
        child.kill()
        child.communicate(timeout=PATIENCE)
    assert child.returncode == -signal.SIGKILL
    left = whole(out)
    outcome = run("encode", "-r", photos, "-o", out)
    succeeded(outcome)
    assert whole(out) == [name.replace(".png", ".cae") for name in NAMES]
    assert outcome.err.startswith(f"{6 - len(left)} done, {len(left)} skipped, 0 failed")


# Workers


@pytest.mark.slow
def test_a_worker_that_dies_costs_one_file() -> None:
    names = ["a", "killed", "b", "crashed", "c", "d"]
    tasks = [Task(Path(name), Path(name)) for name in names]
    outcomes = {str(o.task.source): o.error for o in workers.side_by_side(fragile, tasks, 2)}
    assert outcomes == {
        **dict.fromkeys("abcd", ""),
        "killed": "killed: its worker process ended with status -9",
        "crashed": "crashed: its worker process ended with status 3",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("threads", "jobs", "tasks", "each"), [("8", 3, 5, "2"), ("8", 9, 2, "4"), ("2", 3, 3, "1")]
)
def test_workers_share_the_processors(
    threads: str, jobs: int, tasks: int, each: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAESURA_THREADS", threads)
    todo = [Task(Path(str(number)), Path("out")) for number in range(tasks)]
    assert {o.summary for o in workers.side_by_side(fragile, todo, jobs)} == {each}
