"""The option ``--plot [FIGURE=]FILE`` of every command that has figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from procrustes_model.errors import Issue, SpecError
from procrustes_model.report.figures.kinds import Drawn, draw_of, find_figure
from procrustes_model.report.figures.style import PLOT_ENDINGS, check_plotting, write_figure

_NAMED = re.compile(r"([a-z]+)=(.+)", re.DOTALL)


def plot_option(figures: Mapping[str, Drawn]) -> Any:
    """Return what Typer is told of ``--plot`` where there are these figures."""
    listed = "; ".join(f"{name}: {one.about}" for name, one in figures.items())
    several = f" FIGURE is {next(iter(figures))} where none is named; may be repeated." * (len(figures) > 1)
    return typer.Option(
        "--plot",
        metavar="[FIGURE=]FILE" if len(figures) > 1 else "FILE",
        help=f"Draw a figure as .png, .svg or .pdf ({listed}).{several}",
    )


@dataclass(frozen=True)
class Plots:
    """The figures that are asked for.

    Attributes
    ----------
    figures : mapping of str to Drawn
        Those that there are.
    wanted : tuple of (str, Path)
        The name of each that is asked for, and its file.
    """

    figures: Mapping[str, Drawn]
    wanted: tuple[tuple[str, Path], ...]

    @property
    def outputs(self) -> dict[str, Path | None]:
        """The files, by what to call them in messages."""
        if len(self.wanted) == 1:
            return {"--plot": self.wanted[0][1]}
        return {f"--plot {name}={path}": path for name, path in self.wanted}

    def write(self, subject: Any) -> None:
        """Draw and write all figures of a subject.

        Raises
        ------
        SpecError
            When one has nothing to show.
        OSError
            When a file cannot be written.
        """
        drawn = [(draw_of(self.figures, name, subject), path) for name, path in self.wanted]
        for figure, path in drawn:
            write_figure(figure, path)


def read_plots(texts: Sequence[str] | None, figures: Mapping[str, Drawn]) -> Plots:
    """Return the figures that ``--plot`` asks for.

    Raises
    ------
    SpecError
        When a figure is unknown, a file has no ending of a figure, or matplotlib is not installed.
    """
    wanted, issues = [], []
    default = next(iter(figures))
    for text in texts or ():
        named = _NAMED.fullmatch(text)
        name, path = (named[1], Path(named[2])) if named else (default, Path(text))
        try:
            find_figure(figures, name)
        except SpecError as error:
            issues += [Issue(f"--plot: {one.message}", one.hint) for one in error.issues]
            continue
        if path.suffix.lower() not in PLOT_ENDINGS:
            endings = f"one of {', '.join(PLOT_ENDINGS)}"
            issues.append(Issue("--plot has no ending of a figure", endings, str(path)))
        wanted.append((name, path))
    if issues:
        raise SpecError(issues)
    if wanted:
        check_plotting()
    return Plots(figures, tuple(wanted))
