"""``procrustes search``: the best mapping of a problem on an architecture."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from procrustes_model.cli.inputs import ArchitectureArgument, ProblemArgument, load_one_problem
from procrustes_model.cli.outputs import (
    announce_compiling,
    check_outputs,
    is_stdout,
    print_assumptions,
    print_result,
    print_written,
    quick_start,
    to_stdout,
    write_output,
    write_results,
)
from procrustes_model.cli.over import FamilyFiles, check_family, search_family
from procrustes_model.cli.plots import plot_option, read_plots
from procrustes_model.cli.progress import EVERY, time_left
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import DEFAULT_SECONDS, FILE
from procrustes_model.mapper.request import Formats, FrontRequest, MapperRequest, Method, SearchRequest
from procrustes_model.network.sparse_options import PhaseChoice, SparseOptions
from procrustes_model.options import Request, again, option
from procrustes_model.report.figures.kinds import EVALUATION, FRONT
from procrustes_model.sweeps.request import OverRequest
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from procrustes_model.mapper.incumbent import Progress
    from procrustes_model.mapper.result import SearchResult
    from procrustes_model.objective import Objective

INTERRUPTED = 130
_PIPED = 100
"""Columns of a line of progress where there is no terminal."""
Asked = TypeVar("Asked", bound=MapperRequest)


@dataclass(frozen=True, kw_only=True)
class SearchOptions(Request):
    """What the command line says of a search, beside what is searched and what is zero in it."""

    objective: str | Objective = again(SearchRequest, "objective", "edp")
    constraints: str | None = again(SearchRequest, "constraints", None)
    method: Method = again(SearchRequest, "method", "optimal")
    seconds: float | None = again(SearchRequest, "seconds", DEFAULT_SECONDS)
    mappings: int | None = again(SearchRequest, "mappings", None)
    imperfect: bool = again(SearchRequest, "imperfect", False)
    uneven: bool = again(SearchRequest, "uneven", False)
    formats: Formats = again(SearchRequest, "formats", "stated")
    effort: int | None = again(SearchRequest, "effort", None)
    start: str | None = again(SearchRequest, "start", None)
    limits: str | Objective | None = again(FrontRequest, "limits", None)
    over: str | None = again(OverRequest, "over", None)
    seed: int = again(SearchRequest, "seed", 0)
    threads: int | None = again(SearchRequest, "threads", None)


@dataclass(frozen=True, kw_only=True)
class SearchFiles(Request):
    """What the command line says is written."""

    pareto: Path | None = option(
        None,
        FILE,
        "Find the front of energy against cycles instead; .csv, .png, .svg, .pdf, or - for CSV to stdout.",
        metavar="FILE|-",
    )
    out: Path | None = option(
        None,
        FILE,
        "Write the mapping as YAML, - to stdout; with '--phase all', one per phase.",
        flags=("--out", "-o"),
        metavar="FILE|-",
    )
    design: Path | None = option(
        None,
        FILE,
        "Write the design with the formats of '--formats auto' as YAML; with '--phase all', one per phase.",
    )
    machine: Path | None = option(
        None, FILE, "Write the best machine of '--over' as YAML; - to stdout.", metavar="FILE|-"
    )
    csv: Path | None = option(
        None, FILE, "Write a CSV: a row per level, tensor and action; - to stdout.", metavar="FILE|-"
    )
    json: Path | None = option(None, FILE, "Write everything as JSON; - to stdout.", metavar="FILE|-")


@flattened(sparse=SparseOptions, options=SearchOptions, files=SearchFiles)
def search_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    sparse: SparseOptions,
    options: SearchOptions,
    files: SearchFiles,
    plot: Annotated[list[str] | None, plot_option(EVALUATION | FRONT)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Search the best mapping, and say how sure it is the best.

    The default method proves it: no mapping that architecture and constraints allow is better. Where
    --seconds are over, or on Ctrl-C, it ends with the best so far and the gap that remains. With --sparsity,
    costs are those of the sparse design.
    """
    with quick_start():
        if options.over is not None:
            if _search_over(architecture, problem, sparse, options, files, plot, quiet):
                raise typer.Exit(INTERRUPTED)
            return
        if files.machine is not None:
            raise SpecError(Issue("--machine writes the best machine of a family", "add --over FILE"))
        mapping_files = _per_phase("--out", files.out, sparse.phase)
        design_files = _per_phase("--design", files.design, sparse.phase)
        if files.design is not None and options.formats == "stated":
            raise SpecError(Issue("--design writes formats that were chosen", "add --formats auto"))
        outputs = {
            **mapping_files,
            **design_files,
            "--csv": files.csv,
            "--json": files.json,
            "--pareto": files.pareto,
        }
        plots = read_plots(plot, EVALUATION if files.pareto is None else FRONT)
        outputs |= plots.outputs
        check_outputs(outputs, (architecture, problem, options.constraints or "", options.start or ""))
        line = None if quiet else _ProgressLine()
        if files.pareto is not None:
            _check_front(options, files, sparse)
            front = FrontRequest(architecture, problem, progress=line, **options.shared(FrontRequest))
            silent = quiet or to_stdout(outputs)
            _limit(line, front)
            found = _search_front(_in_phases(front, sparse, quiet)[0], files.pareto, line, silent)
            plots.write(found)
            if not silent:
                print_written(outputs)
            return
        if options.limits is not None:
            hint = "add --pareto FILE, or write them into --objective, as in 'edp, cycles<=200000'"
            raise SpecError(Issue("--limits are those of a front", hint))
        asked = SearchRequest(architecture, problem, progress=line, **options.shared(SearchRequest))
        silent = quiet or to_stdout(outputs)
        _limit(line, asked)
        results = list(_search(_in_phases(asked, sparse, quiet), line, silent))
        _write(results, mapping_files, files.csv, files.json)
        _write_designs(results, design_files)
        plots.write([one.result for one in results])
        if not silent:
            if len(results) > 1:
                from procrustes_model.report.terminal.phases import format_phases

                say(f"\n{format_phases([one.result for one in results])}")
            print_assumptions([one.result for one in results])
            print_written(_existing(outputs))
    if results[-1].interrupted:
        raise typer.Exit(INTERRUPTED)


