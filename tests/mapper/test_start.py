"""A search that begins from a user's mapping, and one that ends after a budget of work."""

from __future__ import annotations

from typing import Any

import pytest

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    search,
)
from procrustes_model.mapper.level_rules import Constraints
from procrustes_model.mapper.obey import find_breach
from tests.amount import amount
from tests.mapper.test_methods import DESIGN, MACHINE, MATMUL

PROBLEM: dict[str, Any] = {
    "problem": {"name": "some", "shape": "matmul", "dimensions": {"M": 12, "K": 8, "N": 6}}
}
LOOPS = {"Far": {"temporal": "M=12 K=8 N=3"}, "Near": {"temporal": "N=2"}, "Register": {"temporal": ""}}


def _mapping(**changes: Any) -> dict[str, Any]:
    levels = [{"level": name, **(changes.get(name) or loops)} for name, loops in LOOPS.items()]
    return {"mapping": {"name": "mine", "levels": levels}}


def test_a_search_without_effort_returns_what_it_began_from() -> None:
    """Walks of one mapping look at the first one of the space, which is worse here."""
    start = search(MACHINE, PROBLEM, threads=1)
    again = search(MACHINE, PROBLEM, method="random", mappings=1, start=start.mapping, threads=1)
    assert again.mapping.levels == start.mapping.levels
    assert again.certificate.value == start.certificate.value
    assert search(MACHINE, PROBLEM, method="random", mappings=1).certificate.value > start.certificate.value


def test_what_is_found_from_a_bad_mapping_is_what_is_found_without() -> None:
    begun = search(MACHINE, PROBLEM, start=_mapping(), threads=1)
    assert begun.certificate.proven
    assert begun.history[0].energy_pj == evaluate(MACHINE, PROBLEM, _mapping()).energy_pj
    assert begun.certificate.value == search(MACHINE, PROBLEM, threads=1).certificate.value


def test_shorter_last_passes_to_begin_from() -> None:
    mapping = _mapping(
        Far={"temporal": "M=12 K=8 N=3"}, Near={"temporal": "N=2/2"}, Register={"temporal": ""}
    )
    mapping["mapping"]["levels"][1]["temporal"] = "N=4/2"
    mapping["mapping"]["levels"][0]["temporal"] = "M=12 K=8 N=2"
    ask: dict[str, Any] = {"start": mapping, "imperfect": True, "mappings": 1, "threads": 1}
    found, cost = search(MACHINE, PROBLEM, **ask), evaluate(MACHINE, PROBLEM, mapping)
    assert found.certificate.value <= cost.energy_pj * cost.cycles
    with pytest.raises(SpecError, match="whole passes only; add --imperfect"):
        search(MACHINE, PROBLEM, start=mapping)


def test_under_a_sparse_design() -> None:
    mapping = {"mapping": {"levels": [{"level": name} for name in LOOPS]}}
    mapping["mapping"]["levels"][0]["temporal"] = "M=2 K=2 N=2"  # type: ignore[index]
    found = search(MACHINE, MATMUL, sparsity=DESIGN, start=mapping, threads=1)
    assert found.certificate.proven
    assert found.certificate.value == search(MACHINE, MATMUL, sparsity=DESIGN, threads=1).certificate.value


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"start": _mapping(Near={"temporal": "N=4"})}, "the factors of N multiply to 12, its bound is 6"),
        (
            {"start": _mapping(Near={"temporal": "N=2", "keep": ["A"]}), "constraints": "keep"},
            "Near must keep B",
        ),
        (
            {"start": _mapping(), "objective": "energy, cycles<=3"},
            "is beyond the limits of energy, cycles<=3",
        ),
        ({"start": _mapping(), "sparsity": DESIGN, "formats": "auto"}, "has the formats stated"),
        ({"effort": 5, "method": "random"}, "effort is counted by the proof alone"),
    ],
    ids=["wrong", "constraints", "limits", "formats", "effort"],
)
def test_refused(asked: dict[str, Any], message: str) -> None:
    if asked.get("constraints"):
        rule = {"constraints": {"levels": [{"level": "Near", "keep": ["B"]}]}}
        asked = asked | {"constraints": rule}
    with pytest.raises(SpecError, match=message):
        search(MACHINE, PROBLEM, **asked)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_effort_gives_the_same_for_any_number_of_threads(sparse: bool) -> None:
    """And more of it a smaller gap, until the best is proven."""
    problem = {"problem": PROBLEM["problem"] | {"dimensions": {"M": 24, "K": 32, "N": amount(48, 8)}}}
    ask: dict[str, Any] = {"sparsity": DESIGN} if sparse else {}
    gaps = []
    for effort in (0, 2_000, amount(20_000, 5_000)):
        one, two = (search(MACHINE, problem, effort=effort, threads=n, **ask) for n in (1, 2))
        assert one.certificate == two.certificate
        assert one.mapping == two.mapping
        gaps.append(one.certificate.lower_bound)
    whole = search(MACHINE, problem, threads=1, **ask).certificate
    assert gaps == sorted(gaps)
    assert gaps[0] < whole.value
    assert gaps[-1] <= whole.value
    assert whole.proven


def test_an_uneven_mapping_is_none_to_begin_from() -> None:
    levels = _mapping()["mapping"]["levels"]
    apart = [{"level": "Near", "keep": ["A"]}, {"level": "Near", "temporal": "N=2", "keep": ["Z"]}]
    nest = {"mapping": {"name": "mine", "levels": [levels[0], *apart, levels[2]]}}
    with pytest.raises(SpecError, match="this mapping is uneven: a search begins from one in which all"):
        search(MACHINE, PROBLEM, start=nest, threads=1)
    architecture, problem = load_architecture(MACHINE), load_problem(PROBLEM)
    mapping = load_mapping(nest, architecture, problem)
    assert find_breach(mapping, Constraints(), architecture, problem) is not None
