"""``procrustes network``: every layer of a network in every phase of training."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.inputs import ArchitectureArgument, ObjectiveOption, complete_shipped
from procrustes_model.cli.outputs import announce_compiling
from procrustes_model.cli.search import INTERRUPTED
from procrustes_model.cli.sparse_options import SparsityOption, parse_tensor_densities
from procrustes_model.vocabulary import Role

if TYPE_CHECKING:
    from procrustes_model.network.result import NetworkResult

_TENSORS = {role: role.tensor for role in Role}


def complete_network(incomplete: str) -> list[str]:
    """Return the names of networks that ship and start with what is typed so far."""
    return complete_shipped("network", incomplete)


def _parse_densities(text: str, network: str) -> dict[str, float]:
    """Return densities of all layers by the names that their tensors have in the shapes that ship."""
    return parse_tensor_densities(text, list(_TENSORS.values()), _TENSORS, network)


def _complete_profile(incomplete: str) -> list[str]:
    return complete_shipped("density", incomplete)


def network_command(
    architecture: ArchitectureArgument,
    network: Annotated[
        str,
        typer.Argument(metavar="NETWORK", help="Network: file or name.", autocompletion=complete_network),
    ],
    batch: Annotated[
        int | None, typer.Option(min=1, help="Samples per training step; default: the network's own.")
    ] = None,
    phases: Annotated[
        str, typer.Option(metavar="fw,bw,wu", help="Forward, backward, weight update.")
    ] = "fw,bw,wu",
    dataflow: Annotated[
        str, typer.Option(metavar="KN|CN|CK|PQ|any", help="Dimensions over columns and rows of the array.")
    ] = "any",
    constraints: Annotated[
        str | None, typer.Option(metavar="FILE", help="Constraints in place of a dataflow: file or name.")
    ] = None,
    sparsity: SparsityOption = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="dense", help="Design to compare with, at best mappings of its own."),
    ] = None,
    density: Annotated[
        str | None, typer.Option(metavar="W=0.1,X=0.5", help="Nonzeros / elements, the same in all layers.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--density-profile",
            metavar="FILE",
            help="Densities by layer: file, name, or recorded masks (.npz).",
            autocompletion=_complete_profile,
        ),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded masks (.npz): count on them.")
    ] = None,
    step: Annotated[int | None, typer.Option(help="Recorded step of the masks; default: the last.")] = None,
    objective: ObjectiveOption = "edp",
    seconds: Annotated[float, typer.Option(min=0.0, help="Time limit of each search; 0: to its end.")] = 20.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same answer.")] = 0,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Stride 1 at the output's size, as published numbers used.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for cases and mappings; with what is there a run goes on."),
    ] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write tables as CSV into --out (default: NETWORK_ARCH).")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="Write a report into --out, one HTML file.")] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Write figures into --out, as PNG and SVG.")
    ] = False,
    engine: Annotated[str, typer.Option(metavar="local|dask", help="This machine, or a cluster.")] = "local",
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Dask scheduler, such as tcp://10.0.0.1:8786.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Searches at once; default: all cores.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Search every layer of a network, in every phase of training, and add them up.

    Layers of equal shape are searched once. With --out, an interrupted run goes on where it was.
    """
    with reported_errors():
        from procrustes_model.network.run import run_network
        from procrustes_model.spec.load import load_architecture, load_network

        machine, net = load_architecture(architecture), load_network(network)
        folder = out
        if figures:
            from procrustes_model.report.figures.style import check_plotting

            check_plotting()
        if folder is None and (csv or html or figures):
            folder = Path(f"{net.name}_{machine.name}")
        if not quiet:
            announce_compiling("walk" if sparsity is None else "list_candidates")
        show = CaseProgress(folder, quiet)
        try:
            with show:
                result = run_network(
                    machine,
                    net,
                    batch=batch,
                    phases=[name.strip() for name in phases.split(",") if name.strip()],
                    dataflow=dataflow,
                    constraints=constraints,
                    sparsity=sparsity,
                    baseline=baseline,
                    density=None if density is None else _parse_densities(density, net.name),
                    profile=profile,
                    masks=masks,
                    step=step,
                    objective=objective,
                    seconds=seconds or None,
                    seed=seed,
                    as_published=as_published,
                    out=folder,
                    engine=engine,  # type: ignore[arg-type]  # it is checked there
                    workers=workers,
                    scheduler=scheduler,
                    progress=show,
                )
        except KeyboardInterrupt:
            typer.echo(show.farewell(), err=True)
            raise typer.Exit(INTERRUPTED) from None
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

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

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
