"""Phases made from a problem are those that ship."""

from __future__ import annotations

import pytest

from procrustes_model import load_problem
from procrustes_model.spec.problem import Phase
from procrustes_model.workloads.phases import in_phase

SHIPPED: dict[Phase, str] = {
    "forward": "vgg_s/conv3_2",
    "backward": "vgg_s/conv3_2_bw",
    "weight_update": "vgg_s/conv3_2_wu",
}


@pytest.mark.parametrize("phase", SHIPPED)
@pytest.mark.parametrize("start", SHIPPED)
def test_a_phase_is_the_shipped_problem_of_that_phase(start: Phase, phase: Phase) -> None:
    made, shipped = in_phase(load_problem(SHIPPED[start]), phase), load_problem(SHIPPED[phase])
    assert (made.shape, made.phase, made.dimensions) == (shipped.shape, shipped.phase, shipped.dimensions)

    def ranks(problem: object) -> dict[str, object]:
        tensors = problem.tensors  # type: ignore[attr-defined]
        return {t.name: ({frozenset(rank) for rank in t.ranks}, t.is_output) for t in tensors}

    assert ranks(made) == ranks(shipped)
