"""``procrustes reproduce``: the questions of the Procrustes evaluation."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from procrustes_model.cli.network import print_damaged
from procrustes_model.cli.outputs import announce_compiling, print_written
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.cli.search import INTERRUPTED
from procrustes_model.reproduction.request import EVERYTHING, ReproduceRequest, Run

if TYPE_CHECKING:
    from procrustes_model.network.progress import RunProgress


def _complete_item(incomplete: str) -> list[str]:
    from procrustes_model.reproduction.study import load_study

    return [name for name in (*load_study().items, EVERYTHING) if name.startswith(incomplete)]


@flattened(request=ReproduceRequest, complete={"item": _complete_item})
def reproduce_command(
    request: ReproduceRequest,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Reproduce a result of the Procrustes paper: a table beside what is published, CSV, PNG and SVG."""
    from procrustes_model.report.terminal.table import Style
    from procrustes_model.reproduction.study import load_study

    study = load_study()
    if request.item is None:
        _list(quiet)
        return
    everything = request.item == EVERYTHING
    names = list(study.items) if everything else [study.item(request.item).name]
    from procrustes_model.reproduction.verb import reproduce

    show = _Progress(quiet)
    watched = replace(request, style=Style.of(sys.stdout), announce=show.announce, progress=show)
    try:
        for number, name in enumerate(names):
            with show:
                answer = reproduce(watched.about(name))
            if not quiet:
                say(f"{chr(10) if number else ''}{answer.text}\n", styled=True)
                print_written({path.suffix: path for path in answer.files})
    except KeyboardInterrupt:
        kept = f"what is finished is kept in {request.out}/"
        say(f"Interrupted; {kept}: the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _list(quiet: bool) -> None:
    from procrustes_model.reproduction.study import load_study

    if quiet:
        return
    for one in load_study().items.values():
        say(f"{one.name:<10} {one.title}")
    say(f"{EVERYTHING:<10} all of these")


class _Progress:
    """A line per run on stderr, and a bar while it is going on where that is a terminal.

    Parameters
    ----------
    quiet : bool
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.task: Any = None
        self.title = ""

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[cases]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=1.0, cases="")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def announce(self, run: Run, number: int, count: int) -> None:
        """Say which run begins."""
        self.title = f"{run.subject} on {run.architecture}, {run.dataflow} ({number} of {count})"
        if self.bar is not None:
            self.bar.reset(self.task, description=self.title, total=1.0, cases="")

    def __call__(self, progress: RunProgress) -> None:
        missing = progress.total - progress.kept
        begins = progress.done == progress.kept and progress.latest is None
        if begins and not self.quiet:
            print_damaged(progress.damaged)
            if missing:
                announce_compiling("walk")
        if self.bar is not None:
            cases = f"{progress.done} of {progress.total} cases"
            self.bar.update(self.task, completed=progress.share, cases=cases)
        elif not self.quiet and progress.done == progress.kept and missing:
            say(f"{self.title}: {missing} cases to search", err=True)
