"""Kinds of values that options take: how each is checked, and how the command line writes it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from procrustes_model.errors import Issue, SpecError
from procrustes_model.near import closest

T = TypeVar("T")
File = str | os.PathLike[str]
Source = File | Mapping[str, Any]
"""What a specification may be given as, beside itself: a file, a name, or what a file would say."""


@dataclass(frozen=True)
class Form(Generic[T]):
    """A kind of value.

    Attributes
    ----------
    wanted : str
        What a wrong value should have been, such as 'a whole number'.
    take : callable
        Returns a value in its usual form. Raises ValueError where it is none of this kind; a SpecError says
        more.
    parsed : type
        What the command line itself reads: str, int, float, bool or Path.
    write : callable
        From a value to the word that the command line reads.
    metavar : str, optional
        Stands for the value in ``--help``.
    words : tuple of str
        That shells complete.
    """

    wanted: str
    take: Callable[[Any], T]
    parsed: Any = str
    write: Callable[[Any], str] = str
    metavar: str | None = None
    words: tuple[str, ...] = ()


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


class _Usual(float):
    """A default that is told from the same number stated."""


DEFAULT_SECONDS = _Usual(60.0)
"""Time limit of a search for which none is stated, wherever it is run from."""


def is_usual(value: Any) -> bool:
    """Return whether a value is a default that nobody stated."""
    return isinstance(value, _Usual)


def _seconds(value: Any) -> float | None:
    return value if is_usual(value) else _number(value) or None


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return str(value)


def _path(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise ValueError
    return Path(value)


def _source(value: Any) -> Any:
    if isinstance(value, int | float | Sequence) and not isinstance(value, str):
        raise ValueError
    return value


def _names(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Sequence) or not all(isinstance(part, str) for part in parts):
        raise ValueError
    return tuple(filter(None, map(str.strip, parts)))


WHOLE = Form("a whole number", _whole, int, write=lambda value: f"{value:d}")
NUMBER = Form("a number", _number, float, write=lambda value: f"{value:.17g}")
SECONDS = Form(
    "a number of seconds",
    _seconds,
    float,
    write=lambda value: "0" if value is None else f"{value:.15g}",
)
SWITCH = Form("true or false", _switch, bool)
TEXT = Form("text", _text)
FILE = Form("a file", _path, Path, metavar="FILE")
FOLDER = Form("a folder", _path, Path, metavar="DIR")
SPEC = Form("a file, a name, or a specification", _source, metavar="FILE")
NAMES = Form("a list of names", _names, write=",".join)


def one_of(what: str, words: Sequence[str]) -> Form[str]:
    """Return the kind of a value that is one of some words.

    Parameters
    ----------
    what : str
        What a word is, such as 'engine'.
    words : sequence of str
    """

    def take(value: Any) -> str:
        if value not in words:
            near = closest(str(value), words)
            hint = f"one of {', '.join(words)}" if near is None else f"did you mean '{near}'?"
            raise SpecError(Issue(f"unknown {what} '{str(value)[:40]}'", hint))
        return str(value)

    return Form(f"one of {', '.join(words)}", take, metavar="|".join(words), words=tuple(words))
