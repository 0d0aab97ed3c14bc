"""A part of a Timeloop file that knows where it stands, and what was found while it was translated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import printable
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.expressions import ExpressionError, evaluate, parse
from procrustes_model.spec.text.words import PAIRS, shorten
from procrustes_model.spec.text.yaml_text import Path


@dataclass
class Findings:
    """What a translation met.

    Attributes
    ----------
    issues : list of Issue
        What cannot be translated and would change a number; nothing is written where there is any.
    left_out : list of Issue
        What adds to the results and cannot be said; an error, too, unless it is to be left out.
    dropped : dict of str to list of str
        What has no effect on the numbers, by reason.
    notes : list of str
        What was translated in a way that a reader should know of.
    """

    issues: list[Issue] = field(default_factory=list)
    left_out: list[Issue] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, what: str) -> None:
        """Note that something has no effect."""
        names = self.dropped.setdefault(printable(reason), [])
        if printable(what) not in names:
            names.append(printable(what))

    def note(self, text: str) -> None:
        """Note how something was translated, once."""
        if printable(text) not in self.notes:
            self.notes.append(printable(text))

    def refuse(self) -> None:
        """Raise what was found, in the order of files and lines.

        Raises
        ------
        SpecError
            Where there is any issue.
        """
        if self.issues:
            unique = dict.fromkeys(self.issues)
            raise SpecError(sorted(unique, key=lambda one: (one.file or "", one.line or 0, one.column or 0)))


@dataclass(frozen=True)
class Node:
    """One part of a file.

    Attributes
    ----------
    document : Document
    path : tuple of str and int
        Where the part stands in it.
    data : Any
    findings : Findings
        Of the whole translation.
    """

    document: Document = field(repr=False)
    path: Path
    data: Any
    findings: Findings = field(repr=False)

    def issue(self, message: str, hint: str | None = None, *, key: bool = False) -> Issue:
        """Return an issue that points here."""
        place = self.document.place(self.path, key=key)
        return Issue(printable(message), hint and printable(hint), self.document.file, *place)

    def refuse(self, message: str, hint: str | None = None, *, key: bool = False) -> None:
        """Note what cannot be translated."""
        self.findings.issues.append(self.issue(message, hint, key=key))

    def leave_out(self, message: str, hint: str | None = None, *, key: bool = False) -> None:
        """Note what only adds to the results and cannot be said."""
        self.findings.left_out.append(self.issue(message, hint, key=key))

    @property
    def place(self) -> str:
        """Where this stands, as messages write it."""
        line, column = self.document.place(self.path, key=True)
        return f"{self.document.file}:{line}:{column}"

    def at(self, part: str | int, data: Any) -> Node:
        """Return a part of this part."""
        return Node(self.document, (*self.path, part), data, self.findings)

    def items(self) -> Iterator[tuple[str, Node]]:
        """Yield the parts of 'key: value' pairs, keys with underscores in place of hyphens."""
        if not isinstance(self.data, dict):
            if self.data is not None:
                self.refuse(f"this must be {PAIRS}, is {shorten(self.data)}")
            return
        seen: dict[str, Any] = {}
        for key, value in self.data.items():
            name = str(key).replace("-", "_")
            if name in seen and seen[name] != value:
                self.at(key, value).refuse(f"'{name}' stands here twice, with two values", key=True)
            seen[name] = value
            yield name, self.at(key, value)

    def get(self, *names: str) -> Node | None:
        """Return the first of some parts that stands here and is not empty."""
        if not isinstance(self.data, dict):
            return None
        found = {name: node for name, node in self.items() if node.data is not None}
        return next((found[name] for name in names if name in found), None)

    def list(self) -> list[Node]:
        """Return the parts of a list; of anything else but nothing, an issue."""
        if isinstance(self.data, list):
            return [self.at(index, item) for index, item in enumerate(self.data)]
        if self.data is not None:
            self.refuse(f"this must be a list, is {shorten(self.data)}")
        return []

    def text(self, default: str = "") -> str:
        """Return what stands here as text; numbers as they are written."""
        if self.data is None:
            return default
        if isinstance(self.data, (dict, list)):
            self.refuse(f"this must be text, is {shorten(self.data)}")
            return default
        return str(self.data)

    def number(self, names: dict[str, Any] | None = None) -> int | float | None:
        """Return the number that stands here, or of an expression over `names`; None with an issue."""
        if isinstance(self.data, (int, float)) and not isinstance(self.data, bool):
            return self.data
        if isinstance(self.data, str):
            try:
                return _plain(evaluate(parse(self.data), names or {}))
            except ExpressionError as error:
                self.refuse(error.message, error.hint)
                return None
        self.refuse(f"this must be a number, is {shorten(self.data)}")
        return None

    def count(self, names: dict[str, Any] | None = None, least: int = 1) -> int:
        """Return the whole number that stands here; `least` with an issue where there is none."""
        value = self.number(names)
        if value is None:
            return least
        if value != value or value in (float("inf"), float("-inf")) or int(value) != value or value < least:
            self.refuse(f"this must be a whole number of at least {least}, is {shorten(self.data)}")
            return least
        return int(value)

    def truth(self) -> bool:
        """Return whether this says yes."""
        return str(self.data).lower() in ("true", "yes", "on", "1", "1.0")


def _plain(value: Any) -> int | float:
    return value if isinstance(value, (int, float)) else float(value)
