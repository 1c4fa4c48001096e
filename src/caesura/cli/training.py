"""Commands that make training data, train, and export."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from caesura import extras
from caesura.errors import ConfigError
from caesura.picture import files


def prepare(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder tree of photos.")],
    destination: Annotated[Path, typer.Argument(metavar="DST", help="Folder for the pack.")],
    sizes: Annotated[
        str, typer.Option(help="Sides of the squares cut, in pixels, separated by commas.")
    ] = "128,256,512,1024",
    side: Annotated[int, typer.Option(help="Side that squares are resized to and packed at.")] = 128,
    native: Annotated[
        bool, typer.Option("--native", help="Keep native resolution: cut squares of --side and resize none.")
    ] = False,
    coverage: Annotated[float, typer.Option(help="Area cut per size, as a multiple of the photo's.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the squares' positions.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes at work.", show_default="as many as processors")
    ] = None,
) -> None:
    """Cut squares out of a folder of photos and pack them for training.

    Stopped at any moment, the same command again goes on where it was.
    """
    from rich.progress import Progress

    from caesura.train.prepare import prepare as pack

    try:
        cut = (side,) if native else tuple(int(part) for part in sizes.split(","))
    except ValueError as error:
        raise ConfigError(f"sizes is {sizes!r}; whole numbers separated by commas are allowed") from error
    with Progress() as progress:
        task = progress.add_task("photos")
        report = pack(
            source,
            destination,
            sizes=cut,
            side=side,
            coverage=coverage,
            seed=seed,
            workers=jobs or os.cpu_count() or 1,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for name, reason in report.skipped.items():
        typer.echo(f"skipped {name}: {reason}", err=True)
    typer.echo(f"{report.train} squares to train on, {report.validation} held out, in {destination}")


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="A pack made by `caesura data prepare`, or a folder of photos.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder for checkpoints and logs.")],
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file; see docs/TRAINING.md.", show_default="with --from, that of a fine-tune"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from RUN's last checkpoint.")] = False,
    start: Annotated[
        Path | None, typer.Option("--from", metavar="START", help="Take weights from this run or bundle.")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    minutes: Annotated[
        float | None,
        typer.Option(
            help="End within this time of the command's start, whatever number of steps CONFIG says."
        ),
    ] = None,
) -> None:
    """Train a model. Needs the extra: pip install 'caesura[train]'.

    RUN/kept then holds the averaged weights: what to keep, to export and to go on --from.

    On several processes or hosts, torchrun starts it; docs/TRAINING.md has the commands.
    """
    if config is None and start is None:
        raise ConfigError("neither --config nor --from is given; one of them says what to train")
    extras.need("train", extras.TRAIN)
    from rich.progress import Progress

    from caesura.train import cache, loop
    from caesura.train import config as configs
    from caesura.train import start as starts

    inherited = None if start is None else starts.read(start).training["config"]
    settings = configs.load(config or configs.FINE_TUNE, inherited)
    if minutes is not None:
        settings = configs.by_clock(settings, minutes)
    progress = Progress(transient=True)
    task = progress.add_task("photos")

    def show(done: int, total: int) -> None:
        progress.start()
        progress.update(task, completed=done, total=total)

    try:
        pack = cache.pack_of(data, settings.train.crop, workers=os.cpu_count() or 1, progress=show)
    finally:
        progress.stop()
    last = loop.train(
        settings, pack, out, resume=resume, start=start, accelerator=accelerator, began=context.obj
    )
    if os.environ.get("RANK", "0") == "0":
        typer.echo(f"trained: {last}")


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or what it kept.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the bundle.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of bundles.", show_default="the user's models"),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, an SPDX expression.")] = "NOASSERTION",
    data: Annotated[str, typer.Option(help="What it was trained on, in a sentence.")] = "not stated",
    figures: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON object of measurements to keep with it.")
    ] = None,
    photos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos to fit quick previews to; some hundreds.")
    ] = None,
) -> None:
    """Make a model bundle of a run, for `caesura encode --model NAME`."""
    extras.need("train", extras.EXPORT)
    from caesura.models import bundle as model
    from caesura.train import preview
    from caesura.train.export import export as write

    measured = {}
    if figures is not None:
        try:
            measured = json.loads(files.read(figures))
        except ValueError as error:
            raise ConfigError(f"figures {figures} is not JSON: {error}") from error
    folder = write(
        run, name, (out or model.user_models()) / name, licence=licence, data=data, figures=measured
    )
    if photos is not None:
        typer.echo(preview.summary(preview.add(folder, photos)))
    typer.echo(f"exported: {folder}")
