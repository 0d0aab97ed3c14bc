"""A specification's raw content, where it came from, and what is wrong with it so far."""

from __future__ import annotations

import math
import numbers
import os
import pathlib
import re
import stat
from collections.abc import Iterable, Mapping
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.text.changes import Change, Edited, Said, apply_changes, format_path
from procrustes_model.spec.text.foreign import FOREIGN, is_foreign
from procrustes_model.spec.text.words import PAIRS, closest, did_you_mean, shorten, with_article
from procrustes_model.spec.text.yaml_text import (
    MAX_DEPTH,
    MAX_NODES,
    SURROGATE,
    Builder,
    Path,
    Place,
    parse_yaml,
)
from procrustes_model.versions import KEY, SPECIFICATIONS, version_problem

MAX_BYTES = 2**20
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
SECTIONS = tuple(SPECIFICATIONS)


class Document:
    """Plain data with the places of its parts, and the issues found in it.

    Parameters
    ----------
    data : Any
        Dictionaries, lists, text, numbers, booleans and None.
    file : str, optional
        The name to give in messages; None for data that came from Python.
    keys, values, text_start : dict, optional
        Path to (line, column); see `yaml_text.ParsedText`.

    Attributes
    ----------
    issues : list of Issue
        What has been found wrong; `raise_issues` raises them together.
    wrong : set of tuple
        The paths that were complained of.
    changed : dict
        Path to where the change is written that put something else there; see `changes`.
    """

    def __init__(
        self,
        data: Any,
        file: str | None = None,
        keys: dict[Path, Place] | None = None,
        values: dict[Path, Place] | None = None,
        text_start: dict[Path, Place] | None = None,
    ) -> None:
        self.data = data
        self.file = file
        self.keys = keys or {}
        self.values = values or {}
        self.text_start = text_start or {}
        self.issues: list[Issue] = []
        self.wrong: set[Path] = set()
        self.changed: dict[Path, Said] = {}

    def complain(
        self,
        path: Path,
        message: str,
        hint: str | None = None,
        *,
        key: bool = False,
        offset: int | None = None,
    ) -> None:
        """Note one issue.

        Parameters
        ----------
        path : tuple of str and int
            The keys and list indices that lead to the place; where it does not exist, the nearest
            thing around it is pointed at.
        message, hint : str
            See `Issue`.
        key : bool
            Point at the key rather than at its value.
        offset : int, optional
            Point at this character of the text at `path`.
        """
        self.wrong.add(path)
        if (said := self.said(path)) is not None and said.file is not None:
            self.issues.append(said.issue(message, hint))
            return
        if self.file is None:
            message = f"{format_path(path)}: {message}" if path else message
            self.issues.append(Issue(message, hint))
            return
        line, column = self.place(path, key=key, offset=offset)
        self.issues.append(Issue(message, hint, self.file, line, column))

    def change(self, changes: Iterable[Change], kind: str) -> None:
        """Put other values in place, before anything is read.

        Parameters
        ----------
        changes : iterable of Change
        kind : str
            The section that their paths lead into.

        Raises
        ------
        SpecError
            For the paths that lead nowhere.
        """
        if not isinstance(self.data, dict) or not isinstance(self.data.get(kind), dict):
            return  # no such section: whoever reads it says so
        self.changed |= apply_changes(self.data, changes, kind)
        for path in self.changed:
            for places in (self.values, self.text_start):
                for stale in [one for one in places if one[: len(path)] == path]:
                    del places[stale]

    def said(self, path: Path) -> Said | None:
        """Return where the change is written that a part comes from; None where it stands in the file."""
        whole = (path[:length] for length in range(len(path), 0, -1))
        return next((self.changed[part] for part in whole if part in self.changed), None)

    def place(self, path: Path, *, key: bool = False, offset: int | None = None) -> Place:
        """Return the line and column of a part, or of the nearest thing around it; see `complain`."""
        if offset is not None and path in self.text_start:
            line, column = self.text_start[path]
            return line, column + offset
        if not key and path in self.values:
            return self.values[path]
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, (1, 1))

    def raise_issues(self) -> None:
        """Raise everything that was noted, in the order of the file.

        Raises
        ------
        SpecError
            Where there is any issue.
        """
        if self.issues:
            unique = dict.fromkeys(self.issues)
            raise SpecError(sorted(unique, key=lambda issue: (issue.line or 0, issue.column or 0)))

    def section(self, name: str) -> dict[str, Any]:
        """Return the mapping under the one top-level key that this kind of document has, beside its version.

        Parameters
        ----------
        name : str
            One of `SECTIONS`.

        Raises
        ------
        SpecError
            Where there is no such mapping, or the version is newer than this program's; everything else
            depends on it.
        """
        if not isinstance(self.data, dict):
            self.complain((), f"this is {shorten(self.data)}", f"{with_article(name)} starts with '{name}:'")
            self.raise_issues()
        kind = name if name in self.data else next((key for key in SECTIONS if key in self.data), name)
        if (problem := version_problem(kind, self.data)) is not None:
            if problem.newer:
                # What else seems wrong in a file of a newer version may be right there.
                self.issues.clear()
            self.complain((KEY,), problem.message, problem.hint)
            if problem.newer:
                self.raise_issues()
        for key in self.data:
            if key not in (name, KEY) and name in self.data:
                self.complain((key,), f"unknown key '{key[:60]}'", f"only '{name}' belongs here", key=True)
        if name not in self.data:
            self._no_section(name)
            self.raise_issues()
        content = self.data[name]
        if not isinstance(content, dict):
            self.complain((name,), f"'{name}' must be {PAIRS}, is {shorten(content)}")
            self.raise_issues()
        return dict(content)

    def _no_section(self, name: str) -> None:
        for key in self.data:
            if key in SECTIONS:
                hint = f"{with_article(name)} starts with '{name}:'"
                message = f"this describes {with_article(key)}, not {with_article(name)}"
                self.complain((key,), message, hint, key=True)
                return
            if closest(key, [name]):
                self.complain((key,), f"unknown key '{key[:60]}'", f"did you mean '{name}'?", key=True)
                return
        self.complain((), f"missing key '{name}'", f"{with_article(name)} starts with '{name}:'")


