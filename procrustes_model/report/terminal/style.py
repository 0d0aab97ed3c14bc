"""How text looks where it is going: columns, colours, characters; and labels before lines."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.box import Box

from procrustes_model.report.terminal.units import NO_BREAK

_RULES = " ── \n    \n ── \n    \n ── \n ── \n    \n ── \n"
BOX = Box(_RULES)
ASCII_BOX = Box(_RULES.replace("─", "-"), ascii=True)
LABEL = 13
"""Columns of a label and the space after it."""

_WIDEST_TEXT = 100
"""Columns of a paragraph at most: longer lines are hard to read."""


@dataclass(frozen=True)
class Style:
    """How text may look where it is going.

    Attributes
    ----------
    width : int
        Columns.
    color, unicode, bars : bool
        Whether to use colour, characters beyond ASCII, and small bars beside shares.
    """

    width: int = 80
    color: bool = False
    unicode: bool = True
    bars: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """Return what suits `stream`: plain and 80 columns wide unless it is a terminal.

        The environment's ``NO_COLOR`` and ``TERM=dumb`` turn colour off.
        """
        unicode = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "") in (
            "utf8",
            "utf8sig",
        )
        if not stream.isatty():
            return cls(unicode=unicode)
        plain = (
            bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or sys.platform == "win32"
        )
        return cls(shutil.get_terminal_size((80, 24)).columns, not plain, unicode, bars=True)


def labelled(label: str, texts: Sequence[str], style: Style | None = None) -> list[str]:
    """Return texts, each on lines of its own as wide as words allow, after a label.

    Parameters
    ----------
    label : str
    texts : sequence of str
    style : Style, optional
        80 columns wide by default.
    """
    wrapped = (line for text in texts for line in wrap(text, style, LABEL))
    return [f"{label if i == 0 else '':<{LABEL}}{line}" for i, line in enumerate(wrapped)]


def wrap(text: str, style: Style | None = None, indent: int = 0) -> list[str]:
    """Return the lines of a paragraph, without the indentation that is to stand before each.

    Parameters
    ----------
    text : str
    style : Style, optional
        80 columns wide by default.
    indent : int
        Columns.
    """
    width = max(20, min((style or Style()).width, _WIDEST_TEXT) - indent)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines]
