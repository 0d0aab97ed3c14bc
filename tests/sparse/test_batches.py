"""Batches against single evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from procrustes_model import Evaluator, evaluate, load_mapping, load_sparsity
from procrustes_model.model.lower import lower_mapping
from procrustes_model.vocabulary import Status

NESTS = [
    ("K=4 C=64", "K=2 C=2 P=7", "K=2 C=2 Q=7 S=3 R=3", "K=16", "N=16"),
    ("C=32 K=8", "P=7 C=4", "K=2 C=2 Q=7 S=3 R=3", "K=16", "N=16"),
    ("N=16 K=4", "C=16", "K=4 Q=7 P=7 R=3 S=3", "C=16", "K=16"),
    ("C=16 K=16 N=16", "K=4", "Q=7 P=7 R=3 S=3", "C=16", "K=4"),
]


def chosen(architecture: Any, problem: Any) -> list[Any]:
    """Return some mappings."""
    return [
        load_mapping(
            {
                "mapping": {
                    "levels": [
                        {"level": "DRAM", "temporal": far},
                        {
                            "level": "GlobalBuffer",
                            "temporal": near,
                            "spatial_x": x,
                            "spatial_y": y,
                            "bypass": ["Inputs"],
                        },
                        {"level": "RegFile", "temporal": inner},
                    ]
                }
            },
            architecture,
            problem,
        )
        for far, near, inner, x, y in NESTS
    ]


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("dense", False),
        *((name, masked) for name in ("procrustes", "procrustes_2020") for masked in (False, True)),
    ],
)
def test_a_batch_holds_what_single_evaluations_give(name: str, masked: bool, forward: Any) -> None:
    architecture, problem, _ = forward
    mappings = chosen(architecture, problem)
    design = load_sparsity(name)
    masks = {"Weights": np.random.default_rng(0).random((256, 256, 3, 3)) < 0.2} if masked else None
    nests = [lower_mapping(problem, mapping) for mapping in mappings]
    arrays = [np.concatenate([getattr(nest, key) for nest in nests] * 100) for key in nests[0]._fields]
    evaluator = Evaluator(architecture, problem, sparsity=design, masks=masks)
    for threads in (1, 3):
        result = evaluator.evaluate_batch(*arrays, threads=threads)
        for i, mapping in enumerate(mappings):
            single = evaluate(
                architecture, problem, mapping, sparsity=design, masks=masks, check_capacity=False
            )
            if result.valid[i]:
                assert result.energy_pj[i :: len(mappings)] == pytest.approx(single.energy_pj, rel=1e-12)
                assert (result.cycles[i :: len(mappings)] == single.cycles).all()
                if single.imbalance:
                    assert result.imbalance[i] == pytest.approx(single.imbalance.after, rel=1e-12)
            else:
                with pytest.raises(ValueError, match="capacity"):
                    evaluate(architecture, problem, mapping, sparsity=design, masks=masks)
        assert result.valid[:4].sum() >= 2


def test_wrong_arrays_are_refused_and_wrong_factors_marked(forward: Any) -> None:
    architecture, problem, mapping = forward
    masks = {"Weights": np.ones((256, 256, 3, 3), np.bool_)}
    evaluator = Evaluator(architecture, problem, sparsity="procrustes", masks=masks)
    nest = lower_mapping(problem, mapping)
    with pytest.raises(ValueError, match="factors must be positive"):
        evaluator.evaluate_batch(nest.temporal * 0, nest.order, nest.spatial, nest.keep)
    with pytest.raises(ValueError, match="shape"):
        evaluator.evaluate_batch(nest.temporal[:, :2], nest.order, nest.spatial, nest.keep)
    result = evaluator.evaluate_batch(nest.temporal * 7, nest.order, nest.spatial, nest.keep)
    assert result.status[0] != 0
    assert result.cycles[0] == -1
    assert np.isnan(result.energy_pj[0])


@pytest.mark.parametrize(
    "density",
    [
        {"model": "structured", "nonzeros": 1, "group": 2, "along": "C"},
        {"model": "power_law", "density": 0.1, "exponent": 1.0, "rows": "K"},
    ],
)
def test_wrong_factors_of_groups_are_a_status(density: Any, forward: Any) -> None:
    """Tiles that would reach beyond the tensor have no distribution of nonzeros."""
    architecture, problem, _ = forward
    design = {
        "name": "groups",
        "densities": {"Weights": density},
        "formats": {"Weights": {"*": "bitmask"}},
        "capacity": {"size": "quantile", "quantile": 0.99},
    }
    nests = [lower_mapping(problem, mapping) for mapping in chosen(architecture, problem)]
    arrays = [np.concatenate([getattr(nest, key) for nest in nests]) for key in nests[0]._fields]
    arrays[0][1:, 2] *= 2
    evaluator = Evaluator(architecture, problem, sparsity=load_sparsity({"sparsity": design}))
    status = evaluator.evaluate_batch(*arrays).status
    assert (status[1:] == Status.BAD_FACTORS.value).all() and status[0] != Status.BAD_FACTORS.value
