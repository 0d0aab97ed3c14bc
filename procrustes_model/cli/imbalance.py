"""``procrustes imbalance``: how much work every processing element has, before and after balancing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrustes_model.cli.inputs import ArchitectureArgument, MappingArgument, ProblemArgument, load_all
from procrustes_model.cli.outputs import (
    announced_late,
    check_outputs,
    print_written,
    quick_start,
    to_stdout,
    write_output,
)
from procrustes_model.cli.plots import plot_option, read_plots
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import FILE, WHOLE
from procrustes_model.network.sparse_options import SparseOptions
from procrustes_model.options import Request, option
from procrustes_model.report.figures.kinds import IMBALANCE

if TYPE_CHECKING:
    from procrustes_model.model.sparse.imbalance import WorkArrays
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem

_ROWS = 16
"""Bins on the terminal, at most."""


@dataclass(frozen=True, kw_only=True)
class HistogramOptions(Request):
    """What the command line says of histograms."""

    csv: Path | None = option(None, FILE, "Write a CSV: a row per bin; - to stdout.", metavar="FILE|-")
    json: Path | None = option(None, FILE, "Write everything as JSON; - to stdout.", metavar="FILE|-")
    bins: int = option(40, WHOLE, "Bins of CSV, JSON and plot, at most.", least=1, most=10_000)
    samples: int | None = option(
        None, WHOLE, "Random masks where none is given; by default enough of them.", least=1, most=10_000
    )
    seed: int = option(0, WHOLE, "Of the random masks.", least=0)


@flattened(sparse=SparseOptions, options=HistogramOptions)
def imbalance_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    mapping: MappingArgument,
    sparse: SparseOptions,
    options: HistogramOptions,
    plot: Annotated[list[str] | None, plot_option(IMBALANCE)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Show how much work every processing element has, before and after balancing."""
    with quick_start():
        plots = read_plots(plot, IMBALANCE)
        if options.given("bins") and options.csv is None and options.json is None and not plots.wanted:
            raise SpecError(Issue("--bins are those of files", "add --csv, --json or --plot"))
        outputs = {"--csv": options.csv, "--json": options.json, **plots.outputs}
        check_outputs(
            outputs, (architecture, problem, mapping, *([str(sparse.masks)] if sparse.masks else []))
        )
        if sparse.sparsity is None:
            raise SpecError(Issue("imbalance needs a sparse design", "such as --sparsity procrustes"))
        machine, work, schedule = load_all(architecture, problem, mapping, sparse.sparsity)
        ready = [(phased, _prepare(machine, phased, sparse, options)) for phased in sparse.in_phases(work)]
        from procrustes_model.model.sparse.imbalance import measure_imbalance

        with announced_late("measure_work", quiet=quiet):
            measured = [measure_imbalance(machine, phased, schedule, **asked) for phased, asked in ready]
        random = options.given("samples", "seed")
        if random and all(one.of.basis != "sampled" for one in measured):
            message = f"{' and '.join(random)}: there are no random masks, the work is {measured[0].of.basis}"
            raise SpecError(Issue(message, "leave it out"))
        silent = quiet or to_stdout(outputs)
        for number, one in enumerate(measured):
            if not silent:
                _print(one, first=number == 0)
        histograms = [one.histogram(options.bins) for one in measured]
        from procrustes_model.report.tables.imbalance import imbalance_json, imbalance_text

        for path, write in ((options.csv, imbalance_text), (options.json, imbalance_json)):
            if path is not None:
                write_output(path, write(histograms))
        plots.write(histograms)
        if not silent:
            print_written(outputs)


def _prepare(
    machine: Architecture, problem: Problem, sparse: SparseOptions, options: HistogramOptions
) -> dict[str, Any]:
    """Return what `measure_imbalance` takes beside the specifications, in a problem's phase."""
    from procrustes_model.model.evaluator import Evaluator

    zeros = sparse.find(problem)
    assert zeros is not None
    balanced = zeros.sparsity.phase(problem.phase).balancing.tensor
    if options.samples is not None and balanced in zeros.masks:
        raise SpecError(Issue(f"--samples are random masks; {balanced} has one", "leave it out"))
    given = zeros.arguments()
    Evaluator(machine, problem, **given)  # what does not fit is said before anything is compiled
    return {**given, "samples": options.samples, "seed": options.seed}


def _print(work: WorkArrays, *, first: bool) -> None:
    from procrustes_model.report.terminal.imbalance import describe_work, format_imbalance
    from procrustes_model.report.terminal.style import Style, wrap

    of = work.of
    phase = f" ({of.phase.replace('_', ' ')})" if of.phase else ""
    style = Style.of(sys.stdout)
    head = f"{of.problem}{phase} on {of.architecture}, mapping {of.mapping}, design {of.sparsity}"
    about = [*wrap(head, style), *wrap(describe_work(of, *work.before.shape[::-1]), style)]
    say("\n".join(["", *about][first:]) + "\n")
    if not work.mean.any():
        say(f"No work: {of.tensor} has no nonzeros.")
        return
    say(format_imbalance(work.histogram(_ROWS), unicode=style.unicode, width=style.width))
