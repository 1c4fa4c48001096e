"""Metrics that `--metrics` adds: PSNR-HVS-M, and CVVDP through a process.

The recorded values are those that this prints, where `make cvvdp` was run before:

    python tests/test_bench_optional.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from caesura.bench import cvvdp, optional_metrics, quality
from caesura.bench.cvvdp import Cvvdp, MetricError
from caesura.errors import ConfigError, DependencyError
from cli_helpers import drawn

Pixels = NDArray[np.uint8]

STEPS = (4, 16, 32, 64)
HVS_M = {4: 50.002816, 16: 40.235658, 32: 32.503432, 64: 24.10688}  # psnr-hvsm 0.3.0
JOD = {4: 9.99847, 16: 9.646181, 32: 9.2851, 64: 8.154737}  # cvvdp 0.5.7, torch 2.13.0 on a CPU

# A worker that knows some pictures, and what CVVDP says of them.
FAKE = """
import hashlib, json, sys

known = json.loads(sys.argv[1])
print(json.dumps({"version": "a fake"}), flush=True)
while line := sys.stdin.buffer.readline():
    size = json.loads(line)
    pair = sys.stdin.buffer.read(2 * 3 * size["height"] * size["width"])
    print(json.dumps({"jod": known[hashlib.sha256(pair).hexdigest()]}), flush=True)
"""

# What the true worker imports. This torchvision fails as the published one does beside a CPU build of torch.
TORCHVISION = """
import torch

for name in ("nms", "qnms"):
    torch.library.register_fake(f"torchvision::{name}")(lambda *arguments: None)
"""
PYCVVDP = """
import torchvision

print("a library that prints")

class cvvdp:
    def __init__(self, display_name, quiet):
        self.display = display_name

    def get_info_string(self):
        return f'"a metric ({self.display})"'

    def predict(self, test, reference, dim_order):
        assert test.flags.writeable and dim_order == "HWC"
        return 10 - abs(test.astype(float) - reference).mean() / 100, {}
