"""``procrustes train-cost``: energy and time of a whole training run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.network import CaseProgress
from procrustes_model.cli.outputs import check_outputs, print_written, to_stdout, write_output
from procrustes_model.cli.plots import plot_option, read_plots
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.cli.values import number
from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import NUMBER
from procrustes_model.network.request import TrainRequest, nothing_searched
from procrustes_model.report.figures.kinds import TRAINING

if TYPE_CHECKING:
    from procrustes_model.network.train_result import TrainCost


@flattened(request=TrainRequest)
def train_cost_command(
    request: TrainRequest,
    clock_ghz: Annotated[
        float | None,
        typer.Option(
            help="Clock, in place of the machine's: adds time, sets what leaks.",
            **number("--clock-ghz", form=NUMBER, sign="GHZ", least=1e-6, most=1e6),
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE|-", help="Write a CSV: a row per part and phase; - to stdout."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Write everything as JSON; - to stdout.")
    ] = None,
    plot: Annotated[list[str] | None, plot_option(TRAINING)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Add up energy and cycles of a training run, and compare them with dense training."""
    if quiet and clock_ghz is not None:
        raise SpecError(Issue("--clock-ghz adds time to what --quiet leaves out", "keep one of them"))
    inputs = (request.architecture, request.network, request.schedule)
    plots = read_plots(plot, TRAINING)
    outputs = {"--csv": csv, "--json": json, **plots.outputs}
    check_outputs(outputs, tuple(str(name) for name in inputs))
    if request.macs and clock_ghz is not None:
        raise SpecError(nothing_searched("--clock-ghz"))
    from procrustes_model.network.train_cost import train_cost

    if clock_ghz is not None:
        from procrustes_model.spec.load import load_architecture

        machine = load_architecture(request.architecture).at_clock(clock_ghz)
        request = replace(request, architecture=machine)
    with CaseProgress(None if request.out is None else Path(request.out), quiet) as show:
        cost = train_cost(replace(request, progress=show))
    _write(cost, csv, json)
    plots.write(cost)
    if not quiet and not to_stdout(outputs):
        from procrustes_model.report.terminal.style import Style
        from procrustes_model.report.terminal.train_cost import format_train_cost

        say(format_train_cost(cost, Style.of(sys.stdout)), styled=True)
        print_written(outputs)


def _write(cost: TrainCost, csv: Path | None, json: Path | None) -> None:
    """Write the tables asked for."""
    from procrustes_model.report.tables.train_cost import train_cost_json, train_cost_text

    if csv is not None:
        write_output(csv, train_cost_text(cost))
    if json is not None:
        write_output(json, train_cost_json(cost))