def _limit(line: _ProgressLine | None, request: MapperRequest) -> None:
    """Let what shows the progress of a request know when that stops."""
    if line is not None:
        line.limit = request.limit


def _in_phases(request: Asked, sparse: SparseOptions, quiet: bool) -> list[Asked]:
    """Return a request for each phase that is meant, with what it names loaded."""
    from procrustes_model.mapper.constraints import load_constraints
    from procrustes_model.model.evaluator import Evaluator
    from procrustes_model.spec.load import load_architecture

    machine = load_architecture(request.architecture)
    work = load_one_problem(str(request.problem), str(request.architecture))
    if isinstance(request, SearchRequest) and request.formats == "auto" and sparse.sparsity is None:
        from procrustes_model.mapper.format_search import NO_DESIGN

        raise SpecError(Issue(*NO_DESIGN))
    made = []
    for one in sparse.in_phases(work):
        zeros = sparse.find(one)
        rules = load_constraints(request.constraints, machine, one)
        given = {} if zeros is None else zeros.arguments()
        Evaluator(machine, one, **given)  # what does not fit is said before anything is compiled
        made.append(replace(request, architecture=machine, problem=one, constraints=rules, **given))
    if not quiet:
        walks = isinstance(request, SearchRequest) and request.method != "optimal"
        dense = "walk" if walks else "find_first_path"
        announce_compiling(dense if sparse.sparsity is None else "list_candidates")
    return made


def _search(
    requests: list[SearchRequest], line: _ProgressLine | None, silent: bool
) -> Iterator[SearchResult]:
    """Yield what is found for each request, printed, until one is interrupted."""
    from procrustes_model.mapper.search import search

    for number, request in enumerate(requests):
        found = search(request)
        if line is not None:
            line.clear()
        if not silent:
            _print(found, request, apart=number > 0)
        yield found
        if found.interrupted:
            return


def _search_over(
    architecture: str,
    problem: str,
    sparse: SparseOptions,
    options: SearchOptions,
    files: SearchFiles,
    plot: list[str] | None,
    quiet: bool,
) -> bool:
    """Search a family of machines; say whether the user stopped it."""
    check_family(options, [*(["--plot"] if plot else []), *files.given("pareto")])
    own = FamilyFiles(files.out, files.machine, files.design, files.csv, files.json)
    check_outputs(own.outputs, (architecture, problem, options.constraints or "", options.over or ""))
    line = None if quiet else _ProgressLine()
    if line is not None:
        line.limit = options.seconds
    given = {**options.shared(OverRequest), "architecture": architecture, "problem": problem}
    return search_family(given, sparse, own, line, quiet=quiet)


