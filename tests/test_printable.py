"""Text from users as a terminal and a message can hold it."""

from __future__ import annotations

import pytest

from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import cut, printable, printable_block, quote

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本語 [red]", "plain é 日本語 [red]"),
        ("\x1b]0;title\a\x1b[31m", "\\x1b]0;title\\x07\\x1b[31m"),
        ("a\nerror: b", "a\\nerror: b"),
        ("\x9b2J\x7f\r\t", "\\x9b2J\\x7f\\r\\t"),
        ("\u202egnp.exe\u200b", "\\u202egnp.exe\\u200b"),
        ("no\u00a0break\u3000", "no\u00a0break\u3000"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_a_terminal_acts_on_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert str(Issue(text, None, "file\x1b")) == f"file\\x1b: {shown}"
    assert str(SpecError(Issue(text, text))) == f"{shown}; {shown}"


def test_blocks_keep_their_lines_and_colours_of_the_program() -> None:
    assert printable_block("a\n\x1b[1mb") == "a\n\\x1b[1mb"
    assert printable_block("a\n\x1b[1mb\x1b[0m\x1b[2J", styled=True) == "a\n\x1b[1mb\x1b[0m\\x1b[2J"


def test_names_are_quoted_and_cut() -> None:
    assert quote("a" * 99) == f"'{'a' * 99}'"
    assert quote("a" * 999, 60) == f"'{'a' * 60}...'"
    assert quote("\ud800\x07") == r"'\ud800\x07'"
    assert quote("it's") == '"it\'s"'
    assert cut("\x1b" * 1_000, 20) == r"\x1b\x1b\x1b\x1b\x1b..."
