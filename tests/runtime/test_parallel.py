"""Work side by side gives what it gives one after another."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import caesura
from caesura.errors import ConfigError
from caesura.runtime import onnx_runtime, parallel, processors


@pytest.mark.parametrize("setting", ["0", "1", "2", "7"])
@pytest.mark.parametrize("size", [1, 1 << 30])
def test_results_come_in_the_items_order(setting: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_THREADS", setting)
    assert parallel.each(lambda item: item * item, range(9), size) == [i * i for i in range(9)]
    assert parallel.each(abs, [], size) == []


def test_large_work_runs_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "2")
    meet = threading.Barrier(2, timeout=10)
    assert len(parallel.each(lambda _: meet.wait(), [0, 1], 1 << 30)) == 2


def test_an_error_of_the_work_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "2")
    with pytest.raises(ZeroDivisionError):
        parallel.each(lambda item: 1 // item, [1, 0], 1 << 30)


@pytest.mark.parametrize("setting", ["many", "-1", "2.5", "99999999999", "1025", "9" * 5000])
def test_a_setting_that_is_no_number_or_too_large_is_refused(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAESURA_THREADS", setting)
    shown = re.escape(repr(setting[:20]))
    with pytest.raises(
        ConfigError, match=f"CAESURA_THREADS is {shown}; a whole number up to 1024 is allowed"
    ):
        parallel.threads()


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "")
    monkeypatch.setenv("CAESURA_DEVICE", "")
    assert parallel.threads() == processors.processors()
    assert onnx_runtime.device() == "cpu"


@pytest.mark.slow
def test_threads_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (70, 130, 3), dtype=np.uint8)
    monkeypatch.setenv("CAESURA_THREADS", "2")
    with monkeypatch.context() as patch:
        patch.setattr(parallel, "_WORTH_THREADS", 1 << 62)
        plain = caesura.encode(picture, quality=40)
        decoded = caesura.decode_array(plain)
    monkeypatch.setattr(parallel, "_WORTH_THREADS", 0)
    assert caesura.encode(picture, quality=40) == plain
    np.testing.assert_array_equal(caesura.decode_array(plain), decoded)


def blas_threads() -> list[int]:
    """Of the library that came with NumPy; others may have been loaded since something was coded first."""
    found = (library for library in threadpool_info() if library["user_api"] == "blas")
    return [library["num_threads"] for library in found if "numpy" in library["filepath"]]


def test_matrix_products_keep_to_one_thread_while_something_is_coded() -> None:
    before = blas_threads()
    with parallel.one_blas_thread():
        assert set(blas_threads()) <= {1}
        with parallel.one_blas_thread():
            pass
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_threads_of_the_caller_leave_the_setting_as_it_was() -> None:
    before = blas_threads()
    start = threading.Barrier(3)

    def code() -> None:
        start.wait()
        caesura.decode_array(caesura.encode(np.zeros((20, 20, 3), np.uint8)))

    threads = [threading.Thread(target=code) for _ in range(2)]
    for thread in threads:
        thread.start()
    start.wait()
    caesura.encode(np.zeros((20, 20, 3), np.uint8))
    for thread in threads:
        thread.join()
    assert blas_threads() == before


def test_the_setting_is_put_back_after_an_error() -> None:
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), parallel.one_blas_thread():
        _ = 1 / 0
    assert blas_threads() == before


def test_work_within_work_is_done_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAESURA_THREADS", "2")
    size = parallel._WORTH_THREADS
    found = parallel.each(lambda _: (parallel.threads(), threading.get_ident()), [1, 2, 3], size)
    assert {threads for threads, _ in found} == {1}
    assert parallel.threads() == 2
    nested = parallel.each(
        lambda _: len(set(parallel.each(lambda _: threading.get_ident(), range(4), size))), [1, 2], size
    )
    assert nested == [1, 1]


# ---- processors


def test_processors_are_those_that_the_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "_CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 4, 5, 9}, raising=False)

    def found() -> int:
        processors._quota.cache_clear()
        return processors.processors()

    try:
        assert found() == 5
        for granted, expected in (("max", 5), ("250000", 3), ("100000", 1), ("20000", 1), ("900000", 5)):
            (tmp_path / "cpu.max").write_text(f"{granted} 100000\n")
            assert found() == expected
        (tmp_path / "cpu.max").write_text("nonsense")
        assert found() == 5
        (tmp_path / "cpu.max").unlink()
        (tmp_path / "cpu").mkdir()
        (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("50000\n")
        for granted, expected in (("-1", 5), ("200000", 4)):
            (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{granted}\n")
            assert found() == expected
    finally:
        processors._quota.cache_clear()
