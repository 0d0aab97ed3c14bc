"""The site has every page, and the reference every name and every column."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from docs_hooks import command_line

import procrustes_model
import procrustes_model.training
from procrustes_model.shipped import list_shipped
from tests.conftest import ROOT
from tests.docs.blocks import Block, read_blocks

DOCS = ROOT / "docs"
COLUMNS = [
    block
    for block in read_blocks(DOCS / "reference" / "csv.md")
    if block.kind == "table" and "columns" in block.marks
]
API = sorted((DOCS / "reference" / "python").glob("*.md"))


def pages(entries: Any) -> Iterator[str]:
    """Yield the pages of a navigation, as MkDocs reads it: texts, and lists of titles with either."""
    if isinstance(entries, str):
        yield entries
    else:
        for entry in entries:
            yield from pages(next(iter(entry.values())) if isinstance(entry, dict) else entry)


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(pages(navigation)) == sorted(
        page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")
    )


def test_every_machine_and_its_constraints_are_in_the_reference() -> None:
    text = (DOCS / "reference" / "machines.md").read_text(encoding="utf-8")
    for kind in ("architecture", "constraints"):
        assert [name for name in list_shipped(kind) if f"`{name}`" not in text] == []


def test_every_public_name_is_in_the_reference_once() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in API)
    public = [f"procrustes_model.{name}" for name in procrustes_model.__all__]
    training = procrustes_model.training
    # The names that need torch are left out of `__all__`.
    assert set(training.__all__) < set(dir(training))
    public += [f"{training.__name__}.{name}" for name in dir(training)]
    assert sorted(re.findall(r"(?m)^::: (\S+)$", text)) == sorted(public)


@pytest.mark.parametrize("table", COLUMNS, ids=str)
def test_columns(table: Block) -> None:
    module, _, name = table.marks["columns"].rpartition(".")
    columns = getattr(importlib.import_module(f"procrustes_model.{module}"), name)
    assert table.rows == [list(column) for column in columns.items()]


def test_every_table_of_columns_is_in_the_reference() -> None:
    package = ROOT / "procrustes_model"
    found = {
        f"{'.'.join(file.relative_to(package).with_suffix('').parts)}.{name}"
        for file in package.rglob("*.py")
        for name in re.findall(r"(?m)^(\w*COLUMNS): ", file.read_text(encoding="utf-8"))
    }
    assert {table.marks["columns"] for table in COLUMNS} == found


def test_every_command_is_described() -> None:
    text = "\n".join(command_line())
    assert {"evaluate", "search", "masks from-checkpoint"} <= set(
        re.findall(r"(?m)^## procrustes (.*)$", text)
    )
    rows = re.findall(r"(?m)^\| `.*` \| .* \|$", text)
    assert len(rows) == len(re.findall(r"(?m)^\| `", text))
    assert any(row.startswith("| `--sparsity FILE` |") for row in rows)
    assert any("`-h, --help`" in row for row in rows)
