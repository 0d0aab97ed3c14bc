"""``procrustes export``: a mapping on a machine as files of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from procrustes_model.cli.import_timeloop import Years
from procrustes_model.cli.inputs import ArchitectureArgument, MappingArgument, ProblemArgument, load_all
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.cli.values import word
from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.sparse_options import SparseOptions

app = typer.Typer(
    help="Write a mapping on a machine as files of another tool.", rich_markup_mode=None, no_args_is_help=True
)


@app.callback()
def _group() -> None:
    # Typer takes a group with one command for the command itself without this.
    pass


@app.command(name="timeloop")
@flattened(sparse=SparseOptions)
def export_timeloop_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    mapping: MappingArgument,
    sparse: SparseOptions,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the files, new or empty.")
    ],
    rules: Annotated[
        Years,
        typer.Option(help="The year of the version that is to count.", **word("year", Years, list(Years))),
    ] = Years.Y2025,
) -> None:
    """Write a mapping as files of Timeloop 0.4: architecture, energies, problem, mapping, sparse design.

    What those files cannot say and that a number depends on is an error; nothing is written then. What is
    written is read back and compared before.
    """
    from procrustes_model.exporters.timeloop import export_timeloop, gather, write_files
    from procrustes_model.importers.timeloop.output import check_folder

    check_folder(out)
    machine, work, schedule = load_all(architecture, problem, mapping, sparse.sparsity)
    phases = sparse.in_phases(work)
    if len(phases) > 1:
        raise SpecError(Issue("--phase all: a folder holds one phase", "export each phase into its own"))
    model = gather(machine, phases[0], schedule, sparse.find(phases[0]), problem)
    exported = export_timeloop(model, rules.value)
    for path in write_files(exported, out):
        say(f"Wrote {path}")
    for note in exported.notes:
        say(f"Note: {note}")