def open_document(source: str | os.PathLike[str] | Mapping[str, Any], kind: str) -> Document:
    """Return the document that `source` names or is.

    Parameters
    ----------
    source : path, str or mapping
        A file, the name of something shipped, or the parsed content itself.
    kind : str
        'architecture', 'problem', 'mapping' or 'shape'.

    Returns
    -------
    Document
        With the changes of an `Edited` source.

    Raises
    ------
    SpecError
        Where it cannot be found, read, parsed or changed.
    """
    if isinstance(source, Mapping):
        return document_from_data(source)
    if not isinstance(source, (str, os.PathLike)):
        wanted = "a path, the name of a shipped one, or a dict"
        raise SpecError(f"{with_article(kind)} is given as {wanted}, not as {type(source).__name__}")
    from procrustes_model.shipped import resolve

    document = read_document(resolve(kind, source))
    if isinstance(source, Edited):
        document.change(source.changes, kind)
    return document


def read_document(path: str | os.PathLike[str]) -> Document:
    """Read and parse one YAML file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Document

    Raises
    ------
    SpecError
        Where the file is missing, a directory, a pipe or device, unreadable, empty, not UTF-8, larger than
        `MAX_BYTES`, not one plain YAML document, or a file of another tool.
    """
    document = read_any(path)
    if is_foreign(document.data):
        raise SpecError(Issue(*FOREIGN, document.file, 1, 1))
    return document


def read_any(path: str | os.PathLike[str], builder_class: type[Builder] | None = None) -> Document:
    """Read and parse one YAML file, whatever program it is for.

    Parameters
    ----------
    path : path
        The file.
    builder_class : type, optional
        As `parse_yaml` takes it.

    Raises
    ------
    SpecError
        See `read_document`.
    """
    file = os.fspath(path)
    text = _decode(_read_bytes(file), file)
    if not text.strip():
        raise SpecError(Issue("the file is empty", None, file))
    parsed = parse_yaml(text, file, builder_class)
    if parsed.data is None:
        raise SpecError(Issue("the file has no content", None, file))
    document = Document(parsed.data, file, parsed.keys, parsed.values, parsed.text_start)
    document.issues.extend(parsed.issues)
    return document


