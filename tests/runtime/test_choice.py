"""Which runtime a picture gets."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caesura
from caesura.archive.work import Work, Worker
from caesura.batch import workers
from caesura.batch.jobs import Decode
from caesura.batch.tasks import Task
from caesura.data import CaeDataset
from caesura.errors import ConfigError, DependencyError
from caesura.models.bundle import Bundle
from caesura.models.conditioning import ONNX_RUNTIME, OPENVINO, Conditioning
from caesura.models.manifest import ANALYSIS, HYPER_ANALYSIS, HYPER_SYNTHESIS, MEANS, SYNTHESIS
from caesura.runtime import choice
from cli_helpers import coded, drawn, run, succeeded
from train_helpers import save
from worker_helpers import expecting

SMALL, MEDIUM, LARGE = 64 * 64, 768 * 512, 4000 * 3000


@pytest.fixture(autouse=True)
def one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, for one picture, with OpenVINO and a processor with bf16."""
    monkeypatch.delenv("CAESURA_RUNTIME")
    monkeypatch.setattr(choice, "_many", False)
    monkeypatch.setattr(choice, "_installed", lambda: True)
    monkeypatch.setattr(choice, "_has_bf16", lambda: True)


def never() -> bool:
    raise AssertionError("it was asked for")


@pytest.mark.parametrize(
    ("pixels", "runtime"), [(SMALL, ONNX_RUNTIME), (MEDIUM, ONNX_RUNTIME), (LARGE, OPENVINO)]
)
def test_one_picture_takes_openvino_if_it_is_large(pixels: int, runtime: str) -> None:
    assert choice.for_picture(pixels) == runtime


@pytest.mark.parametrize(
    ("pixels", "runtime"), [(SMALL, ONNX_RUNTIME), (MEDIUM, OPENVINO), (LARGE, OPENVINO)]
)
def test_many_pictures_take_openvino_unless_they_are_small(pixels: int, runtime: str) -> None:
    choice.expect_many()
    assert choice.for_picture(pixels) == runtime


def test_without_bf16_onnx_runtime_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_has_bf16", lambda: False)
    assert choice.for_picture(LARGE) == ONNX_RUNTIME


def test_the_processor_is_not_asked_where_openvino_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_installed", lambda: False)
    monkeypatch.setattr(choice, "_has_bf16", never)
    assert choice.for_picture(LARGE) == ONNX_RUNTIME


def test_openvino_is_not_looked_for_if_the_picture_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_installed", never)
    assert choice.for_picture(SMALL) == ONNX_RUNTIME


@pytest.mark.parametrize("pixels", [SMALL, LARGE])
def test_the_setting_is_followed(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    monkeypatch.setattr(choice, "_has_bf16", never)
    monkeypatch.setattr(choice.extras, "need", lambda extra, modules: None)
    for runtime in (ONNX_RUNTIME, OPENVINO):
        monkeypatch.setenv("CAESURA_RUNTIME", runtime)
        assert choice.for_picture(pixels) == runtime


def test_an_empty_setting_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_RUNTIME", "")
    assert choice.for_picture(LARGE) == OPENVINO


def test_another_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_RUNTIME", "tensorrt")
    with pytest.raises(
        ConfigError, match="CAESURA_RUNTIME is 'tensorrt'; onnxruntime or openvino is allowed"
    ):
        caesura.encode(np.zeros((16, 16, 3), np.uint8))


def test_openvino_must_be_installed_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.setenv("CAESURA_RUNTIME", OPENVINO)
    with pytest.raises(
        DependencyError, match=r"openvino is not installed; pip install 'caesura\[openvino\]'"
    ):
        choice.for_picture(SMALL)


def runtimes(conditioning: Conditioning) -> set[str]:
    return {choice.of_graph(conditioning, graph) for graph in (ANALYSIS, SYNTHESIS)}


def test_only_the_transforms_take_it(flagship: Bundle) -> None:
    conditioning = Conditioning(flagship, 3000, runtime=OPENVINO)
    assert runtimes(conditioning) == {OPENVINO}
    for graph in (HYPER_ANALYSIS, HYPER_SYNTHESIS, *MEANS):
        assert choice.of_graph(conditioning, graph) == ONNX_RUNTIME


def test_above_the_ladders_top_it_is_onnx_runtime(flagship: Bundle) -> None:
    top = flagship.ladder_top
    assert runtimes(Conditioning(flagship, top, runtime=OPENVINO)) == {OPENVINO}
    assert runtimes(Conditioning(flagship, top + 1, runtime=OPENVINO)) == {ONNX_RUNTIME}


def test_a_search_for_a_target_has_onnx_runtime(flagship: Bundle) -> None:
    assert runtimes(Conditioning(flagship, 3000, True, OPENVINO)) == {ONNX_RUNTIME}


# Who expects many pictures


def test_a_dataset(tmp_path: Path) -> None:
    coded(tmp_path / "one.cae", drawn(24, 24))
    data = CaeDataset(tmp_path)
    assert choice.for_picture(MEDIUM) == ONNX_RUNTIME
    assert data[0].shape == (24, 24, 3)
    assert choice.for_picture(MEDIUM) == OPENVINO


@pytest.mark.parametrize(("pictures", "runtime"), [(1, ONNX_RUNTIME), (2, OPENVINO)])
def test_several_files_in_one_process(tmp_path: Path, pictures: int, runtime: str) -> None:
    for number in range(pictures):
        save(tmp_path / "photos" / f"{number}.png", drawn(24, 24))
    succeeded(run("encode", "-r", tmp_path / "photos", "-o", tmp_path / "out", "--jobs", 1))
    assert choice.for_picture(MEDIUM) == runtime


def test_worker_processes() -> None:
    tasks = [Task(Path(name), Path("out")) for name in "ab"]
    assert [outcome.summary for outcome in workers.side_by_side(expecting, tasks, 2)] == ["many"] * 2


def test_an_archives_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CAESURA_THREADS", "CAESURA_DEVICE"):  # workers set them for their process
        monkeypatch.setenv(variable, "")
    job = Decode("PNG", None, 1, False, False, 1 << 28)
    Worker(Work(job, str(tmp_path), str(tmp_path / "out"), "tar", ".png"))
    assert choice.for_picture(MEDIUM) == OPENVINO
