"""``procrustes network``: every layer of a network in every phase of training."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from procrustes_model.cli.outputs import (
    announce_compiling,
    check_outputs,
    print_written,
    to_stdout,
    write_output,
)
from procrustes_model.cli.plots import plot_option, read_plots
from procrustes_model.cli.progress import Bar, at_most, print_damaged
from procrustes_model.cli.requests import changes_of, flattened
from procrustes_model.cli.say import say
from procrustes_model.cli.search import INTERRUPTED
from procrustes_model.errors import SpecError
from procrustes_model.network.request import RunRequest, nothing_searched
from procrustes_model.report.figures.kinds import NETWORK

if TYPE_CHECKING:
    from procrustes_model.network.progress import RunProgress
    from procrustes_model.network.record import CaseRecord
    from procrustes_model.network.result import NetworkResult
    from procrustes_model.spec.network import Network


@flattened(request=RunRequest)
def network_command(
    request: RunRequest,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE|-", help="Write a CSV: a row per layer, phase and design; - to stdout."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Write everything as JSON; - to stdout.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Write a page, one HTML file; - to stdout.")
    ] = None,
    plot: Annotated[list[str] | None, plot_option(NETWORK)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Search every layer of a network, in every phase of training, and add them up.

    Layers of equal shape are searched once. With --out, an interrupted run goes on where it was, and the
    folder gets its mappings and tables.
    """
    from procrustes_model.network.run import run_network
    from procrustes_model.network.work import load_machine

    plots = read_plots(plot, NETWORK)
    outputs = {"--csv": csv, "--json": json, "--html": html, **plots.outputs}
    check_outputs(outputs, (str(request.architecture), str(request.network)))
    own, machine, net = load_machine(request.architecture, request.network)
    folder = None if request.out is None else Path(request.out)
    if not quiet:
        _say_unused(request, net)
    if request.macs:
        others = {"--out": folder, **{name: file for name, file in outputs.items() if name != "--csv"}}
        if unused := [name for name, file in others.items() if file is not None]:
            raise SpecError(nothing_searched(unused[0].split()[0]))
        _count(replace(request, architecture=machine, network=net), csv, quiet)
        return
    kernel = "find_first_path" if request.sparsity is None else "list_candidates"
    with CaseProgress(folder, quiet, kernel) as show:
        asked = replace(request, architecture=own or machine, network=net, out=folder, progress=show)
        result = run_network(asked)
    # Of what was asked, the page tells what results depend on: however they were found, it is the same.
    words = [*request.decisive().to_words(), *changes_of(request)]
    command = shlex.join(["procrustes", "network", *words])
    written = [] if folder is None else _fill(result, folder)
    _write(result, csv, json, html, command)
    plots.write(result)
    if not quiet and not to_stdout(outputs):
        from procrustes_model.report.terminal.network import format_run
        from procrustes_model.report.terminal.style import Style, wrap

        style = Style.of(sys.stdout)
        say(format_run(result, style), styled=True)
        if written:
            say("\n".join(wrap(f"Wrote {', '.join(written)} into {folder}/", style)))
        print_written(outputs)


def _say_unused(request: RunRequest, network: Network) -> None:
    """Say which layers state zeros of their own that no sparse design makes anything of."""
    if request.sparsity is not None:
        return
    names = [layer.name for layer in network.layers if layer.densities and layer.sparsity is None]
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        which = f"{', '.join(names[:3])}{more}"
        say(f"note: zeros of {which} save nothing without a sparse design; --sparsity names one", err=True)


def _count(request: RunRequest, csv: Path | None, quiet: bool) -> None:
    """Count computations, write them where that is asked, and print them."""
    from procrustes_model.network.macs import count_macs
    from procrustes_model.report.tables.macs import macs_text

    result = count_macs(request)
    if csv is not None:
        write_output(csv, macs_text(result))
    outputs = {"--csv": csv}
    if not quiet and not to_stdout(outputs):
        from procrustes_model.report.terminal.macs import format_macs
        from procrustes_model.report.terminal.style import Style

        say(format_macs(result, Style.of(sys.stdout)), styled=True)
        print_written(outputs)


def _fill(result: NetworkResult, folder: Path) -> list[str]:
    """Write the tables of a run into its folder, and return all that is there now."""
    from procrustes_model.report.tables.network import write_tables

    tables = [path.name for path in write_tables(result, folder)]
    return ["run.json", "cases", "problems", "mappings", *tables]


def _write(
    result: NetworkResult, csv: Path | None, json: Path | None, html: Path | None, command: str
) -> None:
    """Write the outputs asked for; the page names the command that made it."""
    if csv is not None:
        from procrustes_model.report.tables.network import layers_text

        write_output(csv, layers_text(result))
    if json is not None:
        from procrustes_model.report.tables.network import json_text

        write_output(json, json_text(result))
    if html is not None:
        from procrustes_model.report.page.network import html_text

        write_output(html, html_text(result, command=command))


class CaseProgress:
    """Where a run stands, on stderr, and what is kept of it when it is interrupted.

    Parameters
    ----------
    folder : Path or None
        Where finished cases are kept.
    quiet : bool
    kernel : str
        The one that all else of a search is compiled for.
    """

    def __init__(self, folder: Path | None, quiet: bool, kernel: str = "find_first_path") -> None:
        self.kernel = kernel
        self.folder = folder
        self.quiet = quiet
        self.done = self.total = 0
        self.bar = Bar(quiet)

    def __enter__(self) -> Self:
        self.bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.bar.__exit__()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            say(self.farewell(), err=True)
            raise typer.Exit(INTERRUPTED) from None

    def __call__(self, progress: RunProgress) -> None:
        """Show a moment of a run."""
        if progress.total and not self.total:
            self._begin(progress)
        self.done, self.total = progress.done, progress.total
        latest = None if progress.latest is None else _describe(progress.latest)
        self.bar.show(progress.share, f"{progress.done} of {progress.total} cases", latest)

    def _begin(self, progress: RunProgress) -> None:
        if not self.quiet:
            print_damaged(progress.damaged)
            if progress.kept < progress.total:
                announce_compiling(self.kernel)
            there = f", {progress.kept} of them already in {self.folder}/" if progress.kept else ""
            say(f"{progress.total} different cases{there}{at_most(progress.longest)}", err=True)

    def farewell(self) -> str:
        """Return what to say when the run is interrupted."""
        if self.folder is None:
            return "Interrupted; with --out DIR finished cases would have been kept"
        kept = f"{self.done} of {self.total} cases are kept in {self.folder}/"
        return f"Interrupted; {kept}: the same command with --out {self.folder} goes on"


def _describe(record: CaseRecord) -> str:
    """Return a finished case in a few words."""
    from procrustes_model.report.terminal.network import format_gap
    from procrustes_model.report.terminal.units import format_energy

    proof = "proven" if record.proven else "no bound" if record.gap is None else format_gap(record.gap)
    best = f"{format_energy(record.energy_pj)}, {record.cycles:,} cycles, {proof}"
    return f"{best}: {record.problem['name'][:40]}"
