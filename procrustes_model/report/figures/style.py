"""What figures share: their file formats, column width and colours, and how they are written."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.files import write_atomically
from procrustes_model.version import how_to_install

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTEBOOK_DPI = 120
"""Dots per inch in notebooks."""

PLOT_ENDINGS = (".png", ".svg", ".pdf")

COLUMN_INCHES = 3.5
"""Width of a column of a two-column paper."""

PAGE_INCHES = 7.0
"""Width of both columns."""

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
SKY, YELLOW, PURPLE = "#56B4E9", "#F0E442", "#CC79A7"
"""Okabe and Ito's colours, told apart by colour-blind readers too."""


def check_plotting() -> None:
    """Raise unless matplotlib is installed.

    Raises
    ------
    SpecError
    """
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise SpecError(Issue("plots need matplotlib", f"{how_to_install('plot')}, or write a .csv"))


def new_figure(
    height: float, rows: int = 1, columns: int = 1, *, width: float = COLUMN_INCHES
) -> tuple[Figure, list[Any]]:
    """Return a figure, as wide as a column by default, and the axes of its panels, row by row.

    Parameters
    ----------
    height : float
        In inches.
    rows, columns : int
        Of panels.
    width : float
        In inches.

    Raises
    ------
    SpecError
        When matplotlib is not installed.
    """
    check_plotting()
    figure = _figure_class()(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
    return figure, axes


@functools.cache
def _figure_class() -> type[Figure]:
    """Return the class of figures, which notebooks show without any more being imported or switched on."""
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        """A figure that notebooks show as PNG."""

        def _repr_png_(self) -> bytes:
            return figure_bytes(self, ".png", dpi=NOTEBOOK_DPI)

    return NotebookFigure


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's ending, completely or not at all.

    Raises
    ------
    OSError
        When the file cannot be written.
    """
    write_atomically(path, figure_bytes(figure, path.suffix.lower()))


def figure_bytes(figure: Figure, ending: str, *, dpi: int = 200) -> bytes:
    """Return a figure as a file of the format with this ending holds it: the same for the same figure.

    Parameters
    ----------
    figure : Figure
    ending : str
        One of `PLOT_ENDINGS`.
    dpi : int
        Dots per inch of a PNG.
    """
    buffer = io.BytesIO()
    # Without a date and with fixed names of parts, the same figure is the same file.
    metadata: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending, {})
    import matplotlib as mpl
    from matplotlib.text import Text

    # A name with dollars is a name, and no formula.
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with mpl.rc_context({"svg.hashsalt": "procrustes", "text.parse_math": False}):
        figure.savefig(buffer, format=ending[1:], dpi=dpi, metadata=metadata)
    return buffer.getvalue()
