"""``procrustes reproduce``: the questions of the Procrustes evaluation."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Self

import typer

from procrustes_model.cli.outputs import announce_compiling, print_written
from procrustes_model.cli.progress import Bar, at_most, print_damaged
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.cli.search import INTERRUPTED
from procrustes_model.reproduction.request import (
    EVERYTHING,
    SYSTEMS,
    ReproduceRequest,
    Run,
    is_system,
    searches_nothing,
)

if TYPE_CHECKING:
    from procrustes_model.network.progress import RunProgress


def _complete_item(incomplete: str) -> list[str]:
    from procrustes_model.reproduction.study import load_study

    return [name for name in (*load_study().titles, SYSTEMS, EVERYTHING) if name.startswith(incomplete)]


@flattened(request=ReproduceRequest, complete={"item": _complete_item})
def reproduce_command(
    request: ReproduceRequest,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Reproduce a result of the Procrustes paper or another: table beside what is published, CSV, figures."""
    from procrustes_model.report.terminal.style import Style
    from procrustes_model.reproduction.study import load_study

    study = load_study()
    if request.item is None:
        _list(quiet)
        return
    several = {EVERYTHING: list(study.titles), SYSTEMS: [name for name in study.titles if is_system(name)]}
    names = several.get(request.item, [request.item])
    if request.item not in several and not searches_nothing(request.item):
        study.item(request.item)
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
    from procrustes_model.report.terminal.style import Style, labelled
    from procrustes_model.reproduction.study import load_study

    if quiet:
        return
    titles = load_study().titles | {SYSTEMS: "all ways to train with less", EVERYTHING: "all of these"}
    for name, title in titles.items():
        say("\n".join(labelled(name, [title], Style.of(sys.stdout))))


class _Progress:
    """A line per run on stderr, and where it stands.

    Parameters
    ----------
    quiet : bool
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.bar = Bar(quiet)
        self.title = ""

    def __enter__(self) -> Self:
        self.bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.__exit__()

    def announce(self, run: Run, number: int, count: int) -> None:
        """Say which run begins."""
        self.title = f"{run.subject} on {run.architecture}, {run.dataflow} ({number} of {count})"
        self.bar.begin(self.title)

    def __call__(self, progress: RunProgress) -> None:
        missing = progress.total - progress.kept
        begins = progress.done == progress.kept and progress.latest is None
        if begins and not self.quiet:
            print_damaged(progress.damaged)
            if missing:
                announce_compiling("find_first_path")
            if missing and not self.bar.live:
                say(f"{self.title}: {missing} cases to search{at_most(progress.longest)}", err=True)
        self.bar.show(progress.share, f"{progress.done} of {progress.total} cases")
