"""The machine that measures, and the load of other programs on it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from caesura.bench.schema import Machine

IDLE = 0.1  # processors that other programs may use on an idle machine
_SETS = {  # by the flags of Linux: on x86, then on ARM
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
    "sve2": "SVE2",
}
_BUSY = (0, 1, 2, 5, 6, 7)  # columns of /proc/stat: user, nice, system, irq, softirq, steal


def describe() -> Machine:
    """Processor, memory, operating system and Python of this machine."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(_memory() / 2**30, 2),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        instructions=_instructions(),
    )


class OtherLoad:
    """The mean number of processors that other programs use, from the construction on."""

    def __init__(self) -> None:
        self._before = _seconds()

    def used(self) -> float | None:
        """The mean so far; None if the system does not report it, or no time has passed."""
        before, now = self._before, _seconds()
        if before is None or now is None or now[0] <= before[0]:
            return None
        wall, everyone, own = (after - earlier for after, earlier in zip(now, before, strict=True))
        return round(max(0.0, everyone - own) / wall, 3)


def is_idle(others: float | None) -> bool:
    """Whether other programs are known to use at most `IDLE` processors."""
    return others is not None and others <= IDLE


def load_text(others: float | None, cores: int) -> str:
    """A clause about the load of other programs, for reports of times."""
    if others is None:
        return "how busy other programs kept the machine is not known"
    used = f"other programs used {others:.2f} of {cores} processors"
    return used if is_idle(others) else f"times from a busy machine: {used}"


def codec_threads(number: int) -> AbstractContextManager[None]:
    """Set CAESURA_THREADS within the block: codecs read it, and child processes inherit it."""
    return _setting("CAESURA_THREADS", str(number))


def codec_runtime(name: str) -> AbstractContextManager[None]:
    """Set CAESURA_RUNTIME within the block."""
    return _setting("CAESURA_RUNTIME", name)


@contextmanager
def _setting(variable: str, value: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def _processor() -> str:
    return _fact("model name") or platform.processor() or platform.machine()


def _instructions() -> str:
    words = (_fact("flags") or _fact("Features")).split()
    return ", ".join(name for flag, name in _SETS.items() if flag in words) or "unknown"


def _fact(wanted: str) -> str:
    """An entry of the first processor in /proc/cpuinfo; empty if there is none."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == wanted:
                return value.strip()
    return ""


def _seconds() -> tuple[float, float, float] | None:
    """Seconds of wall time, of processor time of all programs, and of this one and its children.

    None on other systems than Linux.
    """
    try:
        columns = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        everyone = sum(int(columns[number]) for number in _BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    ours = os.times()
    return time.perf_counter(), everyone, sum(ours[:4])


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on every system
        return 0
