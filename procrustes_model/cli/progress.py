"""How far a long command is, on stderr: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from procrustes_model.cli.say import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from procrustes_model.errors import Issue

_SHOWN = 5
"""Files that are not used of which each has a line of its own."""

EVERY = 60.0
"""Seconds between lines where there is no terminal."""


def print_damaged(damaged: Sequence[Issue]) -> None:
    """Say on stderr which files of a folder are not used, a line each; of many, the first ones."""
    for issue in damaged[:_SHOWN]:
        say(f"warning: {issue}", err=True)
    if len(damaged) > _SHOWN:
        say(f"warning: and {len(damaged) - _SHOWN} more files of cases", err=True)


def at_most(seconds: float | None) -> str:
    """Return what to add to how many searches there are; nothing where their time is not known, or none."""
    from procrustes_model.report.terminal.units import format_minutes

    return f", at most {format_minutes(seconds)}" if seconds else ""


class Bar:
    """One line that fits the terminal: what is done, a bar, times, and something to read.

    Where stderr is no terminal, it prints a line when a minute has passed since the last one.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._started = self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._started = self._said = time.monotonic()
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.table import Column

            def whole() -> Column:
                return Column(no_wrap=True)

            cut = Column(no_wrap=True, overflow="ellipsis", ratio=1)
            self._bar = Progress(
                TextColumn("{task.fields[done]}", markup=False, table_column=whole()),
                BarColumn(bar_width=12),
                TimeElapsedColumn(whole()),
                TextColumn("left", table_column=whole()),
                TimeRemainingColumn(table_column=whole()),
                TextColumn("{task.description}", markup=False, table_column=cut),
                console=Console(stderr=True),
                transient=True,
                expand=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0, done="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    @property
    def live(self) -> bool:
        """Whether there is a bar."""
        return self._bar is not None

    def begin(self, text: str = "") -> None:
        """Start from nothing, with something else to read."""
        self._started = self._said = time.monotonic()
        if self._bar is not None:
            self._bar.reset(self._task, description=text, total=1.0, done="")

    def show(self, share: float, done: str, text: str | None = None) -> None:
        """Show a moment.

        Parameters
        ----------
        share : float
            From 0 to 1.
        done : str
            Such as '3 of 18 cases'.
        text : str, optional
            The last one is left by default.
        """
        if self._bar is not None:
            self._bar.update(self._task, completed=share, done=done, description=text)
        elif not self.quiet and (now := time.monotonic()) - self._said >= EVERY:
            self._said = now
            from procrustes_model.report.terminal.units import format_minutes

            passed = now - self._started
            say(f"{done}, {format_minutes(passed)}{time_left(share, passed)}", err=True)


def time_left(share: float, seconds: float, limit: float | None = None) -> str:
    """Return about how much time is left, with a comma before it; nothing where that cannot be told.

    Parameters
    ----------
    share : float
        What is done, from 0 to 1.
    seconds : float
        That have passed.
    limit : float, optional
        Seconds after which it ends at the latest.
    """
    from procrustes_model.report.terminal.units import format_minutes

    ends = [seconds / share] if share > 0 else []
    ends += [] if limit is None else [max(limit, seconds)]
    return f", about {format_minutes(min(ends) - seconds)} left" if ends else ""
