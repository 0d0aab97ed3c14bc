"""Levels that are written more than once: what is read, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import SpecError, load_architecture, load_mapping, load_problem
from procrustes_model.errors import SpecError as Error
from procrustes_model.spec.mapping import LevelMapping, Mapping

MACHINE = load_architecture(
    {
        "architecture": {
            "name": "three",
            "levels": [
                {"name": "DRAM", "word_bits": 16, "energy_pj": {"read": 200, "write": 210}},
                {"name": "Buffer", "word_bits": 16, "energy_pj": {"read": 6, "write": 7}},
                {"name": "Reg", "word_bits": 16, "energy_pj": {"read": 1, "write": 1}, "mesh_x": 4},
            ],
            "compute": {"energy_pj": 1},
        }
    }
)
PROBLEM = load_problem({"problem": {"name": "mm", "shape": "matmul", "dimensions": {"M": 4, "K": 6, "N": 8}}})
UNEVEN = """mapping:
  levels:
    - level: DRAM
      temporal: K=2
    - level: Buffer
      temporal: N=4
      keep: [A, Z]
    - level: Buffer
      temporal: K=3 N=2
      spatial_x: M=4
      keep: [B]
    - level: Reg
"""


def _issues(text: str, tmp_path: Any) -> list[tuple[int | None, int | None, str, str | None]]:
    file = tmp_path / "nest.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_mapping(file, MACHINE, PROBLEM)
    return [(one.line, one.column, one.message, one.hint) for one in caught.value.issues]


def test_read_and_written(tmp_path: Any) -> None:
    file = tmp_path / "nest.yaml"
    file.write_text(UNEVEN)
    mapping = load_mapping(file, MACHINE, PROBLEM)
    assert mapping.uneven
    assert [(one.level, one.keep) for one in mapping.levels[1:3]] == [
        ("Buffer", ("A", "Z")),
        ("Buffer", ("B",)),
    ]
    assert load_mapping(mapping, MACHINE, PROBLEM) is mapping
    file.write_text(mapping.to_yaml())
    assert load_mapping(file, MACHINE, PROBLEM) == mapping
    assert not load_mapping(
        {"mapping": {"levels": [{"level": "DRAM", "temporal": "M=4 K=6 N=8"}]}}, MACHINE, PROBLEM
    ).uneven


@pytest.mark.parametrize(
    ("old", "new", "issue"),
    [
        (
            "      keep: [B]\n",
            "",
            (8, 14, "duplicate level 'Buffer' without 'keep'", "write in 'keep' of each the tensors"),
        ),
        ("keep: [B]", "bypass: [B]", (8, 14, "duplicate level 'Buffer' without 'keep'", "merge the two")),
        ("keep: [B]", "keep: [B, Z]", (11, 13, "Buffer keeps Z at two of its entries", "keep it at one")),
        (
            "temporal: N=4\n      keep",
            "temporal: N=4\n      spatial_x: K=1 M=2\n      keep",
            (7, 18, "spatial_x M=2 stands outside of the last entry of Buffer", "write it there"),
        ),
        (
            "    - level: Reg\n",
            "    - level: Reg\n    - level: Buffer\n      keep: []\n",
            (13, 14, "duplicate level 'Buffer'", "one after the other; merge the two, or move this one"),
        ),
        (
            "    - level: DRAM\n",
            "    - level: DRAM\n      keep: [A, B]\n    - level: DRAM\n      keep: [Z]\n",
            (
                6,
                13,
                "Z begins and ends at DRAM, and is kept at an inner entry",
                "the first entry of the level",
            ),
        ),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, issue: tuple[int, int, str, str], tmp_path: Any) -> None:
    text = UNEVEN.replace(old, new, 1)
    if "M=2" in new:
        text = text.replace("spatial_x: M=4", "spatial_x: M=2")
    found = _issues(text, tmp_path)
    assert len(found) == 1, found
    line, column, message, hint = found[0]
    assert (line, column) == issue[:2]
    assert issue[2] in message
    assert issue[3] in str(hint)


def test_levels_side_by_side_have_one_entry() -> None:
    levels = list(MACHINE.levels)
    levels[2] = levels[2].model_copy(update={"beside": True, "mesh_x": 1})
    machine = MACHINE.model_copy(update={"levels": tuple(levels)})
    nest = [{"level": "DRAM", "temporal": "M=4 K=6"}, {"level": "Buffer", "keep": ["A"]}]
    nest += [{"level": "Buffer", "keep": ["B"]}, {"level": "Reg", "temporal": "N=8"}]
    with pytest.raises(SpecError, match="Buffer is written 2 times, and levels lie side by side there"):
        load_mapping({"mapping": {"levels": nest}}, machine, PROBLEM)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([("X", "A"), ("Y", "A"), ("X", "B")], "the entries of X are not neighbours"),
        ([("X", "A"), ("X", "BA")], "X keeps A at two of its entries"),
    ],
)
def test_made_in_python(levels: list[tuple[str, str]], message: str) -> None:
    with pytest.raises((Error, ValueError), match=message):
        Mapping(levels=tuple(LevelMapping(level=name, keep=tuple(keep)) for name, keep in levels))
