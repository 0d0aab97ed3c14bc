"""``procrustes network``: every layer of a network in every phase of training."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from procrustes_model.cli.outputs import announce_compiling
from procrustes_model.cli.progress import Bar, print_damaged
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.cli.search import INTERRUPTED
from procrustes_model.network.request import RunRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from procrustes_model.errors import Issue
    from procrustes_model.network.progress import RunProgress
    from procrustes_model.network.record import CaseRecord
    from procrustes_model.network.result import NetworkResult


@flattened(request=RunRequest)
def network_command(
    request: RunRequest,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write tables as CSV into --out (default: NETWORK_ARCH).")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="Write a report into --out, one HTML file.")] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Write figures into --out, as PNG and SVG.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Search every layer of a network, in every phase of training, and add them up.

    Layers of equal shape are searched once. With --out, an interrupted run goes on where it was.
    """
    from procrustes_model.network.files import plain_name
    from procrustes_model.network.run import run_network
    from procrustes_model.network.work import load_machine

    own, machine, net = load_machine(request.architecture, request.network)
    folder = None if request.out is None else Path(request.out)
    if figures:
        from procrustes_model.report.figures.style import check_plotting

        check_plotting()
    if folder is None and (csv or html or figures):
        folder = Path(f"{plain_name(net.name)}_{plain_name(machine.name)}")
    with CaseProgress(folder, quiet, "walk" if request.sparsity is None else "list_candidates") as show:
        asked = replace(request, architecture=own or machine, network=net, out=folder, progress=show)
        result = run_network(asked)
    # Of what was asked, the page tells what results depend on: however they were found, it is the same.
    command = shlex.join(["procrustes", "network", *request.decisive().to_words()])
    written = [] if folder is None else _write(result, folder, csv, figures, command if html else None)
    if not quiet:
        from procrustes_model.report.terminal.network import format_run
        from procrustes_model.report.terminal.style import Style, wrap

        style = Style.of(sys.stdout)
        say(format_run(result, style), styled=True)
        if written:
            say("\n".join(wrap(f"Wrote {', '.join(written)} into {folder}/", style)))


def _write(result: NetworkResult, folder: Path, csv: bool, figures: bool, command: str | None) -> list[str]:
    """Write what is asked for, with `command` a page that names it, and return what it is."""
    written = ["run.json", "cases", "problems", "mappings"]
    if csv:
        from procrustes_model.report.tables.network import write_tables

        written += [path.name for path in write_tables(result, folder)]
    if figures:
        from procrustes_model.report.figures.network import write_figures

        written += [path.name for path in write_figures(result, folder)]
    if command is not None:
        from procrustes_model.report.page.network import write_html

        write_html(result, folder / "report.html", command=command)
        written.append("report.html")
    return written


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

    def __init__(self, folder: Path | None, quiet: bool, kernel: str = "walk") -> None:
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
            self._begin(progress.total, progress.kept, progress.damaged)
        self.done, self.total = progress.done, progress.total
        latest = None if progress.latest is None else _describe(progress.latest)
        self.bar.show(progress.share, f"{progress.done} of {progress.total} cases", latest)

    def _begin(self, total: int, kept: int, damaged: Sequence[Issue]) -> None:
        if not self.quiet:
            print_damaged(damaged)
            if kept < total:
                announce_compiling(self.kernel)
            there = f", {kept} of them already in {self.folder}/" if kept else ""
            say(f"{total} different cases{there}", err=True)

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
