"""What tests of wrong input share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from procrustes_model.errors import SpecError


def check(
    load: Callable[[], Any], line: int | None, column: int | None, message: str, hint: str | None
) -> None:
    """Assert that loading raises an issue with this text at this place."""
    with pytest.raises(SpecError) as caught:
        load()
    found = [issue for issue in caught.value.issues if message in issue.message]
    assert found, f"not found in:\n{caught.value}"
    assert found[0].file is not None
    assert found[0].line == line
    if column is not None:
        assert found[0].column == column, found[0]
    if hint is not None:
        assert hint in (found[0].hint or "")


def change(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)
