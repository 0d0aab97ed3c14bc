"""The one error that bad input raises, and the places it points at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from procrustes_model.printable import printable


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong with a specification.

    Attributes
    ----------
    message : str
        What is wrong.
    hint : str, optional
        What would be right, or how to get there.
    file : str, optional
        The file, or the shipped name, it stands in.
    line, column : int, optional
        Where, counted from 1.
    """

    message: str
    hint: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{where}: {self.message}" if where else self.message
        # Whatever a user wrote stays on its line, and tells a terminal nothing.
        return printable(f"{text}; {self.hint}" if self.hint else text)


class SpecError(ValueError):
    """A specification that cannot be used, with every independent issue found in it.

    Parameters
    ----------
    issues : Issue, str, or iterable of Issue
        At least one issue; a string stands for an issue without a place.

    Attributes
    ----------
    issues : tuple of Issue
    """

    def __init__(self, issues: Issue | str | Iterable[Issue]) -> None:
        if isinstance(issues, str):
            issues = Issue(issues)
        self.issues: tuple[Issue, ...] = (issues,) if isinstance(issues, Issue) else tuple(issues)
        super().__init__("\n".join(str(issue) for issue in self.issues))
