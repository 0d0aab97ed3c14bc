"""What pages are made of, as data: tables that sort, filters, drawings; ``templates/`` say how they look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Card:
    """A figure that stands out, and what it is."""

    number: str
    meaning: str


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
        What is shown.
    key : str, float or None
        What it sorts by; None sorts last. The text where it is empty.
    """

    text: str
    key: str | float | None = ""

    @property
    def sort_value(self) -> str:
        """The key as text, with all digits of a number; empty where it sorts last."""
        if self.key is None:
            return ""
        return self.text if self.key == "" else str(self.key)


@dataclass(frozen=True)
class Column:
    """One column: its title, whether it holds text, what its title means, the unit of what it sorts by."""

    title: str
    is_text: bool = False
    meaning: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose columns sort on a click.

    Attributes
    ----------
    name : str
        Its id in the page.
    columns : tuple of Column
    rows : tuple of tuple of Cell
        A cell per column.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of table '{self.name}' has not a cell for each of its columns")


@dataclass(frozen=True)
class Filter:
    """Hides rows of a table by one column: by choice, or by any text where there are no choices."""

    column: int
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folded:
    """Text that opens on a click on its summary."""

    summary: str
    text: str


@dataclass(frozen=True)
class Tile:
    """What a level holds of a tensor: its words, empty where it passes by; a number chooses the colour."""

    tensor: str
    words: str
    color: int


@dataclass(frozen=True)
class NestLevel:
    """A level of a mapping: how many instances are used and how full they are, its loops, its tiles."""

    name: str
    about: str
    loops: tuple[str, ...]
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Nest:
    """A mapping drawn, levels from the outermost inwards, and its text; it opens on a click."""

    summary: str
    costs: str
    tensors: tuple[str, ...]
    levels: tuple[NestLevel, ...]
    text: str


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG, what it shows, and whether it takes the whole width."""

    svg: Markup
    caption: str
    wide: bool = False


def drawing(figure: Figure, caption: str) -> Drawing:
    """Return a figure as SVG that can stand inside a page."""
    from markupsafe import Markup

    from procrustes_model.report.figures.style import COLUMN_INCHES, figure_bytes

    text = figure_bytes(figure, ".svg").decode("utf-8")
    svg = Markup(text[text.index("<svg") :])  # noqa: S704 - matplotlib escapes names
    return Drawing(svg, caption, figure.get_size_inches()[0] > COLUMN_INCHES * 1.5)
