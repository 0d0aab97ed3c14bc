"""Words and numbers of the command line: read here, so that a wrong one is refused as all is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from procrustes_model.cli.errors import reported_errors
from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import WHOLE
from procrustes_model.options import Option

T = TypeVar("T")


def reader(flag: str, option: Option) -> Callable[[str], Any]:
    """Return what reads a number that is an option.

    It ends the program with an error where the number is none, or out of bounds: whatever else were raised,
    Typer would say it in words of its own.

    Parameters
    ----------
    flag : str
        Its name on the command line.
    option : Option
    """

    def read(text: Any) -> Any:
        if not isinstance(text, str):
            return text  # a default
        try:
            value = option.form.parsed(text)
        except ValueError:
            value = text
        with reported_errors():
            option.take(flag, value)
        return value

    return read


def metavar(option: Option) -> str:
    """Return what stands for a number in ``--help``: where it has no name of its own, its kind and bounds."""
    if option.metavar is not None:
        return option.metavar
    low = "" if option.least is None else f">={option.least:g}"
    high = "" if option.most is None else f"<={option.most:g}"
    return f"{'INTEGER' if option.form.parsed is int else 'NUMBER'}{low}{high}"


def word(
    what: str, meant: Callable[[str], T], words: Sequence[str], *, sign: str | None = None
) -> dict[str, Any]:
    """Return what Typer is told of a value that is one of some words, by the names that Typer has for it.

    Parameters
    ----------
    what : str
        What a word is, such as 'phase'.
    meant : callable
        From a word to what it stands for.
    words : sequence of str
    sign : str, optional
        What stands for it in ``--help``; the words if none is given.
    """

    def read(text: Any) -> Any:
        if text in words:
            return meant(text)
        if not isinstance(text, str):
            return text
        from procrustes_model.spec.text.words import did_you_mean

        with reported_errors():
            raise SpecError(Issue(f"unknown {what} '{text[:100]}'", did_you_mean(text, words)))

    def offer(incomplete: str) -> list[str]:
        return [one for one in words if one.startswith(incomplete)]

    return {"parser": read, "autocompletion": offer, "metavar": sign or "|".join(words)}


def number(flag: str, *, form: Any = WHOLE, sign: str | None = None, **bounds: float) -> dict[str, Any]:
    """Return what Typer is told of a number that is no option of a request; `bounds` are least and most."""
    option = Option(form, "", metavar=sign, **bounds)  # type: ignore[arg-type]
    return {"parser": reader(flag, option), "metavar": metavar(option)}
