"""``procrustes search``: the best mapping of a problem on an architecture."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrustes_model.cli.inputs import ArchitectureArgument, ProblemArgument, complete_shipped
from procrustes_model.cli.outputs import (
    announce_compiling,
    check_outputs,
    print_result,
    print_written,
    quick_start,
    write_results,
)
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.sparse_options import PhaseChoice, SparseOptions
from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.request import NetworkRequest
from procrustes_model.options import Request, again
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from procrustes_model.mapper.constraints import Constraints
    from procrustes_model.mapper.incumbent import Progress
    from procrustes_model.mapper.result import SearchResult
    from procrustes_model.objective import Objective
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem

INTERRUPTED = 130


class Method(StrEnum):
    """How a search goes about it."""

    OPTIMAL = "optimal"
    RANDOM = "random"
    EXHAUSTIVE = "exhaustive"


@dataclass(frozen=True, kw_only=True)
class Wanted(Request):
    """What the command line says a search is for."""

    objective: str | Objective = again(NetworkRequest, "objective", "edp")


def _complete_constraints(incomplete: str) -> list[str]:
    return complete_shipped("constraints", incomplete)


@flattened(sparse=SparseOptions, wanted=Wanted)
def search_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    sparse: SparseOptions,
    wanted: Wanted,
    constraints: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What mappings must obey: file or name.",
            autocompletion=_complete_constraints,
        ),
    ] = None,
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
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the mapping as YAML; with '--phase all', one per phase."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV: a row per level, tensor and action.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Search the best mapping, and say how sure it is the best.

    The default method proves it: no mapping that architecture and constraints allow is better. Interrupt
    it (Ctrl-C), or give it --seconds, to get the best so far with the gap that remains. With --sparsity,
    costs are those of the sparse design.
    """
    interrupted = False
    with quick_start():
        mapping_files = _mapping_files(out, sparse.phase)
        outputs = {**mapping_files, "--csv": csv, "--json": json, "--pareto": pareto}
        check_outputs(outputs, (architecture, problem, constraints or ""))
        if pareto is not None:
            _check_front(wanted, method, mappings, imperfect, outputs)
        from procrustes_model.mapper.constraints import load_constraints
        from procrustes_model.spec.load import load_architecture, load_problem

        machine, work = load_architecture(architecture), load_problem(problem)
        if not quiet:
            announce_compiling("walk" if sparse.sparsity is None else "list_candidates")
        line = _ProgressLine(seconds) if not quiet and sys.stderr.isatty() else None
        problems = sparse.in_phases(work)
        found_zeros = [sparse.find(one) for one in problems]
        zeros = [{} if one is None else one.arguments() for one in found_zeros]
        rules = [load_constraints(constraints, machine, one) for one in problems]
        if pareto is not None:
            if len(problems) > 1:
                raise SpecError(Issue("--pareto takes one phase at a time", "--phase fw, bw or wu"))
            _search_front(machine, work, rules[0], zeros[0], pareto, seconds, seed, threads, line, quiet)
            return
        from procrustes_model.mapper.search import search

        results: list[SearchResult] = []
        for one, rule, zero in zip(problems, rules, zeros, strict=True):
            found = search(
                machine,
                one,
                rule,
                wanted.objective,
                **zero,
                method=method.value,
                seconds=seconds,
                mappings=mappings,
                imperfect=imperfect,
                seed=seed,
                threads=threads,
                progress=line,
            )
            if line is not None:
                line.clear()
            if not quiet:
                _print(found, machine, one, again=bool(results))
            results.append(found)
            interrupted = found.interrupted
            if interrupted:
                break
        _write(results, mapping_files, csv, json)
        if not quiet:
            if len(results) > 1:
                from procrustes_model.report.terminal.phases import format_phases

                typer.echo(f"\n{format_phases([one.result for one in results])}")
            print_written(_existing(outputs))
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _check_front(
    wanted: Wanted,
    method: Method,
    mappings: int | None,
    imperfect: bool,
    outputs: dict[str, Path | None],
) -> None:
    """Raise where an option is given that the front of energy against cycles leaves without effect."""
    if imperfect:
        raise SpecError(
            Issue("--pareto knows whole passes only", "leave out --imperfect, or search each objective")
        )
    stated = {"--objective": bool(wanted.given("objective")), "--method": method is not Method.OPTIMAL}
    stated |= {"--mappings": mappings is not None}
    stated |= {option: path is not None for option, path in outputs.items() if option != "--pareto"}
    if unused := [option for option, given in stated.items() if given]:
        raise SpecError(Issue(f"--pareto does without {', '.join(unused)}", "it writes the front, proven"))