def _check_front(options: SearchOptions, files: SearchFiles, sparse: SparseOptions) -> None:
    """Raise where an option is given that the front of energy against cycles leaves without effect."""
    if options.formats == "auto":
        raise SpecError(Issue("--pareto knows formats that are stated only", "leave out --formats auto"))
    if options.imperfect:
        raise SpecError(
            Issue("--pareto knows whole passes only", "leave out --imperfect, or search each objective")
        )
    if options.uneven:
        hint = "leave out --uneven, or search each objective"
        raise SpecError(Issue("--pareto knows even mappings only", hint))
    unused = options.given("objective", "method", "mappings", "start") + files.given(
        "out", "design", "csv", "json"
    )
    if unused:
        raise SpecError(Issue(f"--pareto does without {', '.join(unused)}", "it writes the front, proven"))
    if sparse.phase is PhaseChoice.ALL:
        raise SpecError(Issue("--pareto takes one phase at a time", "--phase fw, bw or wu"))


def _search_front(
    request: FrontRequest, path: Path, line: _ProgressLine | None, silent: bool
) -> tuple[SearchResult, ...]:
    """Find the front of energy against cycles, write it, print it and return it."""
    from procrustes_model.mapper.pareto import find_pareto_front
    from procrustes_model.report.figures.style import PLOT_ENDINGS, check_plotting, write_figure
    from procrustes_model.report.tables.front import front_text
    from procrustes_model.report.terminal.search import format_front

    plots = path.suffix.lower() in PLOT_ENDINGS
    if plots:
        check_plotting()
    front = find_pareto_front(request)
    if line is not None:
        line.clear()
    if plots:
        from procrustes_model.report.figures.front import draw_front

        write_figure(draw_front(front), path)
    else:
        write_output(path, front_text(front))
    if not silent:
        say(format_front(front))
        print_assumptions([point.result for point in front])
    return front


def _per_phase(option: str, out: Path | None, phase: PhaseChoice | None) -> dict[str, Path | None]:
    """Return where something goes: with several phases, to a file each, such as best_fw.yaml."""
    if out is None or phase is not PhaseChoice.ALL:
        return {option: out}
    if is_stdout(out):
        raise SpecError(Issue(f"{option} - takes one phase at a time", "--phase fw, bw or wu"))
    return {
        f"{option} {short}": out.with_stem(f"{out.stem}_{short}")
        for short in (phase.short for phase in PHASES)
    }


def _existing(outputs: dict[str, Path | None]) -> dict[str, Path | None]:
    return {option: path for option, path in outputs.items() if path is not None and path.exists()}


def _print(found: SearchResult, request: SearchRequest, *, apart: bool) -> None:
    """Print a mapping with its costs and certificate."""
    from procrustes_model.report.terminal.search import format_certificate
    from procrustes_model.report.terminal.style import Style
    from procrustes_model.spec.load import load_architecture, load_problem

    if apart:
        say("")
    machine, problem = load_architecture(request.architecture), load_problem(request.problem)
    print_result(found.result, machine, problem, found.mapping)
    say(f"\n{format_certificate(found, Style.of(sys.stdout))}")


def _write(
    found: list[SearchResult], mappings: dict[str, Path | None], csv: Path | None, json: Path | None
) -> None:
    """Write the outputs asked for."""
    from procrustes_model.files import json_text

    for one, path in zip(found, mappings.values(), strict=False):
        if path is not None:
            write_output(path, one.to_yaml())
    write_results([one.result for one in found], csv)
    if json is not None:
        content = [one.to_dict() for one in found]
        write_output(json, json_text(content[0] if len(content) == 1 else content))


def _write_designs(found: list[SearchResult], files: dict[str, Path | None]) -> None:
    """Write the designs with the formats that were chosen."""
    for one, path in zip(found, files.values(), strict=False):
        if path is not None and one.sparsity is not None:
            write_output(path, one.sparsity.to_yaml())


class _ProgressLine:
    """How far a search is, on stderr: a line that is written over and over; on no terminal, one a minute.

    Attributes
    ----------
    limit : float or None
        Seconds after which the search stops.
    """

    def __init__(self) -> None:
        self.limit: float | None = None
        self.live = sys.stderr.isatty()
        self._said = 0.0

    def __call__(self, progress: Progress) -> None:
        from procrustes_model.report.terminal.search import format_progress

        if not self.live:
            self._said = min(self._said, progress.seconds)  # each phase has its own search
            if progress.seconds - self._said >= EVERY:
                self._said = progress.seconds
                left = time_left(progress.share, progress.seconds, self.limit)
                say(f"{format_progress(progress, self.limit, _PIPED)}{left}", err=True)
            return
        width = shutil.get_terminal_size().columns - 1
        text = format_progress(progress, self.limit, width)
        sys.stderr.write(f"\r{text:<{width}}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if not self.live:
            return
        sys.stderr.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
        sys.stderr.flush()
