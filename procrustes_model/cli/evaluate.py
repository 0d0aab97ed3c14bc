"""``procrustes evaluate``: counts, energy and cycles of one mapping."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.inputs import ArchitectureArgument, MappingArgument, ProblemArgument, load_all
from procrustes_model.cli.outputs import (
    announced_late,
    check_outputs,
    print_assumptions,
    print_result,
    print_written,
    quick_start,
    to_stdout,
    write_results,
)
from procrustes_model.cli.plots import plot_option, read_plots
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.forms import FILE
from procrustes_model.network.sparse_options import SparseOptions
from procrustes_model.options import Request, option
from procrustes_model.report.figures.kinds import EVALUATION

if TYPE_CHECKING:
    from procrustes_model.model.evaluator import Evaluator
    from procrustes_model.model.result import Result
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem


@dataclass(frozen=True, kw_only=True)
class EvaluationFiles(Request):
    """What the command line says is written, beside figures."""

    csv: Path | None = option(
        None, FILE, "Write a CSV: a row per level, tensor and action; - to stdout.", metavar="FILE|-"
    )
    csv_wide: Path | None = option(
        None, FILE, "Write a CSV: a row per phase, a column per level; - to stdout.", metavar="FILE|-"
    )
    json: Path | None = option(None, FILE, "Write everything as JSON; - to stdout.", metavar="FILE|-")


@flattened(sparse=SparseOptions, files=EvaluationFiles)
def evaluate_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    mapping: MappingArgument,
    sparse: SparseOptions,
    files: EvaluationFiles,
    plot: Annotated[list[str] | None, plot_option(EVALUATION)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Evaluate a mapping: accesses, energy and cycles."""
    with quick_start():
        plots = read_plots(plot, EVALUATION)
        outputs = {
            "--csv": files.csv,
            "--csv-wide": files.csv_wide,
            "--json": files.json,
            **plots.outputs,
        }
        check_outputs(outputs, (architecture, problem, mapping))
        machine, work, schedule = load_all(architecture, problem, mapping, sparse.sparsity)
        ready = [(phased, _prepare(machine, phased, sparse)) for phased in sparse.in_phases(work)]
        silent = quiet or to_stdout(outputs)
        results: list[Result] = []
        for phased, evaluator in ready:
            with announced_late(_kernel(schedule, sparse.sparsity), quiet=quiet):
                one = evaluator.evaluate(schedule)
            if results and not silent:
                say("")
            results.append(one)
            if not silent:
                print_result(one, machine, phased, schedule)
        write_results(results, files.csv, files.csv_wide, files.json)
        plots.write(results)
        if not silent:
            if len(results) > 1:
                from procrustes_model.report.terminal.phases import format_phases

                say(f"\n{format_phases(results)}")
            print_assumptions(results)
            print_written(outputs)


def _kernel(mapping: Mapping, sparsity: str | None) -> str:
    """Return the name of the kernel that everything else of an evaluation is compiled for."""
    if sparsity is not None:
        return "cost_sparse"
    return "count_imperfect_transfers" if mapping.imperfect else "evaluate_nests"


def _prepare(machine: Architecture, problem: Problem, sparse: SparseOptions) -> Evaluator:
    from procrustes_model.model.evaluator import Evaluator

    zeros = sparse.find(problem)
    return Evaluator(machine, problem, **({} if zeros is None else zeros.arguments()))
