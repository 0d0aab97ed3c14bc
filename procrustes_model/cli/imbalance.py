"""``procrustes imbalance``: how much work every processing element has, before and after balancing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.inputs import ArchitectureArgument, MappingArgument, ProblemArgument, load_all
from procrustes_model.cli.outputs import announce_compiling, check_outputs, print_written, quick_start
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.sparse_options import SparseOptions
from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.model.sparse.imbalance import ImbalanceHistogram, WorkArrays

_BINS = 40
_ROWS = 16
"""Bins on the terminal, at most."""


@flattened(sparse=SparseOptions)
def imbalance_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    mapping: MappingArgument,
    sparse: SparseOptions,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a CSV: a row per bin.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the histograms as .png, .svg or .pdf.")
    ] = None,
    bins: Annotated[int, typer.Option(min=1, max=10_000, help="Bins of CSV and plot, at most.")] = _BINS,
    samples: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Random masks where none is given; by default enough of them."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random masks.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Show how much work every processing element has, before and after balancing."""
    with quick_start():
        outputs = {"--csv": csv, "--plot": plot}
        check_outputs(
            outputs, (architecture, problem, mapping, *([str(sparse.masks)] if sparse.masks else []))
        )
        _check_plot(plot)
        if bins != _BINS and csv is None and plot is None:
            raise SpecError(Issue("--bins are those of CSV and plot", "add --csv or --plot"))
        if sparse.sparsity is None:
            raise SpecError(Issue("imbalance needs a sparse design", "such as --sparsity procrustes"))
        machine, work, schedule = load_all(architecture, problem, mapping)
        if not quiet:
            announce_compiling("measure_work")
        from procrustes_model.model.sparse.imbalance import measure_imbalance

        measured: list[WorkArrays] = []
        for phased in sparse.in_phases(work):
            zeros = sparse.find(phased)
            assert zeros is not None
            balanced = zeros.sparsity.phase(phased.phase).balancing.tensor
            if samples is not None and balanced in zeros.masks:
                raise SpecError(Issue(f"--samples are random masks; {balanced} has one", "leave it out"))
            one = measure_imbalance(
                machine, phased, schedule, **zeros.arguments(), samples=samples, seed=seed
            )
            if not quiet:
                _print(one, first=not measured)
            measured.append(one)
        _write([one.histogram(bins) for one in measured], csv, plot)
        if not quiet:
            print_written(outputs)


def _check_plot(plot: Path | None) -> None:
    """Raise unless figures can be drawn in the format of the file's ending."""
    from procrustes_model.report.figures.style import PLOT_ENDINGS, check_plotting

    if plot is None:
        return
    if plot.suffix.lower() not in PLOT_ENDINGS:
        endings = ", ".join(PLOT_ENDINGS)
        raise SpecError(Issue("--plot has no ending of a figure", f"one of {endings}", str(plot)))
    check_plotting()


def _print(work: WorkArrays, *, first: bool) -> None:
    from procrustes_model.report.terminal.imbalance import describe_work, format_imbalance
    from procrustes_model.report.terminal.table import Style

    of = work.of
    phase = f" ({of.phase.replace('_', ' ')})" if of.phase else ""
    typer.echo(
        f"{'' if first else chr(10)}{of.problem}{phase} on {of.architecture}, "
        f"mapping {of.mapping}, design {of.sparsity}"
    )
    typer.echo(f"{describe_work(of, work.before.shape[1], work.before.shape[0])}\n")
    typer.echo(format_imbalance(work.histogram(_ROWS), unicode=Style.of(sys.stdout).unicode))


def _write(histograms: list[ImbalanceHistogram], csv: Path | None, plot: Path | None) -> None:
    """Write the outputs asked for."""
    from procrustes_model.files import write_atomically
    from procrustes_model.report.figures.imbalance import plot_imbalance
    from procrustes_model.report.tables.imbalance import imbalance_text

    if csv is not None:
        write_atomically(csv, imbalance_text(histograms))
    if plot is not None:
        plot_imbalance(histograms, plot)
