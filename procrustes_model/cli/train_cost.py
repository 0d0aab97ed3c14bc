"""``procrustes train-cost``: energy and time of a whole training run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.network import CaseProgress
from procrustes_model.cli.outputs import announce_compiling, check_outputs, check_plot, print_written
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.cli.values import number
from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import NUMBER
from procrustes_model.network.request import TrainRequest, nothing_searched

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
        Path | None, typer.Option(metavar="FILE", help="Write a CSV: a row per part and phase.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write parts and sums as JSON.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw density and energy over time, as .png, .svg or .pdf."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Add up energy and cycles of a training run, and compare them with dense training."""
    if quiet and clock_ghz is not None:
        raise SpecError(Issue("--clock-ghz adds time to what --quiet leaves out", "keep one of them"))
    inputs = (request.architecture, request.network, request.schedule)
    outputs = {"--csv": csv, "--json": json, "--plot": plot}
    check_outputs(outputs, tuple(str(name) for name in inputs))
    check_plot(plot)
    if request.macs and clock_ghz is not None:
        raise SpecError(nothing_searched("--clock-ghz"))
    if request.macs and not quiet:
        announce_compiling("cost_sparse")
    from procrustes_model.network.train_cost import train_cost

    if clock_ghz is not None:
        from procrustes_model.spec.load import load_architecture

        machine = load_architecture(request.architecture).at_clock(clock_ghz)
        request = replace(request, architecture=machine)
    with CaseProgress(None if request.out is None else Path(request.out), quiet) as show:
        cost = train_cost(replace(request, progress=show))
    _write(cost, outputs, quiet)


def _write(cost: TrainCost, outputs: dict[str, Path | None], quiet: bool) -> None:
    from procrustes_model.files import write_atomically
    from procrustes_model.report.tables.train_cost import train_cost_json, train_cost_text
    from procrustes_model.report.terminal.style import Style
    from procrustes_model.report.terminal.train_cost import format_train_cost

    for name, text in (("--csv", train_cost_text), ("--json", train_cost_json)):
        if (file := outputs[name]) is not None:
            write_atomically(file, text(cost))
    if (file := outputs["--plot"]) is not None:
        from procrustes_model.report.figures.train_cost import plot_train_cost

        plot_train_cost(cost, file)
    if not quiet:
        say(format_train_cost(cost, Style.of(sys.stdout)), styled=True)
        print_written(outputs)