def _search_front(
    machine: Architecture,
    work: Problem,
    constraints: Constraints,
    zeros: dict[str, Any],
    path: Path,
    seconds: float | None,
    seed: int,
    threads: int | None,
    line: _ProgressLine | None,
    quiet: bool,
) -> None:
    """Find the front of energy against cycles, write it and print it."""
    from procrustes_model.files import write_atomically
    from procrustes_model.mapper.pareto import find_pareto_front
    from procrustes_model.report.figures.style import PLOT_ENDINGS, check_plotting
    from procrustes_model.report.tables.front import front_text
    from procrustes_model.report.terminal.search import format_front

    plots = path.suffix.lower() in PLOT_ENDINGS
    if plots:
        check_plotting()
    front = find_pareto_front(
        machine, work, constraints, **zeros, seconds=seconds, seed=seed, threads=threads, progress=line
    )
    if line is not None:
        line.clear()
    if plots:
        from procrustes_model.report.figures.front import plot_front

        plot_front(front, path)
    else:
        write_atomically(path, front_text(front))
    if not quiet:
        typer.echo(f"{format_front(front)}\nWrote {path}")


def _mapping_files(out: Path | None, phase: PhaseChoice | None) -> dict[str, Path | None]:
    """Return where mappings go: with several phases, to a file each, such as best_fw.yaml."""
    if out is None or phase is not PhaseChoice.ALL:
        return {"--out": out}
    return {
        f"--out {short}": out.with_stem(f"{out.stem}_{short}") for short in (phase.short for phase in PHASES)
    }


def _existing(outputs: dict[str, Path | None]) -> dict[str, Path | None]:
    return {option: path for option, path in outputs.items() if path is not None and path.exists()}


def _print(found: SearchResult, machine: Architecture, problem: Problem, *, again: bool) -> None:
    """Print a mapping with its costs and certificate."""
    from procrustes_model.report.terminal.search import format_certificate

    if again:
        typer.echo("")
    print_result(found.result, machine, problem, found.mapping)
    typer.echo(f"\n{format_certificate(found)}")


def _write(
    found: list[SearchResult], mappings: dict[str, Path | None], csv: Path | None, json: Path | None
) -> None:
    """Write the outputs asked for."""
    import json as json_module

    from procrustes_model.files import write_atomically

    for one, path in zip(found, mappings.values(), strict=False):
        if path is not None:
            write_atomically(path, one.mapping.to_yaml())
    write_results([one.result for one in found], csv)
    if json is not None:
        content = [one.to_dict() for one in found]
        text = json_module.dumps(content[0] if len(content) == 1 else content, indent=2)
        write_atomically(json, text + "\n")


class _ProgressLine:
    """One line on stderr that is written over and over.

    Parameters
    ----------
    limit : float or None
        Seconds after which the search stops.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit

    def __call__(self, progress: Progress) -> None:
        from procrustes_model.report.terminal.search import format_progress

        width = shutil.get_terminal_size().columns - 1
        text = format_progress(progress, self.limit)[:width]
        sys.stderr.write(f"\r{text:<{width}}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        sys.stderr.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
        sys.stderr.flush()
