"""What a search says of other mappings: of which ones, in the same words everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from procrustes_model import SearchResult, load_architecture, load_mapping, load_problem, search
from procrustes_model.report.tables.network import LAYER_COLUMNS, TOTAL_COLUMNS
from procrustes_model.report.terminal.search import format_certificate
from procrustes_model.vocabulary import Searched
from tests.mapper.test_methods import MACHINE, MATMUL

PRIME = {"problem": MATMUL["problem"] | {"dimensions": {"M": 3, "K": 2, "N": 1}}}


def _search(**options: Any) -> SearchResult:
    return search(MACHINE, PRIME, None, "cycles", threads=1, **options)


@pytest.mark.parametrize("imperfect", [False, True])
def test_proof_says_of_which_mappings(imperfect: bool) -> None:
    found = _search(imperfect=imperfect, method="exhaustive")
    words = Searched.SHORTER if imperfect else Searched.WHOLE
    claim = f"no mapping with {words} has fewer cycles"
    assert found.certificate.proven
    assert f"Proven {claim}" in " ".join(format_certificate(found).split())
    assert found.to_yaml().startswith(f"# Proven: {claim}.\n")
    assert found.to_dict()["certificate"]["searched"] == words
    machine, problem = load_architecture(MACHINE), load_problem(PRIME)
    assert found.mapping.name == "cycles_optimal"
    assert load_mapping({"mapping": found.mapping.to_dict()["mapping"]}, machine, problem) == found.mapping


def test_what_is_not_proven_is_not_called_optimal() -> None:
    found = _search(method="random", mappings=64)
    assert not found.certificate.proven
    assert found.mapping.name == "cycles_best_found"
    assert "Not proven   this search knows no lower bound" in format_certificate(found)
    assert "optimal" not in found.to_yaml()
    gap = replace(found, certificate=replace(found.certificate, lower_bound=found.certificate.value / 2))
    assert f"# Not proven: a mapping with {Searched.WHOLE} may have up to 50.0% less.\n" in gap.to_yaml()
    crowded = replace(gap, certificate=replace(gap.certificate, crowded=True))
    assert "Left out     what there was no memory for" in format_certificate(crowded)
    uncounted = replace(gap, certificate=replace(gap.certificate, mapspace=None))
    assert "Mapspace" not in format_certificate(uncounted)


def test_tables_say_so_too() -> None:
    assert Searched.WHOLE in LAYER_COLUMNS["proven"]
    assert Searched.WHOLE in TOTAL_COLUMNS["proven"]
