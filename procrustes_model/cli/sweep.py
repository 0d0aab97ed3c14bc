"""``procrustes sweep``: one question for many values."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.network import CaseProgress
from procrustes_model.cli.outputs import check_outputs, is_stdout, print_written, to_stdout, write_output
from procrustes_model.cli.plots import read_plots
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import FILE, TEXT
from procrustes_model.options import Request, option
from procrustes_model.report.figures.kinds import SWEEP
from procrustes_model.sweeps.request import SweepRequest

if TYPE_CHECKING:
    from procrustes_model.sweeps.result import SweepResult


@dataclass(frozen=True, kw_only=True)
class SweepFiles(Request):
    """What the command line says is written."""

    csv: Path | None = option(None, FILE, "Write a CSV: a row per point; - to stdout.", metavar="FILE|-")
    json: Path | None = option(None, FILE, "Write everything as JSON; - to stdout.", metavar="FILE|-")
    parquet: Path | None = option(None, FILE, "Write the same as Parquet; needs pyarrow.")
    html: Path | None = option(None, FILE, "Write a page, one HTML file; - to stdout.", metavar="FILE|-")
    plot: Path | None = option(
        None, FILE, "Draw a figure as .png, .svg or .pdf (front: the points, those of the front marked)."
    )
    over: str | None = option(
        None, TEXT, "Draw lines over this axis instead, one for each of the others' values.", metavar="AXIS"
    )

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        if self.over is not None and self.plot is None:
            raise SpecError(Issue("--over says what --plot draws", "add --plot FILE"))


@flattened(request=SweepRequest, files=SweepFiles)
def sweep_command(
    request: SweepRequest,
    files: SweepFiles,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Search, evaluate or run a network for every value of every axis.

    What several points search is searched once. With --out, an interrupted sweep goes on where it was.
    """
    outputs = {
        "--csv": files.csv,
        "--json": files.json,
        "--parquet": files.parquet,
        "--html": files.html,
        "--plot": files.plot,
    }
    check_outputs(outputs, (str(request.sweep),))
    _check_libraries(files)
    if files.over is not None:
        from procrustes_model.report.figures.sweep import find_axis
        from procrustes_model.spec.sweep import load_sweep

        find_axis(load_sweep(request.sweep).sweep.axis_names, files.over)
    from procrustes_model.sweeps.verb import TABLE, sweep

    folder = None if request.out is None else Path(request.out)
    with CaseProgress(folder, quiet) as show:
        result = sweep(replace(request, progress=show))
    _write(result, files)
    if not quiet and not to_stdout(outputs):
        from procrustes_model.report.terminal.style import Style
        from procrustes_model.report.terminal.sweep import format_sweep

        say(format_sweep(result, Style.of(sys.stdout)), styled=True)
        print_written({**outputs, "--out": None if folder is None else folder / TABLE})


def _check_libraries(files: SweepFiles) -> None:
    """Raise where what an output needs is not installed: before the work."""
    if files.plot is not None:
        read_plots([str(files.plot)], SWEEP)
    if is_stdout(files.parquet):
        raise SpecError(Issue("--parquet is no text", "give it a file"))
    if files.parquet is not None:
        from procrustes_model.report.tables.sweep import check_parquet

        check_parquet()


def _write(result: SweepResult, files: SweepFiles) -> None:
    """Write the outputs asked for."""
    if files.csv is not None:
        write_output(files.csv, result.csv_text())
    if files.parquet is not None:
        from procrustes_model.report.tables.sweep import write_parquet

        write_parquet(result, files.parquet)
    if files.json is not None:
        write_output(files.json, result.json_text())
    if files.html is not None:
        from procrustes_model.report.page.sweep import sweep_html

        write_output(files.html, sweep_html(result))
    if files.plot is not None:
        from procrustes_model.report.figures.style import write_figure
        from procrustes_model.report.figures.sweep import draw_sweep

        write_figure(draw_sweep(result, files.over), files.plot)
