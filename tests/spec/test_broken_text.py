"""Files that are no YAML, or none that can be read: every message with its line and column."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_architecture
from tests.broken import check

TEXT_CASES: list[tuple[str | bytes, int | None, int | None, str, str | None]] = [
    ("", None, None, "the file is empty", None),
    ("# nothing\n", None, None, "the file has no content", None),
    ("architecture:\n  name: é\n".encode("latin-1"), 2, 9, "not UTF-8: byte 0xe9", "save the file as UTF-8"),
    ("architecture:\n  name: \0\n", 2, 9, "control character 0x00", None),
    ("architecture:\n\tname: x\n", 2, 1, "a tab is used as indentation", "YAML indents with spaces"),
    (
        "architecture:\n  a: 1\n  a: 2\n  levels: 3\n",
        3,
        3,
        "duplicate key 'a'",
        "it stands in line 2 already",
    ),
    ("architecture: {}\n---\narchitecture: {}\n", 2, 1, "a second document starts here", None),
    ("- 1\n", 1, 1, "this is a list", "an architecture starts with 'architecture:'"),
    ("text", 1, 1, "this is 'text'", None),
    ("architecture: !!python/object/apply:os.abort []\n", 1, 15, "tag ", "tags are not allowed"),
    ("architecture: !x 3\n", 1, 15, "tag '!x'", "tags are not allowed"),
    ("a: &a [1]\nb: *a\n", 1, 4, "anchor '&a'", "anchors and aliases are not allowed"),
    ("b: *a\n", 1, 4, "alias '*a'", "anchors and aliases are not allowed"),
    ("architecture: " + "[" * 50_000, 1, 46, "nested more than 32 deep", None),
    ("architecture: " + "{a: " * 50_000, 1, None, "nested more than 32 deep", None),
    ("architecture: {? [1] : 2}\n", 1, 18, "a key must be plain text", None),
    (
        "architecture: name: x\n",
        1,
        19,
        "not YAML: mapping values are not allowed",
        "a second ': ' in one line",
    ),
    ('architecture: "x\n', 2, 1, "not YAML: found unexpected end of stream", None),
    ("architecture: [1, 2\n", 2, 1, "not YAML", None),
    ("architecture: " + "9" * 5000, 1, 15, "a number of 5000 characters", None),
    ("architecture: [" + "1," * 200_000 + "]", 1, None, "more than 100000 entries", None),
    ("#" * 2_000_000, None, None, "the file has 2 MB", "at most 1 MB are read"),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), TEXT_CASES)
def test_text(text, line, column, message, hint, write) -> None:  # type: ignore[no-untyped-def]
    path = write(text)
    check(lambda: load_architecture(path), line, column, message, hint)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("x: 1\n")
    with pytest.raises(SpecError, match=r"did you mean '.*spec\.yaml'"):
        load_architecture(tmp_path / "spc.yaml")
    with pytest.raises(SpecError, match="this is a directory"):
        load_architecture(tmp_path)
    for name in ("", "a\0b", "x" * 100_000, "no/such/place.yaml"):
        with pytest.raises(SpecError, match="neither a file nor an architecture that ships"):
            load_architecture(name)
    with pytest.raises(SpecError, match="not as int"):
        load_architecture(3)  # type: ignore[arg-type]


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("x: 1\n")

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # chmod would not stop root
    with pytest.raises(SpecError, match="no permission to read this file"):
        load_architecture(path)


def test_data_from_python_is_named_by_path(architecture_data: dict[str, Any]) -> None:
    levels = architecture_data["architecture"]["levels"]
    levels[1]["capacity_words"] = float("nan")
    levels[2]["mesh_x"] = object()
    with pytest.raises(SpecError) as caught:
        load_architecture(architecture_data)
    text = str(caught.value)
    assert "architecture.levels[1].capacity_words: 'capacity_words' must be a whole number, is nan" in text
    assert "architecture.levels[2].mesh_x: object is not text" in text
    assert all(issue.line is None for issue in caught.value.issues)


def test_data_that_contains_itself() -> None:
    data: dict[str, Any] = {}
    data["architecture"] = data
    with pytest.raises(SpecError, match="nested too deep"):
        load_architecture(data)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(SpecError, match="no regular file; give a YAML file"):
            load_architecture(name)
