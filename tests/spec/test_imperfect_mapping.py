"""Loops with a shorter last pass: how they are written, read, printed, and what is refused."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings

from procrustes_model.cli.mapping_alone import check_mapping_alone
from procrustes_model.errors import SpecError
from procrustes_model.report.nest import tile_extents
from procrustes_model.report.terminal.nest import format_nest
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import check_mapping, load_architecture, load_mapping, load_problem
from procrustes_model.spec.mapping import LevelMapping, Loop, Mapping
from procrustes_model.spec.problem import Problem
from tests.strategies import Spec, imperfect_cases, unequal_cases

# The problem has M=8 K=12 N=6; below each Buffer are 4 x 2 instances of RegFile.
GOOD = """\
mapping:
  levels:
    - level: DRAM
      temporal: M=8 K=3
    - level: Buffer
      temporal: N=2 K=5/2
      spatial_x: N=3
"""

GOOD_N = "K=5/2\n      spatial_x: N=3"

# replace this, by that; line, column, message, hint
CASES: list[tuple[str, str, int, int, str, str | None]] = [
    (
        "K=5/2",
        "K=5/3",
        6,
        17,
        "the loops of K cover 13, its bound is 12",
        "DRAM temporal K=3, Buffer temporal K=5/2",
    ),
    ("K=5/2", "K=7/2", 6, 17, "the loops of K cover 16", "write DRAM temporal K=2, Buffer temporal K=7/5"),
    ("K=5/2", "K=6/2", 6, 17, "the loops of K cover 14", "write DRAM temporal K=2, Buffer temporal K=6"),
    (
        "K=5/2",
        "K=12/2",
        6,
        17,
        "the loops of K cover 26",
        "the loops inside the outermost one must cover less",
    ),
    ("K=5/2", "K=5/6", 6, 25, "the last pass of K=5 must be at most 5, is 6", "K=5/5 is the same as K=5"),
    ("K=5/2", "K=5/0", 6, 25, "the last pass of K must be at least 1, is 0", None),
    ("K=5/2", "K=5/-1", 6, 25, "the last pass of K must be at least 1, is -1", None),
    ("K=5/2", "K=5/2.5", 6, 25, "the last pass of K must be a whole number, is '2.5'", None),
    ("K=5/2", "K=5/2/1", 6, 25, "the last pass of K must be a whole number, is '2/1'", None),
    ("K=5/2", "K=5/x", 6, 25, "the last pass of K must be a whole number, is 'x'", None),
    ("K=5/2", "K=5/" + "9" * 300, 6, 25, "the last pass of K must be at most 2^31", None),
    ("K=5/2", "K=5/", 6, 21, "'K=5/' is not a loop", "a loop is written 'K=16'"),
    ("K=5/2", "K=/2", 6, 21, "'K=/2' is not a loop", None),
    ("K=5/2", "K=0/2", 6, 23, "the factor of K must be at least 1, is 0", None),
    ("K=5/2", "K=5/2 K=2", 6, 27, "K stands twice among these loops", "merge them into K=10"),
    (
        "N=3",
        "N=3/2",
        7,
        18,
        "the loops of N cover 5, its bound is 6",
        "write Buffer temporal N=2, Buffer spat",
    ),
    ("K=3", "K=3/2", 4, 17, "K=3/2 is the outermost loop of K", "write K=2"),
    ("K=3", "K=3/1", 4, 17, "K=3/1 is the outermost loop of K", "leave it out"),
    (
        f"N=2 {GOOD_N}",
        "K=5/2\n      spatial_x: N=7/6",
        7,
        18,
        "N=7/6 is the outermost",
        "write N=6",
    ),
    (
        f"N=2 {GOOD_N}",
        "K=5/2\n      spatial_x: N=4\n      spatial_y: N=2/1",
        8,
        18,
        "N=2/1 is the outermost loop of N",
        "leave it out",
    ),
    (
        f"N=2 {GOOD_N}",
        "K=5/2\n      spatial_x: N=4/3\n      spatial_y: N=2",
        7,
        18,
        "the loops of N cover 7, its bound is 6",
        "write Buffer spatial_y N=2, Buffer spatial_x N=4/2",
    ),
    (
        f"N=2 {GOOD_N}",
        "K=5/2\n      spatial_x: N=2/1\n      spatial_y: N=2",
        7,
        18,
        "the loops of N cover 3, its bound is 6",
        "must cover less than 6, and all of them 6 at least",
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), CASES)
def test_what_is_refused(  # type: ignore[no-untyped-def]
    old: str,
    new: str,
    line: int,
    column: int,
    message: str,
    hint: str | None,
    write,
    architecture: Architecture,
    problem: Problem,
) -> None:
    assert old in GOOD
    with pytest.raises(SpecError) as caught:
        load_mapping(write(GOOD.replace(old, new, 1)), architecture, problem)
    found = [issue for issue in caught.value.issues if message in issue.message]
    assert found, f"not found in:\n{caught.value}"
    assert (found[0].line, found[0].column) == (line, column), found[0]
    assert (hint or "") in (found[0].hint or "")
    fanout = [issue for issue in caught.value.issues if "instances below each" in issue.message]
    assert len(caught.value.issues) - len(fanout) == 1, "one slip brings one issue"


@pytest.mark.parametrize("token", ["K=5/2", "K = 5 / 2", "K=5 /2", "K=5/ 2"])
def test_ways_to_write_it(
    token: str, write: Callable[[str], Path], architecture: Architecture, problem: Problem
) -> None:
    mapping = load_mapping(write(GOOD.replace("K=5/2", token)), architecture, problem)
    assert mapping.levels[1].temporal == (
        Loop(dimension="N", factor=2),
        Loop(dimension="K", factor=5, last=2),
    )
    assert mapping.imperfect


def test_a_full_last_pass_is_none(
    write: Callable[[str], Path], architecture: Architecture, problem: Problem
) -> None:
    text = GOOD.replace("K=5/2", "K=4/4")
    mapping = load_mapping(write(text), architecture, problem)
    assert mapping == load_mapping(write(text.replace("4/4", "4")), architecture, problem)
    assert not mapping.imperfect
    assert Loop(dimension="K", factor=4, last=4).last is None


def test_several_loops_of_a_dimension_may_be_short(architecture: Architecture) -> None:
    levels = [
        {"level": "DRAM", "temporal": "K=6"},
        {"level": "Buffer", "temporal": "K=5/4"},
        {"level": "RegFile", "temporal": "K=7/1"},
    ]
    shape = {"name": "p", "shape": "matmul"}
    problem = load_problem({"problem": shape | {"dimensions": {"M": 1, "K": 5 * 35 + 3 * 7 + 1, "N": 1}}})
    mapping = load_mapping({"mapping": {"levels": levels}}, architecture, problem)
    assert [str(level.temporal[0]) for level in mapping.levels] == ["K=6", "K=5/4", "K=7/1"]
    other = load_problem({"problem": shape | {"dimensions": {"M": 1, "K": 196, "N": 1}}})
    with pytest.raises(
        SpecError, match=r"write DRAM temporal K=6, Buffer temporal K=5/3, RegFile temporal K=7$"
    ):
        load_mapping({"mapping": {"levels": levels}}, architecture, other)


def test_what_python_refuses(architecture: Architecture, problem: Problem) -> None:
    with pytest.raises(pydantic.ValidationError, match="must be at most the factor, 3"):
        Loop(dimension="K", factor=3, last=4)
    short = Loop(dimension="K", factor=3, last=2)
    assert LevelMapping(level="DRAM", spatial_x=(short,), keep=()).loops == (short,)
    with pytest.raises(SpecError, match="the outermost loop of K"):
        check_mapping(
            Mapping(levels=(LevelMapping(level="DRAM", temporal=(short,), keep=()),)), architecture, problem
        )


def test_a_spatial_loop_may_be_short_and_what_lies_inside_it(
    write: Callable[[str], Path], architecture: Architecture
) -> None:
    text = GOOD.replace(f"N=2 {GOOD_N}", "K=5/2\n      spatial_x: N=3/2\n      spatial_y: N=2")
    text += "    - level: RegFile\n      temporal: N=2/1\n"
    work = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 8, "K": 12, "N": 9}}}
    )
    mapping = load_mapping(write(text), architecture, work)
    assert mapping.levels[1].spatial_x == (Loop(dimension="N", factor=3, last=2),)
    assert mapping.imperfect and check_mapping_alone(write(text)) == "spec"
    assert "parallel-for n in 0..3 (x) (last pass 2)\n" in format_nest(architecture, work, mapping)
    assert load_mapping(mapping.to_dict(), architecture, work) == mapping


def test_the_nest_says_how_short(
    write: Callable[[str], Path], architecture: Architecture, problem: Problem
) -> None:
    mapping = load_mapping(write(GOOD), architecture, problem)
    text = format_nest(architecture, problem, mapping)
    assert "for k in 0..5 (last pass 2)\n" in text
    assert "for k in 0..3\n" in text
    assert [extents["K"] for extents in tile_extents(problem, mapping)] == [12, 5, 1]


def test_a_mapping_alone_is_checked(write: Callable[[str], Path]) -> None:
    assert check_mapping_alone(write(GOOD)) == "spec"
    listed = GOOD.replace("N=2 K=5/2", "[N=2, K = 5 / 2]")
    assert check_mapping_alone(write(listed)) == "spec"
    with pytest.raises(SpecError, match="must be at most 5, is 6"):
        check_mapping_alone(write(GOOD.replace("5/2", "5/6")))


@settings(max_examples=60, deadline=None)
@given(imperfect_cases() | unequal_cases())
def test_what_is_written_is_read_back(case: tuple[Spec, Spec, Spec]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mapping.yaml"
        path.write_text(mapping.to_yaml(), encoding="utf-8")
        assert check_mapping_alone(path) == "drawn"
        assert load_mapping(path, architecture, problem) == mapping
    assert load_mapping(mapping.to_dict(), architecture, problem) == mapping
    short: list[Any] = [loop for level in mapping.levels for loop in level.loops if loop.last]
    assert mapping.imperfect == bool(short)