def _read_bytes(file: str) -> bytes:
    content = b""
    try:
        status = pathlib.Path(file).stat()
        # Opening a pipe would wait until somebody writes to it.
        readable = stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES
        if readable:
            with pathlib.Path(file).open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SpecError(unreadable(file, error)) from None
    if stat.S_ISDIR(status.st_mode):
        raise SpecError(Issue("this is a directory", "give a YAML file", file))
    if not stat.S_ISREG(status.st_mode):
        raise SpecError(Issue("this is no regular file", "give a YAML file, no pipe or device", file))
    if status.st_size > MAX_BYTES:
        raise SpecError(_too_large(file, status.st_size))
    if len(content) > MAX_BYTES:
        raise SpecError(_too_large(file, None))
    return content


def unreadable(path: str | os.PathLike[str], error: OSError | ValueError) -> Issue:
    """Return the issue of a file that could not be read; where there is none, name one called alike."""
    file = os.fspath(path)
    if isinstance(error, FileNotFoundError):
        return Issue("no such file", _near_files(file), file)
    if isinstance(error, PermissionError):
        return Issue("no permission to read this file", None, file)
    reason = getattr(error, "strerror", None) or str(error)
    return Issue(f"cannot be read: {reason}", None, file[:200])


def _too_large(file: str, size: int | None) -> Issue:
    is_size = f"{math.ceil(size / 2**20)} MB" if size is not None else f"more than {MAX_BYTES // 2**20} MB"
    return Issue(
        f"the file has {is_size}", f"at most {MAX_BYTES // 2**20} MB are read; is it the right file?", file
    )


def _near_files(file: str) -> str | None:
    path = pathlib.Path(file)
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())[:2000]
    except OSError:
        return f"there is no directory '{path.parent}'" if not path.parent.is_dir() else None
    near = closest(path.name, names)
    return f"did you mean '{path.parent / near}'?" if near else None


def _decode(content: bytes, file: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        issue = Issue(
            f"not UTF-8: byte 0x{content[error.start]:02x}", "save the file as UTF-8", file, line, column
        )
        raise SpecError(issue) from None
    control = _CONTROL.search(text)
    if control:
        line, column = (
            text.count("\n", 0, control.start()) + 1,
            control.start() - text.rfind("\n", 0, control.start()),
        )
        raise SpecError(
            Issue(f"control character 0x{ord(control[0]):02x}", "is it a text file?", file, line, column)
        )
    return text


def document_from_data(source: Mapping[Any, Any]) -> Document:
    """Return a document of data that Python code wrote.

    Parameters
    ----------
    source : mapping
        The same content as the YAML. Tuples count as lists, NumPy's numbers as numbers.

    Returns
    -------
    Document
        With a copy of the data; its issues name paths instead of lines.

    Raises
    ------
    SpecError
        Where the content is nested too deep or endless.
    """
    document = Document({})
    budget = [MAX_NODES]
    document.data = _copy(source, (), document, budget)
    return document


def _copy(value: Any, path: Path, document: Document, budget: list[int]) -> Any:
    budget[0] -= 1
    if len(path) > MAX_DEPTH or budget[0] < 0:
        raise SpecError("the content is nested too deep or has too many entries")
    if isinstance(value, Mapping):
        copied = {}
        for key, item in value.items():
            if not isinstance(key, str) or SURROGATE.search(key):
                document.complain(path, f"the key {shorten(key)} must be text")
                continue
            copied[key] = _copy(item, (*path, key), document, budget)
        return copied
    if isinstance(value, (list, tuple)):
        return [_copy(item, (*path, index), document, budget) for index, item in enumerate(value)]
    if isinstance(value, str) and SURROGATE.search(value):
        document.complain(path, f"half of a character in {shorten(value)}")
        return None
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    document.complain(path, f"{type(value).__name__} is not text, a number, a list or a mapping")
    return None


def unknown_key(document: Document, path: Path, options: list[str]) -> None:
    """Note that the key at the end of `path` is none of `options`."""
    key = str(path[-1])
    document.complain(path, f"unknown key '{key[:60]}'", did_you_mean(key, options), key=True)


def missing_key(
    document: Document, path: Path, content: Mapping[str, Any], options: list[str], hint: str | None = None
) -> None:
    """Note that the key at the end of `path` is missing, unless it stands there misspelt.

    Parameters
    ----------
    document : Document
        Gets the issue.
    path : tuple of str and int
        Where the key belongs.
    content : mapping
        What stands there; each of its keys that is none of `options` is an issue of its own.
    options : list of str
        Every key that may stand there.
    hint : str, optional
        What belongs to the key.
    """
    if not any(closest(key, options) == path[-1] for key in content if key not in options):
        document.complain(path, f"missing key '{path[-1]}'", hint, key=True)
