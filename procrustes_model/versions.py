"""Which version of each kind of file this program writes, and which it reads.

A file states its version as a whole number; one that states none is of version 1. Newer versions are refused
by name, older ones are read: who changes what a kind of file means raises its number here, and makes its
reader understand the older ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from procrustes_model.errors import Issue, SpecError

KEY = "version"
"""The key, or column, that states a version."""

SPECIFICATIONS: Mapping[str, int] = MappingProxyType(
    {
        "architecture": 1,
        "problem": 1,
        "mapping": 1,
        "shape": 1,
        "sparsity": 1,
        "constraints": 1,
        "network": 1,
        "density": 1,
        "schedule": 1,
        "rules": 1,
        "sweep": 1,
    }
)
"""Kinds of YAML files, by the top-level key that says what a file is; the version stands beside that key."""

VERSIONS: Mapping[str, int] = MappingProxyType({**SPECIFICATIONS, "CSV": 2, "run": 3, "case": 3, "mask": 2})
"""Current version of every kind of file: YAML, tables, runs of networks, their finished cases, masks."""

CSV_VERSION = VERSIONS["CSV"]

VERSION_COLUMN: Mapping[str, str] = MappingProxyType({KEY: "version of the tables that this program writes"})
"""The last of the columns that a table always has. A column, since readers of CSV know no comments."""

_UNSTATED = 1
_JSON_PLACE = re.compile(rf'^ "{KEY}": ?', re.MULTILINE)


class VersionProblem(NamedTuple):
    """What is wrong with a stated version.

    Attributes
    ----------
    message, hint : str
        As `Issue` takes them.
    newer : bool
        Whether it is a version that this program does not know; else it is none at all.
    """

    message: str
    hint: str
    newer: bool


def version_problem(kind: str, content: Mapping[str, Any]) -> VersionProblem | None:
    """Return what is wrong with the version that the content of a file states.

    Parameters
    ----------
    kind : str
        One of `VERSIONS`.
    content : mapping
        With or without `KEY`.

    Returns
    -------
    VersionProblem or None
        None where this program reads the file.
    """
    stated, current = content.get(KEY, _UNSTATED), VERSIONS[kind]
    if isinstance(stated, bool) or not isinstance(stated, int) or stated < 1:
        message = f"'{KEY}' must be a whole number of at least 1, is {_shown(stated)}"
        return VersionProblem(message, f"such as {KEY}: {current}", newer=False)
    if stated > current:
        reads = f"this program reads up to {current}: upgrade procrustes_model"
        return VersionProblem(f"written for version {_shown(stated)} of {kind} files", reads, newer=True)
    return None


def _shown(value: Any) -> str:
    """Return a value as a file writes it, short."""
    if isinstance(value, bool) or value is None:
        return "empty" if value is None else str(value).lower()
    return "beyond 10^9" if isinstance(value, int) and abs(value) > 10**9 else repr(value)[:60]


def check_version(kind: str, content: Mapping[str, Any], file: str | None = None, text: str = "") -> None:
    """Raise where this program does not read the version that a file states.

    Parameters
    ----------
    kind : str
        One of `VERSIONS`.
    content : mapping
        What the file holds, with or without `KEY`.
    file : str, optional
        Named in the message.
    text : str
        The file as JSON of this program, indented by one blank: tells line and column.

    Raises
    ------
    SpecError
        When the version is newer than this program's, or no whole number.
    """
    problem = version_problem(kind, content)
    if problem is not None:
        raise SpecError(Issue(problem.message, problem.hint, file, *_json_place(text)))


def _json_place(text: str) -> tuple[int | None, int | None]:
    """Return line and column of the version that JSON states at its top level."""
    found = _JSON_PLACE.search(text)
    if found is None:
        return None, None
    return text.count("\n", 0, found.start()) + 1, found.end() - found.start() + 1


def with_version(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a YAML file, such as ``{"mapping": ...}``, with its version in front."""
    kind = next(key for key in content if key in SPECIFICATIONS)
    return {KEY: VERSIONS[kind], **content}
