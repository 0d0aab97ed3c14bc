"""``procrustes network``: every layer of a network in every phase of training."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from procrustes_model.cli.outputs import announce_compiling
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.search import INTERRUPTED
from procrustes_model.network.request import RunRequest

if TYPE_CHECKING:
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
    from procrustes_model.network.run import run_network
    from procrustes_model.spec.load import load_architecture, load_network

    machine, net = load_architecture(request.architecture), load_network(request.network)
    folder = None if request.out is None else Path(request.out)
    if figures:
        from procrustes_model.report.figures.style import check_plotting

        check_plotting()
    if folder is None and (csv or html or figures):
        folder = Path(f"{net.name}_{machine.name}")
    if not quiet:
        announce_compiling("walk" if request.sparsity is None else "list_candidates")
    with CaseProgress(folder, quiet) as show:
        result = run_network(replace(request, architecture=machine, network=net, out=folder, progress=show))
    written = [] if folder is None else _write(result, folder, csv, html, figures)
    if not quiet:
        from procrustes_model.report.terminal.network import print_run

        print_run(result)
        if written:
            typer.echo(f"Wrote {', '.join(written)} into {folder}/")


def _write(result: NetworkResult, folder: Path, csv: bool, html: bool, figures: bool) -> list[str]:
    """Write what is asked for, and return what it is."""
    written = ["run.json", "cases", "problems", "mappings"]
    if csv:
        from procrustes_model.report.tables.network import write_tables

        written += [path.name for path in write_tables(result, folder)]
    if figures:
        from procrustes_model.report.figures.network import write_figures

        written += [path.name for path in write_figures(result, folder)]
    if html:
        from procrustes_model.report.page.network import write_html

        write_html(result, folder / "report.html", command=shlex.join(["procrustes", *sys.argv[1:]]))
        written.append("report.html")
    return written


class CaseProgress:
    """A bar on stderr while a run is going on, where that is a terminal; else a line at its start.

    Parameters
    ----------
    folder : Path or None
        Where finished cases are kept.
    quiet : bool
    """

    def __init__(self, folder: Path | None, quiet: bool) -> None:
        self.folder = folder
        self.quiet = quiet
        self.done = self.total = 0
        self.energy = 0.0
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("{task.fields[cases]}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
                transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=1.0, cases="")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            typer.echo(self.farewell(), err=True)
            raise typer.Exit(INTERRUPTED) from None

    def __call__(self, progress: Any) -> None:
        """Show where a run stands: a `RunProgress`."""
        if progress.total and not self.total:
            self._begin(progress.total, progress.kept)
        self.done, self.total = progress.done, progress.total
        if self.bar is not None:
            latest = "" if progress.latest is None else _describe(progress.latest)
            self.bar.update(
                self.task,
                completed=progress.share,
                cases=f"{progress.done} of {progress.total} cases",
                description=latest,
            )

    def _begin(self, total: int, kept: int) -> None:
        if not self.quiet:
            there = f", {kept} of them already in {self.folder}/" if kept else ""
            typer.echo(f"{total} different cases{there}", err=True)

    def farewell(self) -> str:
        """Return what to say when the run is interrupted."""
        if self.folder is None:
            return "Interrupted; with --out DIR finished cases would have been kept"
        kept = f"{self.done} of {self.total} cases are kept in {self.folder}/"
        return f"Interrupted; {kept}: the same command with --out {self.folder} goes on"


def _describe(record: Any) -> str:
    """Return a finished case in a few words."""
    from procrustes_model.report.terminal.network import format_gap
    from procrustes_model.report.terminal.units import format_energy

    proof = "proven" if record.proven else "no bound" if record.gap is None else format_gap(record.gap)
    best = f"{format_energy(record.energy_pj)}, {record.cycles:,} cycles, {proof}"
    return f"{record.problem['name'][:40]}: {best}"
