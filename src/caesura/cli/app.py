"""The Typer application with all commands."""

from __future__ import annotations

from typing import Annotated

import typer

from caesura import __version__
from caesura.cli import archive, code, look, measure, training

app = typer.Typer(
    name="caesura",
    help="A learned image codec for photographs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # markup would remove "[default: x]" from the help
)
data = typer.Typer(help="Prepare training data.", no_args_is_help=True)
app.add_typer(data, name="data")
archives = typer.Typer(
    help="Encode and decode archives of millions of pictures.",
    no_args_is_help=True,
)
app.add_typer(archives, name="archive")

for command in (code.encode, code.decode, look.info, look.compare, look.models):
    app.command()(command)
app.command()(measure.bench)
app.command()(training.train)
app.command()(training.export)
data.command()(training.prepare)
archives.command()(archive.encode)
archives.command()(archive.decode)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"caesura {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
