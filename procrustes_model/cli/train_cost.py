"""``procrustes train-cost``: energy and time of a whole training run."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.network import CaseProgress
from procrustes_model.cli.outputs import check_outputs, print_written
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.cli.values import number
from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import NUMBER
from procrustes_model.network.request import TrainRequest

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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Add up energy and cycles of a training run, and compare them with dense training."""
    if quiet and clock_ghz is not None:
        raise SpecError(Issue("--clock-ghz adds time to what --quiet leaves out", "keep one of them"))
    inputs = (request.architecture, request.network, request.schedule)
    check_outputs({"--csv": csv}, tuple(str(name) for name in inputs))
    from procrustes_model.network.train_cost import train_cost

    if clock_ghz is not None:
        from procrustes_model.spec.load import load_architecture

        machine = load_architecture(request.architecture).at_clock(clock_ghz)
        request = replace(request, architecture=machine)
    with CaseProgress(None if request.out is None else Path(request.out), quiet) as show:
        cost = train_cost(replace(request, progress=show))
    _write(cost, csv, quiet)


def _write(cost: TrainCost, csv: Path | None, quiet: bool) -> None:
    from procrustes_model.files import write_atomically
    from procrustes_model.report.tables.train_cost import train_cost_text
    from procrustes_model.report.terminal.style import Style
    from procrustes_model.report.terminal.train_cost import format_train_cost

    if csv is not None:
        write_atomically(csv, train_cost_text(cost))
    if not quiet:
        say(format_train_cost(cost, Style.of(sys.stdout)), styled=True)
        print_written({"--csv": csv})
