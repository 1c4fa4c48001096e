"""Tables and a plot of the measured speed."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import matplotlib.axes
import rich.table

from caesura.bench.machine import load_text
from caesura.bench.speed import stages
from caesura.bench.speed.figures import Speed
from caesura.bench.speed.process import DIRECTIONS, INFO_REPEATS
from caesura.format.container import CELL
from caesura.tiles.grid import Grid, choose_cells
from caesura.tiles.grid import strips as grid_strips

matplotlib.use("Agg")

_THREADS = (1, 2, 4, 8, 16)


class Table(NamedTuple):
    """A table of text, with a note on how it was measured."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""

    def rich(self) -> rich.table.Table:
        """The table for a console."""
        shown = rich.table.Table(
            *self.columns, title=self.title, caption=self.note or None, title_justify="left"
        )
        for row in self.rows:
            shown.add_row(*row)
        return shown

    def markdown(self) -> str:
        """The table in Markdown, with heading and note."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        note = f"\n{self.note}\n" if self.note else ""
        return f"### {self.title}\n\n{text}\n{note}"


def of(found: Speed) -> list[Table]:
    """All tables of a model."""
    tables = [_rates(found), _threads(found), _splits(found), _coding(found), _processes(found), _work(found)]
    return [table for table in tables if table.rows]


def markdown(found: Sequence[Speed]) -> str:
    """A Markdown page: the machine, and a section for each model."""
    machine = ", ".join(f"{name} {value}" for name, value in found[0].machine.items())
    load = "; ".join(dict.fromkeys(load_text(one.others, int(one.machine["processors"])) for one in found))
    parts = [f"# Speed\n\n{machine}; {load}.\n\n![Megapixels per second by size](speed.png)\n"]
    for one in found:
        parts += [f"## {one.model} (`{one.id}`)\n", *(table.markdown() for table in of(one))]
    return "\n".join(parts)


def _rates(found: Speed) -> Table:
    rows = []
    of_case = {(one.megapixels, one.threads, one.runtime, one.direction): one for one in found.rates}
    for megapixels, threads, runtime in dict.fromkeys(case[:3] for case in sorted(of_case, key=_size_first)):
        pair = [of_case[megapixels, threads, runtime, direction] for direction in DIRECTIONS]
        shares = [found.peak_share(one.direction, one.speed, threads) for one in pair]
        rows.append(
            [
                f"{megapixels:.2f} MP ({pair[0].width}x{pair[0].height})",
                str(threads),
                runtime,
                *(f"{one.speed:.2f}" for one in pair),
                *(f"{share:.0%}" for share in shares),
                str(pair[0].repeats),
            ]
        )
    peaks = ", ".join(
        f"{2 * peak / 1e9:.0f} GFLOP/s with {count} thread{'s' * (count > 1)}"
        for count, peak in found.peak.items()
    )
    return Table(
        f"Speed of {found.model}, quality 50",
        [
            *("picture", "threads", "runtime", "encode MP/s", "decode MP/s"),
            *("encode, of peak", "decode, of peak", "repeats"),
        ],
        rows,
        "Peak: multiplications of the networks, without those that overlapping windows repeat, as a share of "
        f"the machine's peak in float32 matrix products: {peaks}.",
    )


def _threads(found: Speed) -> Table:
    """Speed of the largest picture by number of threads: measured for some numbers, computed for others."""
    largest = max(found.rates, key=lambda one: one.megapixels)
    counts = {count: _at_once(largest.width, largest.height, count) for count in _THREADS}
    rows = []
    for direction, runtime in itertools.product(
        DIRECTIONS, dict.fromkeys(one.runtime for one in found.rates)
    ):
        measured = {
            one.threads: one.speed
            for one in found.rates
            if (one.megapixels, one.direction, one.runtime) == (largest.megapixels, direction, runtime)
        }
        if measured.keys() < {1, 2} or counts[2] == 1:
            continue
        # Amdahl's law, solved for the share of one thread's time in which a second one waits.
        serial = max(0.0, (counts[2] * measured[1] / measured[2] - 1) / (counts[2] - 1))
        computed = {n: measured[1] / (serial + (1 - serial) / at_once) for n, at_once in counts.items()}
        speeds = (f"{measured[n]:.2f}" if n in measured else f"({computed[n]:.1f})" for n in _THREADS)
        rows.append([direction, runtime, f"{serial:.1%}", *speeds])
    return Table(
        f"Speed of {found.model} by threads, {largest.megapixels:.0f} MP, MP/s",
        ["direction", "runtime", "serial share", *(f"{n} thread{'s' * (n > 1)}" for n in _THREADS)],
        rows,
        "In brackets: computed from the serial share, the part of one thread's time in which a second one "
        "waits, and from the number of segments in a strip. Memory bandwidth is not part of it.",
    )


def _at_once(width: int, height: int, threads: int) -> float:
    """The mean number of segments of a picture that this many threads work on at once."""
    cells = choose_cells(height, width)
    rows, columns = (-(-side // (cells * CELL)) for side in (height, width))
    strips = [len(strip) for strip in grid_strips(Grid(rows, columns, 1, 0))]
    return sum(strips) / sum(-(-segments // threads) for segments in strips)


def _size_first(case: tuple[float, int, str, str]) -> tuple[float, int, str]:
    return case[:3]


def _splits(found: Speed) -> Table:
    rows = []
    for split in found.splits:
        share = found.peak_share(split.direction, split.transform_speed, 1)
        rows.append(
            [
                f"{split.megapixels:.2f} MP",
                split.direction,
                split.runtime,
                f"{1e3 * sum(split.seconds.values()) / split.megapixels:.0f}",
                *(f"{part:.1%}" for part in split.shares.values()),
                f"{share:.0%}",
            ]
        )
    return Table(
        f"Time of {found.model} by stage, one thread",
        [
            "picture",
            "direction",
            "runtime",
            "ms per megapixel",
            *stages.STAGES,
            "share of peak within the transform",
        ],
        rows,
        "Transform: the networks; entropy: table indices, rounding, coder; container: parsing, checksums, "
        "metadata; rest: padding, scaling, copies.",
    )


def _coding(found: Speed) -> Table:
    coding = found.coding
    rows = [
        ["all", str(coding.symbols), f"{coding.encode:.1f}", f"{coding.decode:.1f}", f"{coding.control:.1f}"],
        ["coded", str(coding.coded), f"{coding.encode_coded:.1f}", f"{coding.decode_coded:.1f}", ""],
    ]
    return Table(
        f"Entropy coding of {found.model}, ns per symbol",
        ["symbols", "number", "encode", "decode", "table indices"],
        rows,
        "The same time divided by all symbols, and by those that are not known to be zero; one thread.",
    )


def _processes(found: Speed) -> Table:
    rows = [["`caesura info`", f"{found.start_up:.3f} s", "", ""]]
    rows += [
        [
            f"{one.direction} {one.megapixels:.2f} MP",
            f"{one.first:.3f} s",
            f"{one.warm:.3f} s",
            f"{one.peak:.2f} GiB" if one.peak else "not known",
        ]
        for one in found.alone
    ]
    return Table(
        f"Separate processes, {found.model}",
        ["process", "first", "second", "peak memory"],
        rows,
        f"`caesura info`: the whole process, median of {INFO_REPEATS}. Pictures: first and second call in a "
        "process, without the start of Python, all threads.",
    )


def _work(found: Speed) -> Table:
    rows = [
        [part.removesuffix(".onnx"), kind, f"{amount:.3f}"]
        for part, kinds in found.work.parts.items()
        for kind, amount in sorted(kinds.items(), key=lambda item: -item[1])
    ]
    rows += [[direction, "total", f"{getattr(found.work, direction):.2f}"] for direction in DIRECTIONS]
    return Table(f"Complexity of {found.model}", ["graph", "layers", "kMAC/pixel"], rows)


def picture(found: Sequence[Speed]) -> bytes:
    """A PNG: megapixels per second over picture size, and the stages of the largest picture."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    for axis, direction in zip(axes, DIRECTIONS, strict=False):
        for one in found:
            for runtime, threads in sorted({(rate.runtime, rate.threads) for rate in one.rates}):
                points = sorted(
                    (rate.megapixels, rate.speed)
                    for rate in one.rates
                    if (rate.direction, rate.runtime, rate.threads) == (direction, runtime, threads)
                )
                label = f"{one.model}, {runtime}, {threads} thread{'s' * (threads > 1)}"
                axis.plot(*zip(*points, strict=True), marker="o", label=label)
        axis.set(xscale="log", title=direction, xlabel="megapixels", ylabel="megapixels per second")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend()
    _bars(axes[-1], found)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    plt.close(figure)
    return out.getvalue()


def _bars(axis: matplotlib.axes.Axes, found: Sequence[Speed]) -> None:
    """Shares of the stages in the time of the largest picture."""
    bars = []
    for one in found:
        largest = max(split.megapixels for split in one.splits)
        bars += [
            (f"{one.model}\n{split.runtime}", split) for split in one.splits if split.megapixels == largest
        ]
    names = [f"{model}\n{split.direction}" for model, split in bars]
    below = [0.0] * len(bars)
    for stage in stages.STAGES:
        shares = [split.shares[stage] for _, split in bars]
        axis.bar(names, shares, bottom=below, label=stage)
        below = [low + share for low, share in zip(below, shares, strict=True)]
    axis.set(title=f"one thread's time, {bars[0][1].megapixels:.1f} megapixels", ylim=(0, 1))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
