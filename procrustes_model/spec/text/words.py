"""Names as users type them: which are allowed, and what a wrong one was probably meant to be."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable

_MAX_WORD = 100
_MAX_LISTED = 16
IDENTIFIER_RULE = "letters, digits and underscores, not starting with a digit, no Python keyword"
PAIRS = "'key: value' pairs"
"""What YAML calls a mapping, a word that means a schedule here."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def closest(word: str, options: Iterable[str]) -> str | None:
    """Return the option that `word` most likely stands for, or None where none is near.

    Parameters
    ----------
    word : str
        What was written.
    options : iterable of str
        What exists.

    Returns
    -------
    str or None
    """
    by_folded = {option.casefold(): option for option in reversed(list(options))}
    folded = word[:_MAX_WORD].casefold()
    matches = difflib.get_close_matches(folded, list(by_folded), n=5, cutoff=0.6)
    if not matches:
        return None
    # Of options that are equally near, the one that stands first.
    ratio = {match: difflib.SequenceMatcher(None, match, folded).ratio() for match in matches}
    return by_folded[next(key for key in reversed(by_folded) if ratio.get(key) == max(ratio.values()))]


def did_you_mean(word: str, options: Iterable[str]) -> str | None:
    """Return a hint for an unknown `word`: the nearest option, or the list of all options.

    Parameters
    ----------
    word : str
        What was written.
    options : iterable of str
        What exists.

    Returns
    -------
    str or None
        None where there are no options at all.
    """
    known = list(options)
    near = closest(word, known)
    if near is not None:
        return f"did you mean '{near}'?"
    if not known:
        return None
    more = ", ..." if len(known) > _MAX_LISTED else ""
    return f"choose from {', '.join(known[:_MAX_LISTED])}{more}"


def with_article(kind: str) -> str:
    """Return 'an architecture', 'a problem', ..."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def is_identifier(word: str) -> bool:
    """Return whether `word` may name a dimension or an attribute: ASCII letters, digits and underscores."""
    return len(word) <= _MAX_WORD and bool(_IDENTIFIER.fullmatch(word)) and not keyword.iskeyword(word)


def is_name(word: str) -> bool:
    """Return whether `word` may name a level, tensor or file's content: printable, 1 to 100 characters."""
    return 0 < len(word) <= _MAX_WORD and word.isprintable() and word == word.strip()


def shorten(value: object, width: int = 60) -> str:
    """Return `repr(value)`, cut to `width` characters so that no message explodes."""
    text = repr(value[: width + 1]) if isinstance(value, str) else _bounded_repr(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def _bounded_repr(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a number of more than 75 digits"
    if isinstance(value, dict):
        return f"{{{str(next(iter(value)))[:20]}: ...}}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)} item{'s' if len(value) > 1 else ''}" if value else "an empty list"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
