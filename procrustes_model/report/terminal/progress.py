"""Progress without a command line: in a notebook a line that changes, elsewhere one now and then."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from procrustes_model.mapper.incumbent import Progress
    from procrustes_model.network.progress import RunProgress

from procrustes_model.report.terminal.search import format_progress

_OFTEN = 0.5
"""Seconds between changes of the line of a notebook."""
_SELDOM = 10.0
"""Seconds between lines elsewhere."""
_WIDTH = 100


class ProgressText:
    """Shows the progress of a search or a run, in plain text without control characters.

    In a notebook one line of the output changes; elsewhere lines go to stderr, one in ten seconds.
    """

    def __init__(self) -> None:
        self._display = _notebook_line()
        self._wait = _OFTEN if self._display is not None else _SELDOM
        self._told = time.monotonic()

    def __call__(self, progress: Progress | RunProgress) -> None:
        """Show a moment, unless the last one is too new; the end is always shown."""
        now = time.monotonic()
        if now - self._told < self._wait and progress.share < 1:
            return
        self._told = now
        text = describe(progress)
        if self._display is not None:
            self._display.update({"text/plain": text}, raw=True)
        else:
            print(text, file=sys.stderr)  # noqa: T201


def describe(progress: Any) -> str:
    """Return a moment of a search or a run in a line."""
    if hasattr(progress, "total"):
        return f"{progress.done} of {progress.total} cases, about {progress.share:.0%} of the work"
    return format_progress(progress, None, _WIDTH).strip()


def _notebook_line() -> Any:
    """Return a line of output that can be changed; None where no notebook runs this."""
    shell = sys.modules.get("IPython")
    instance = shell.get_ipython() if shell is not None else None
    if instance is None or not hasattr(instance, "kernel"):
        return None
    from IPython.display import display

    return display({"text/plain": ""}, raw=True, display_id=True)
