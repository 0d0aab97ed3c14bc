"""The command line: one thin module per verb.

Nothing heavy is imported before a verb runs, so that ``--help`` and shell completion are instant.
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from procrustes_model.cli import (
    compile_ahead,
    diff,
    evaluate,
    explain,
    export,
    imbalance,
    imports,
    init,
    masks,
    memory,
    network,
    reproduce,
    search,
    shipped,
    sweep,
    train_cost,
    validate,
)
from procrustes_model.cli.errors import BAD_INPUT, open_streams, reported_errors
from procrustes_model.cli.say import say

_UsageError: Any = typer.BadParameter.__base__
"""Of all wrong options and arguments; Typer exports this one of them."""

app = typer.Typer(
    help="Access counts, energy and cycles of DNN accelerators, from architecture, problem and mapping.",
    epilog="ARCH, PROBLEM and MAPPING are YAML files, or names that 'procrustes list' shows.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="evaluate")(evaluate.evaluate_command)
app.command(name="explain")(explain.explain_command)
app.command(name="imbalance")(imbalance.imbalance_command)
app.command(name="network")(network.network_command)
app.command(name="memory")(memory.memory_command)
app.command(name="diff")(diff.diff_command)
app.command(name="train-cost")(train_cost.train_cost_command)
app.command(name="search")(search.search_command)
app.command(name="sweep")(sweep.sweep_command)
app.add_typer(imports.app, name="import")
app.add_typer(export.app, name="export")
app.command(name="reproduce")(reproduce.reproduce_command)
app.command(name="init")(init.init_command)
app.command(name="list")(shipped.list_command)
app.command(name="show")(shipped.show_command)
app.command(name="validate")(validate.validate_command)
app.add_typer(masks.app, name="masks")
app.command(name="compile")(compile_ahead.compile_command)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from procrustes_model import __version__

    with reported_errors():
        say(f"procrustes {__version__}")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    # Typer shows the text of `app` and not a docstring's.
    del version


def main() -> None:
    """Run the command line and exit with its status: 0, or 2 for bad input, 130 when interrupted."""
    open_streams()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is no reason to fail.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        sys.exit(130)


def _run() -> int:
    """Run the command line and return its status."""
    try:
        # Also here, for what is printed before a verb runs, such as help.
        with reported_errors():
            return int(app(prog_name="procrustes", standalone_mode=False) or 0)
    except typer.Exit as ended:
        return ended.exit_code
    except _UsageError as error:
        with suppress(OSError):
            text = io.StringIO()
            error.show(text)
            say(text.getvalue(), err=True, nl=False)
        return BAD_INPUT
