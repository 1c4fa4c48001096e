"""The commands `data prepare`, `train` and `export`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from caesura import extras
from caesura.errors import ConfigError
from caesura.picture import files

NOT_ASSERTED, NOT_STATED = "NOASSERTION", "not stated"


def prepare(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder tree of photos.")],
    destination: Annotated[Path, typer.Argument(metavar="DST", help="Folder for the packed training data.")],
    sizes: Annotated[
        str, typer.Option(help="Sides of the squares to cut, in pixels, separated by commas.")
    ] = "128,256,512,1024",
    side: Annotated[int, typer.Option(help="Side in pixels that squares are resized to.")] = 128,
    native: Annotated[
        bool, typer.Option("--native", help="Cut squares of --side pixels, without resizing.")
    ] = False,
    coverage: Annotated[
        float, typer.Option(help="Total area of the squares of each size, as a multiple of the photo's area.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Random seed of the squares' positions.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of processes.", show_default="number of processor cores")
    ] = None,
) -> None:
    """Cut squares out of a folder of photos and pack them for training.

    If it is interrupted, run the same command again to continue.
    """
    from rich.progress import Progress

    from caesura.runtime.processors import processors
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
            workers=jobs or processors(),
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for name, reason in report.skipped.items():
        typer.echo(f"skipped {name}: {reason}", err=True)
    typer.echo(f"{report.train} squares to train on, {report.validation} held out, in {destination}")


def train(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="Data packed by `caesura data prepare`, or a folder of photos.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder for checkpoints and logs.")],
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of settings; see docs/TRAINING.md.",
            show_default="with --from, the settings for fine-tuning",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint in RUN.")
    ] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="START", help="Initialise the weights from this run or bundle (fine-tuning)."
        ),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="Device: auto, cpu or cuda.")] = "auto",
    minutes: Annotated[
        float | None,
        typer.Option(
            help="End within this many minutes of the start, instead of after CONFIG's number of steps."
        ),
    ] = None,
) -> None:
    """Train a model. Needs the extra: pip install 'caesura[train]'.

    Writes the averaged weights to RUN/kept, for `caesura export` and --from.

    torchrun starts it on several processes or hosts; docs/TRAINING.md has the commands.
    """
    if config is None and start is None:
        raise ConfigError("neither --config nor --from is given; at least one is needed")
    extras.need("train", extras.TRAIN)
    from rich.progress import Progress

    from caesura.runtime.processors import processors
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
        pack = cache.pack_of(data, settings.train.crop, workers=processors(), progress=show)
    finally:
        progress.stop()
    last = loop.train(
        settings, pack, out, resume=resume, start=start, accelerator=accelerator, began=context.obj
    )
    if os.environ.get("RANK", "0") == "0":
        typer.echo(f"trained: {last}")


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="Folder of a training run, or its kept folder; with --web a bundle, by name or folder.",
        ),
    ],
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name of the new bundle; with --web the folder to write to."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder to write the bundle to.", show_default="the user's folder of models"
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the weights, as an SPDX expression.", show_default=NOT_ASSERTED, metavar="TEXT"
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Description of the training data, one sentence.", show_default=NOT_STATED, metavar="TEXT"
        ),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON object of measurements to store in the bundle.")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Some hundred photos, to fit fast previews (--scale 1/8) to."),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Write a bundle for the library that runs in browsers.")
    ] = False,
) -> None:
    """Export a trained model as a bundle, or a bundle for the web (--web).

    `caesura encode --model NAME` then uses the bundle.
    """
    if web:
        given = {"out": out, "licence": licence, "data": data, "figures": figures, "photos": photos}
        if names := [f"--{option}" for option, value in given.items() if value is not None]:
            raise ConfigError(f"--web is given with {', '.join(names)}; RUN and NAME alone are allowed")
        _export_for_web(run, Path(name))
        return
    extras.need("train", extras.EXPORT)
    from caesura.models import bundle
    from caesura.train import preview
    from caesura.train.export import export as write

    measured = {}
    if figures is not None:
        try:
            measured = json.loads(files.read(figures))
        except ValueError as error:
            raise ConfigError(f"figures {figures} is not JSON: {error}") from error
    folder = write(
        run,
        name,
        (out or bundle.user_models()) / name,
        licence=licence or NOT_ASSERTED,
        data=data or NOT_STATED,
        figures=measured,
    )
    if photos is not None:
        typer.echo(preview.summary(preview.add(folder, photos)))
    typer.echo(f"exported: {folder}")


def _export_for_web(model: Path, folder: Path) -> None:
    from caesura import web
    from caesura.models import bundle

    for path in web.write(bundle.load(str(model)), folder):
        typer.echo(f"exported: {path} ({path.stat().st_size} bytes)")
