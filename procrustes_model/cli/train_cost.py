"""``procrustes train-cost``: energy and time of a whole training run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.inputs import ArchitectureArgument, ObjectiveOption
from procrustes_model.cli.network import CaseProgress, complete_network
from procrustes_model.cli.outputs import announce_compiling, check_outputs, print_written
from procrustes_model.cli.search import INTERRUPTED

if TYPE_CHECKING:
    from procrustes_model.network.train_cost import TrainCost


class MappingChoice(StrEnum):
    """Which mapping a layer has in a phase."""

    EACH = "each"
    DENSE = "dense"


def train_cost_command(
    architecture: ArchitectureArgument,
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="Network: file or name.", autocompletion=complete_network),
    ],
    schedule: Annotated[
        Path, typer.Option(metavar="FILE", help="Iterations and densities: YAML, or recorded masks (.npz).")
    ],
    iterations: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Where a recorded run ends; a YAML file says it.")
    ] = None,
    sparsity: Annotated[
        str, typer.Option(metavar="FILE", help="Sparse design: file or name.")
    ] = "procrustes",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Samples per training step; default: the network's own.")
    ] = None,
    dataflow: Annotated[
        str, typer.Option(metavar="KN|CN|CK|PQ|any", help="Dimensions over columns and rows of the array.")
    ] = "any",
    constraints: Annotated[
        str | None, typer.Option(metavar="FILE", help="Constraints in place of a dataflow: file or name.")
    ] = None,
    mappings: Annotated[
        MappingChoice,
        typer.Option(help="The best for each state of a layer, or the best dense one for the whole run."),
    ] = MappingChoice.EACH,
    objective: ObjectiveOption = "edp",
    seconds: Annotated[float, typer.Option(min=0.0, help="Time limit of each search; 0: to its end.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same answer.")] = 0,
    clock_ghz: Annotated[
        float | None,
        typer.Option(metavar="GHZ", min=1e-6, max=1e6, help="Clock of the machine: adds time to cycles."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV: a row per part and phase.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for finished searches; with what is there a run goes on."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Searches at once; default: all cores.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Add up energy and cycles of a training run, and compare them with dense training."""
    with reported_errors():
        check_outputs({"--csv": csv}, (architecture, network, str(schedule)))
        from procrustes_model.network.train_cost import train_cost

        if not quiet:
            announce_compiling("walk")
        show = CaseProgress(out, quiet)
        try:
            with show:
                cost = train_cost(
                    architecture,
                    network,
                    schedule,
                    iterations=iterations,
                    sparsity=sparsity,
                    batch=batch,
                    dataflow=dataflow,
                    constraints=constraints,
                    mappings=mappings.value,
                    objective=objective,
                    seconds=seconds or None,
                    seed=seed,
                    out=out,
                    workers=workers,
                    progress=show,
                )
        except KeyboardInterrupt:
            typer.echo(show.farewell(), err=True)
            raise typer.Exit(INTERRUPTED) from None
        _write(cost, csv, clock_ghz, quiet)


def _write(cost: TrainCost, csv: Path | None, clock_ghz: float | None, quiet: bool) -> None:
    from procrustes_model.files import write_atomically
    from procrustes_model.report.tables.train_cost import train_cost_text
    from procrustes_model.report.terminal.train_cost import format_train_cost

    if csv is not None:
        write_atomically(csv, train_cost_text(cost))
    if not quiet:
        typer.echo(format_train_cost(cost, clock_ghz))
        print_written({"--csv": csv})
