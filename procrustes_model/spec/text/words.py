"""Names as users type them: which are allowed, and what a wrong one was probably meant to be."""

from __future__ import annotations

import keyword
import re

from procrustes_model.near import closest, did_you_mean

__all__ = [
    "IDENTIFIER_RULE",
    "PAIRS",
    "closest",
    "did_you_mean",
    "is_identifier",
    "is_name",
    "shorten",
    "with_article",
]

_MAX_WORD = 100
IDENTIFIER_RULE = "letters, digits and underscores, not starting with a digit, no Python keyword"
PAIRS = "'key: value' pairs"
"""What YAML calls a mapping, a word that means a schedule here."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
