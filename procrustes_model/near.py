"""What a word that nobody knows was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MAX_WORD = 100
_MAX_LISTED = 16


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
