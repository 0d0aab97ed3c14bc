"""Results as people look at them: one line, a table and a figure in notebooks, a data frame.

What draws and lays out lies above results, which do not know it: it is found by its name when something is
looked at.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUMMARY = "procrustes_model.report.terminal.summary"
_FIGURES = "procrustes_model.report.figures.kinds"
_PAGE = "procrustes_model.report.page.notebook"
_RECORDS = "procrustes_model.report.tables.records"
_PROGRESS = "procrustes_model.report.terminal.progress"


class Shown:
    """A result that can be looked at."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the kind of result, what it is of, energy and cycles, in two lines at most."""
        return f"<{type(self).__name__}: {import_module(_SUMMARY).summarise(self)}>"

    def to_records(self) -> list[dict[str, Any]]:
        """Return the rows of the table that ``--csv`` writes, as plain data."""
        return list(import_module(_RECORDS).records(self))

    def _repr_html_(self) -> str:
        """Return the table, and the figure where matplotlib is installed, as notebooks show them."""
        return str(import_module(_PAGE).show(self))

    def plot(self, figure: str | None = None) -> Figure:
        """Return a figure; notebooks show it, and its `savefig` writes it.

        Parameters
        ----------
        figure : str, optional
            Which one; by default the first of those that this kind of result has. A wrong name lists them.

        Raises
        ------
        SpecError
            When there is no such figure, or matplotlib is not installed.
        """
        drawn: Figure = import_module(_FIGURES).draw(self, figure)
        return drawn

    def to_dataframe(self) -> Any:
        """Return `to_records` as a pandas DataFrame.

        Raises
        ------
        SpecError
            When pandas is not installed.
        """
        return dataframe(self.to_records())


def dataframe(records: list[dict[str, Any]]) -> Any:
    """Return rows as a pandas DataFrame.

    Raises
    ------
    SpecError
        When pandas is not installed.
    """
    if "pandas" not in sys.modules and find_spec("pandas") is None:
        raise SpecError(Issue("data frames need pandas", "pip install pandas, or take to_records()"))
    return import_module("pandas").DataFrame(records)


def show_progress() -> Any:
    """Return what shows progress as text: ``search(..., progress=show_progress())``.

    In a notebook one line of the output changes; elsewhere there is a line in ten seconds on stderr. No
    control characters are in it.
    """
    return import_module(_PROGRESS).ProgressText()
