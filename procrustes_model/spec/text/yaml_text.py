"""YAML text to plain data with the place of every key and value, and no YAML surprises.

The text is read event by event rather than through a YAML loader's constructors: nothing in a
file can run code, expand aliases, or recurse deeper than `MAX_DEPTH`. Plain scalars follow YAML 1.2's
core schema, so that the key `N` is a text and not `False`, and `3:20` is no number in base sixty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.text.foreign import FOREIGN, FOREIGN_TAGS

Path = tuple[str | int, ...]
Place = tuple[int, int]

MAX_DEPTH = 32
MAX_NODES = 100_000
_MAX_DIGITS = 40

SURROGATE = re.compile("[\ud800-\udfff]")
"""What no text in UTF-8 can hold, but escapes can write."""
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)")


@dataclass
class ParsedText:
    """Plain data of one YAML document and where each part of it stands.

    Attributes
    ----------
    data : Any
        Dictionaries, lists, text, numbers, booleans and None.
    keys, values : dict
        Path to (line, column), counted from 1, of the key or list item and of its value.
    text_start : dict
        Path to (line, column) of the first character of a one-line text, inside its quotes.
    issues : list of Issue
        Duplicate keys; the first value counts.
    """

    data: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    text_start: dict[Path, Place] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def parse_yaml(text: str, file: str | None, builder_class: type[Builder] | None = None) -> ParsedText:
    """Read one YAML document.

    Parameters
    ----------
    text : str
        The document.
    file : str, optional
        The name to give in messages.
    builder_class : type, optional
        A `Builder` that reads a dialect; by default the one of this program's own files.

    Returns
    -------
    ParsedText

    Raises
    ------
    SpecError
        Where the text is not one plain YAML document.
    """
    import yaml

    loader_class: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # The constructor itself reads the start of the text, so that it may raise too.
        loader = loader_class(text)
        builder = (builder_class or Builder)(file)
        while loader.check_event():
            builder.take(loader.get_event())
    except yaml.YAMLError as error:
        raise SpecError(_syntax_issue(error, file, text)) from None
    return builder.result


@dataclass
class _Open:
    """A list or mapping whose end has not been read yet."""

    container: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None
    ignored: bool = False


class Builder:
    """Turns YAML events into data, one at a time, with its own stack.

    Files of other programs are read by subclasses that allow more of YAML; see `importers.timeloop.dialect`.
    """

    def __init__(self, file: str | None) -> None:
        self.file = file
        self.result = ParsedText()
        self.stack: list[_Open] = []
        self.documents = 0
        self.nodes = 0

    def take(self, event: Any) -> None:
        """Take the next event of the text."""
        name = type(event).__name__
        if name == "DocumentStartEvent":
            self.documents += 1
            if self.documents > 1:
                self._fail(
                    event, "a second document starts here", "one file holds one document; remove '---'"
                )
        elif name == "AliasEvent":
            self._fail(event, f"alias '*{event.anchor}'", "anchors and aliases are not allowed; write it out")
        elif name in ("MappingStartEvent", "SequenceStartEvent"):
            self._check_node(event)
            self._open(event, {} if name == "MappingStartEvent" else [])
        elif name in ("MappingEndEvent", "SequenceEndEvent"):
            self._close()
        elif name == "ScalarEvent":
            self._check_node(event)
            self._scalar(event)

    def _check_node(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._fail(event, f"more than {MAX_NODES} entries", "no specification is that long")
        if event.anchor is not None:
            self._fail(
                event, f"anchor '&{event.anchor}'", "anchors and aliases are not allowed; write it out"
            )
        if event.tag is not None and event.tag != "!":
            self._tag(event)
        if len(self.stack) >= MAX_DEPTH:
            self._fail(event, f"nested more than {MAX_DEPTH} deep", "no specification is that deep")

    def _tag(self, event: Any) -> None:
        """Take note of a tag: here, refuse it."""
        if event.tag in FOREIGN_TAGS:
            self._fail(event, *FOREIGN)
        self._fail(event, f"tag '{event.tag}'", "tags are not allowed; write a plain value")

    def _open(self, event: Any, container: dict[str, Any] | list[Any]) -> None:
        if self._wants_key():
            self._fail(event, "a key must be plain text", "a list or mapping cannot be a key")
        path = self._place(event, container)
        self.stack.append(_Open(container, path))

    def _close(self) -> None:
        self.stack.pop()

    def _scalar(self, event: Any) -> None:
        if not event.value.isascii() and SURROGATE.search(event.value):
            self._fail(event, "half of a character", "write it as it is, or all of it as one escape")
        if self._wants_key():
            self._key(event)
            return
        value: Any = event.value
        if event.implicit[0] and not event.style:
            value = self._resolve(event)
        path = self._place(event, value)
        if isinstance(value, str) and event.start_mark.line == event.end_mark.line:
            quotes = (event.end_mark.column - event.start_mark.column - len(event.value)) // 2
            line, column = _place(event)
            self.result.text_start.setdefault(path, (line, column + quotes))

    def _key(self, event: Any) -> None:
        top = self.stack[-1]
        assert isinstance(top.container, dict)
        top.key = event.value
        path = (*top.path, event.value)
        top.ignored = event.value in top.container
        if top.ignored:
            line, column = _place(event)
            first = self.result.keys[path][0]
            message = f"duplicate key '{event.value[:60]}'"
            self.result.issues.append(
                Issue(message, f"it stands in line {first} already", self.file, line, column)
            )
        else:
            self.result.keys[path] = _place(event)

    def _wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].container, dict) and self.stack[-1].key is None

    def _place(self, event: Any, value: Any) -> Path:
        """Put `value` where it belongs and remember where it stands."""
        if not self.stack:
            self.result.data = value
            self.result.values[()] = _place(event)
            return ()
        top = self.stack[-1]
        if isinstance(top.container, list):
            path: Path = (*top.path, len(top.container))
            top.container.append(value)
            self.result.keys.setdefault(path, _place(event))
        else:
            assert top.key is not None
            path = (*top.path, top.key)
            if not top.ignored:
                top.container[top.key] = value
            top.key = None
        self.result.values.setdefault(path, _place(event))
        return path

    def _resolve(self, event: Any) -> Any:
        """Return the value of a plain scalar under YAML 1.2's core schema."""
        text = event.value
        if len(text) > _MAX_DIGITS and _FLOAT.fullmatch(text):
            self._fail(event, f"a number of {len(text)} characters", f"at most {_MAX_DIGITS} are read")
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text):
            return True
        if _FALSE.fullmatch(text):
            return False
        if _INT.fullmatch(text):
            return int(text)
        if len(text) <= _MAX_DIGITS and _OTHER_BASE.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        if _INFINITE.fullmatch(text):
            return float("-inf") if text[0] == "-" else float("inf")
        return float("nan") if _NAN.fullmatch(text) else text

    def _fail(self, event: Any, message: str, hint: str) -> None:
        line, column = _place(event)
        raise SpecError(Issue(message, hint, self.file, line, column))


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _syntax_issue(error: Exception, file: str | None, text: str) -> Issue:
    """Say a YAML syntax error in words that point at the cause."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        first = str(error).splitlines()[0]
        return Issue(f"not YAML: {first}", None, file)
    line, column = mark.line + 1, mark.column + 1
    problem = str(getattr(error, "problem", None) or "syntax error")
    lines = text.splitlines()
    written = lines[mark.line] if mark.line < len(lines) else ""
    before = written[: len(written) - len(written.lstrip())]
    if "\t" in before:
        column = before.index("\t") + 1
        return Issue("a tab is used as indentation", "YAML indents with spaces", file, line, column)
    if "mapping values are not allowed" in problem:
        hint: str | None = "a second ': ' in one line; put quotes around the text, or check the indentation"
    elif "expected <block end>" in problem or "block end" in problem:
        hint = "check the indentation and that every list item starts with '- '"
    elif "could not find expected ':'" in problem:
        hint = "a key is written 'key: value'"
    else:
        hint = getattr(error, "context", None)
    return Issue(f"not YAML: {problem}", hint, file, line, column)
