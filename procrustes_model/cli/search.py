"""``procrustes search``: the best mapping of a problem on an architecture."""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.inputs import ArchitectureArgument, ProblemArgument, complete_shipped
from procrustes_model.cli.outputs import (
    announce_compiling,
    check_outputs,
    print_result,
    print_written,
    quick_start,
    write_results,
)
from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.mapper.constraints import Constraints
    from procrustes_model.mapper.incumbent import Progress
    from procrustes_model.mapper.result import SearchResult
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem

INTERRUPTED = 130


class Objective(StrEnum):
    """What a search minimises."""

    ENERGY = "energy"
    CYCLES = "cycles"
    EDP = "edp"


class Method(StrEnum):
    """How a search goes about it."""

    OPTIMAL = "optimal"
    RANDOM = "random"
    EXHAUSTIVE = "exhaustive"


def _complete_constraints(incomplete: str) -> list[str]:
    return complete_shipped("constraints", incomplete)


def search_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    constraints: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What mappings must obey: file or name.",
            autocompletion=_complete_constraints,
        ),
    ] = None,
    objective: Annotated[Objective, typer.Option(help="What to minimise.")] = Objective.EDP,
    method: Annotated[
        Method, typer.Option(help="Proof, seeded random walks, or every mapping.")
    ] = Method.OPTIMAL,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, help="Stop then, with the best so far and how far it may be off.")
    ] = None,
    mappings: Annotated[int | None, typer.Option(min=1, help="Budget of the random search.")] = None,
    imperfect: Annotated[
        bool, typer.Option("--imperfect", help="Look at loops with a shorter last pass, such as K=14/2, too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same answer.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Default: all cores.")] = None,
    pareto: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Find the front of energy against cycles instead; .csv, .png, .svg, .pdf."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the mapping as YAML.")] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV: a row per level, tensor and action.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Search the best mapping, and say how sure it is the best.

    The default method proves it: no mapping that architecture and constraints allow is better. Interrupt
    it (Ctrl-C), or give it --seconds, to get the best so far with the gap that remains.
    """
    interrupted = False
    with reported_errors(), quick_start():
        outputs = {"--out": out, "--csv": csv, "--json": json, "--pareto": pareto}
        check_outputs(outputs, (architecture, problem, constraints or ""))
        from procrustes_model.mapper.constraints import load_constraints
        from procrustes_model.spec.architecture import load_architecture
        from procrustes_model.spec.problem import load_problem

        machine, work = load_architecture(architecture), load_problem(problem)
        rules = load_constraints(constraints, machine, work)
        if not quiet:
            announce_compiling("walk")
        line = _ProgressLine(objective.value, seconds) if not quiet and sys.stderr.isatty() else None
        if pareto is not None and imperfect:
            raise SpecError(
                Issue("--pareto knows whole passes only", "leave out --imperfect, or search each objective")
            )
        if pareto is not None:
            _search_front(machine, work, rules, pareto, seconds, seed, threads, line, quiet)
            return
        from procrustes_model.mapper.search import search

        found = search(
            machine,
            work,
            rules,
            objective.value,
            method=method.value,
            seconds=seconds,
            mappings=mappings,
            imperfect=imperfect,
            seed=seed,
            threads=threads,
            progress=line,
        )
        interrupted = found.interrupted
        if line is not None:
            line.clear()
        _write(found, out, csv, json)
        if not quiet:
            from procrustes_model.report.search import format_certificate

            print_result(found.result, machine, work, found.mapping)
            typer.echo(f"\n{format_certificate(found)}")
            print_written(outputs)
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _search_front(
    machine: Architecture,
    work: Problem,
    constraints: Constraints,
    path: Path,
    seconds: float | None,
    seed: int,
    threads: int | None,
    line: _ProgressLine | None,
    quiet: bool,
) -> None:
    """Find the front of energy against cycles, write it and print it."""
    from procrustes_model.mapper.pareto import find_pareto_front
    from procrustes_model.report.figure import PLOT_ENDINGS, check_plotting
    from procrustes_model.report.search import format_front, write_front

    if path.suffix.lower() in PLOT_ENDINGS:
        check_plotting()
    front = find_pareto_front(
        machine, work, constraints, seconds=seconds, seed=seed, threads=threads, progress=line
    )
    if line is not None:
        line.clear()
    write_front(front, path)
    if not quiet:
        typer.echo(f"{format_front(front)}\nWrote {path}")


def _write(found: SearchResult, out: Path | None, csv: Path | None, json: Path | None) -> None:
    """Write the outputs asked for."""
    import json as json_module

    from procrustes_model.report.atomic import write_atomically

    if out is not None:
        write_atomically(out, found.mapping.to_yaml())
    write_results([found.result], csv)
    if json is not None:
        write_atomically(json, json_module.dumps(found.to_dict(), indent=2) + "\n")


class _ProgressLine:
    """One line on stderr that is written over and over.

    Parameters
    ----------
    objective : str
    limit : float or None
        Seconds after which the search stops.
    """

    def __init__(self, objective: str, limit: float | None) -> None:
        self.objective = objective
        self.limit = limit

    def __call__(self, progress: Progress) -> None:
        from procrustes_model.report.search import format_progress

        width = shutil.get_terminal_size().columns - 1
        text = format_progress(progress, self.objective, self.limit)[:width]
        sys.stderr.write(f"\r{text:<{width}}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        sys.stderr.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
        sys.stderr.flush()
