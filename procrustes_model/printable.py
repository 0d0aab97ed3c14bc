"""What users name, as a terminal and a line of text can hold it.

Imports nothing of the package, so that everything may import it.
"""

from __future__ import annotations

import re
import unicodedata

_STYLE = re.compile("(\x1b\\[[0-9;]*m)")


def printable(text: str, *, keep: str = "") -> str:
    r"""Return text in which characters that a terminal acts on, or does not show, are escapes as in Python.

    Those are control characters, among them line ends, marks that change the direction of text, and bytes of
    file names that are no UTF-8; ``\x1b`` stands for the one that starts a terminal's commands.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        one
        if one.isprintable() or one in keep or unicodedata.category(one) == "Zs"
        else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


def cut(text: str, most: int = 100) -> str:
    """Return text as `printable` does, and of what is longer than `most` characters the start and "..."."""
    shown = printable(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[:most]}..."


def quote(name: str, most: int = 100) -> str:
    """Return a name from a file in quotes, printable and cut."""
    mark = '"' if "'" in name and '"' not in name else "'"
    return f"{mark}{cut(name, most)}{mark}"


def printable_block(text: str, *, styled: bool = False) -> str:
    """Return the same for text of several lines; with `styled`, colours of this program stay, too."""
    if not styled:
        return printable(text, keep="\n")
    return "".join(part if _STYLE.fullmatch(part) else printable_block(part) for part in _STYLE.split(text))