"""


def coarse(step: int) -> tuple[Pixels, Pixels]:
    """A photo, uint8 (128, 192, 3), and it in steps of brightness."""
    from skimage import data

    photo = np.ascontiguousarray(data.astronaut()[40:168, 150:342])
    return photo, (photo // step * step + step // 2).astype(np.uint8)


def fake() -> list[str]:
    """Starts `FAKE`, for the pictures of `coarse`."""
    from hashlib import sha256

    known = {sha256(b"".join(one.tobytes() for one in coarse(step))).hexdigest(): JOD[step] for step in STEPS}
    return [sys.executable, "-c", FAKE, json.dumps(known)]


def saying(code: str) -> list[str]:
    """A worker that is a line of Python."""
    return [sys.executable, "-c", code]


# Which


def test_metrics_are_chosen_by_name() -> None:
    assert optional_metrics.choose("") == ()
    assert optional_metrics.choose("cvvdp, PSNR-HVS-M") == ("psnr-hvs-m", "cvvdp")
    with pytest.raises(
        ConfigError, match="metrics has 'vmaf'; psnr-hvs-m and cvvdp are allowed, separated by"
    ):
        optional_metrics.choose("cvvdp,vmaf")


def test_what_is_not_asked_for_is_not_measured() -> None:
    found = quality.measure(*coarse(16))
    assert (found.psnr_hvs_m, found.cvvdp) == (None, None)


def test_what_is_asked_for_is_measured_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cvvdp, "command", fake)
    plain = quality.measure(*coarse(16))
    with optional_metrics.opened(optional_metrics.NAMES) as more:
        found = quality.measure(*coarse(16), more)
    assert found == plain._replace(psnr_hvs_m=pytest.approx(HVS_M[16], abs=1e-4), cvvdp=JOD[16])


# PSNR-HVS-M


@pytest.mark.filterwarnings("ignore::RuntimeWarning:psnr_hvsm")
@pytest.mark.parametrize("step", STEPS)
def test_psnr_hvs_m_is_the_librarys(step: int) -> None:
    from psnr_hvsm.compute_all_metrics import compute_all_metrics  # what its command prints

    original, decoded = coarse(step)
    found = quality.psnr_hvs_m(original, decoded)
    assert found == pytest.approx(float(compute_all_metrics(original, decoded)[1]))
    assert found == pytest.approx(HVS_M[step], abs=1e-4)


def test_psnr_hvs_m_falls_with_quality_and_blocks_that_the_edge_cuts_are_left_out() -> None:
    values = [quality.psnr_hvs_m(*coarse(step)) for step in STEPS]
    assert all(value is not None for value in values)
    assert values == sorted(values, reverse=True)
    original, decoded = coarse(16)
    cut = quality.psnr_hvs_m(original[:127, :185], decoded[:127, :185])
    assert cut == quality.psnr_hvs_m(original[:120, :184], decoded[:120, :184])


def test_psnr_hvs_m_has_no_value_for_equal_pictures_and_tiny_ones() -> None:
    original, decoded = coarse(16)
    flat = np.full((16, 16, 3), 90, np.uint8)
    assert quality.psnr_hvs_m(original, original) is None
    assert quality.psnr_hvs_m(flat, flat) is None
    assert quality.psnr_hvs_m(flat, flat + 9) is not None
    assert quality.psnr_hvs_m(original[:7], decoded[:7]) is None


def test_without_its_library_psnr_hvs_m_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psnr_hvsm", None)
    with (
        pytest.raises(DependencyError, match=r"psnr-hvsm is not installed; pip install 'caesura\[bench\]'"),
        optional_metrics.opened(["psnr-hvs-m"]),
    ):
        pass


# CVVDP


@pytest.fixture(scope="module")
def worker() -> Iterator[Cvvdp]:
    """The fake one."""
    with Cvvdp(fake()) as started:
        yield started


def test_a_worker_gets_whole_pictures_and_its_answer_is_theirs(worker: Cvvdp) -> None:
    assert worker.version == "a fake"
    with ThreadPoolExecutor(4) as pool:  # as qualities are measured
        assert (
            list(pool.map(lambda step: worker(*coarse(step)), STEPS * 3)) == [JOD[step] for step in STEPS] * 3
        )


@pytest.mark.parametrize("shape", [(7, 64, 3), (64, 7, 3), (1 << 13, (1 << 11) + 1, 3)])
def test_pictures_that_are_too_small_or_too_large_have_no_value(
    worker: Cvvdp, shape: tuple[int, ...]
) -> None:
    pixels = np.broadcast_to(np.uint8(7), shape)
    assert worker(pixels, pixels) is None


def test_a_worker_that_ends_is_our_error_with_its_last_word(worker: Cvvdp) -> None:
    with pytest.raises(MetricError, match=r"^cvvdp: the worker ended with status 1: no torch here$"):
        Cvvdp(saying("import sys; sys.exit('first\\nno torch here')"))
    with pytest.raises(MetricError, match=r"^cvvdp: the worker ended with status 0: no output$"):
        Cvvdp(saying("pass"))
    lost = Cvvdp(saying("""print('{"version": "1"}', flush=True); import sys; sys.exit('out of memory')"""))
    with lost, pytest.raises(MetricError, match=r"^cvvdp: the worker ended with status 1: out of memory$"):
        lost(*coarse(16))
    with Cvvdp(fake()) as started, pytest.raises(MetricError, match=r"ended with status 1: KeyError"):
        started(drawn(8, 8), drawn(8, 8))  # it does not know this picture


@pytest.mark.parametrize("answer", ["hello", "{}", "3"])
def test_another_answer_is_our_error(answer: str) -> None:
    with pytest.raises(MetricError, match=r"cvvdp: the worker's answer is b'.*'; version is allowed"):
        Cvvdp(saying(f"print({answer!r}, flush=True); input()"))


def test_a_worker_ends_with_its_block() -> None:
    with Cvvdp(fake()) as started:
        process = started._process
    assert process.returncode == 0


def test_without_its_environment_cvvdp_says_how_to_build_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(cvvdp.FOLDER, raising=False)
    with pytest.raises(
        DependencyError, match=r"cvvdp is not built in \.cvvdp; make cvvdp builds it, CAESURA_CVVDP"
    ):
        cvvdp.command()
    monkeypatch.setenv(cvvdp.FOLDER, "elsewhere")
    with (
        pytest.raises(DependencyError, match=r"cvvdp is not built in elsewhere"),
        optional_metrics.opened(["cvvdp"]),
    ):
        pass


def test_the_worker_measures_though_torchvision_lacks_its_operators(tmp_path: Path) -> None:
    for name, content in (("torchvision", TORCHVISION), ("pycvvdp", PYCVVDP)):
        (tmp_path / f"{name}.py").write_text(content)
    script = str(Path(cvvdp.__file__).with_name("cvvdp_worker.py"))
    path = f"import sys, runpy; sys.path[:0] = [{str(tmp_path)!r}]"
    with Cvvdp(saying(f"{path}; runpy.run_path({script!r}, run_name='__main__')")) as started:
        assert started.version == "a metric (standard_4k)"
        original, decoded = coarse(64)
        assert started(original, original) == 10
        expected = 10 - np.abs(original.astype(float) - decoded).mean() / 100
        assert started(original, decoded) == pytest.approx(expected)


@pytest.fixture(scope="module")
def true_worker() -> Iterator[Cvvdp]:
    """Where it is built; skipped elsewhere."""
    try:
        arguments = cvvdp.command()
    except DependencyError as error:
        pytest.skip(str(error))
    with Cvvdp(arguments) as started:
        yield started


@pytest.mark.parametrize("step", STEPS)
def test_recorded_values_are_those_of_cvvdp(step: int, true_worker: Cvvdp) -> None:
    assert "standard_4k" in true_worker.version
    assert true_worker(*coarse(step)) == pytest.approx(JOD[step], abs=2e-3)
    assert true_worker(*[coarse(step)[0]] * 2) == 10


if __name__ == "__main__":
    with optional_metrics.opened(optional_metrics.NAMES) as measures:
        for field, function in measures.items():
            print(field, {step: round(function(*coarse(step)) or 0, 6) for step in STEPS})
