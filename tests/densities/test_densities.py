"""What holds for all density models: adding one adds its cases here."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import yaml

from procrustes_model import (
    SpecError,
    evaluate,
    load_architecture,
    load_mapping,
    load_problem,
    load_sparsity,
    measure_imbalance,
)
from procrustes_model.densities import DENSITIES, DensityRule
from procrustes_model.kernels.sparse.arrays import NESTED, ROWS, STRUCTURED
from procrustes_model.kernels.sparse.empty import box_empty, groups_empty
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.space import Space
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.spec.density import Density

ALL = pytest.mark.parametrize("rule", DENSITIES.values(), ids=list(DENSITIES))

SHAPE = (6, 8)
VALUES: dict[str, Any] = {"density": 0.25, "nonzeros": 1, "group": 4, "along": "K", "mask": "mask.npy"}
VALUES |= {"terms": ((1, 4),), "exponent": 1.0, "rows": "M", "band": 0, "diagonal": ["M", "K"]}
"""Of the keys that models take."""

UNFOLLOWED = (NESTED, ROWS)
"""Models whose imbalance is refused."""


def written(rule: DensityRule) -> dict[str, Any]:
    """Return a density as a file has it."""
    return {"model": rule.name, **{key: VALUES[key] for key in rule.keys}}


def share_of(rule: DensityRule) -> float:
    """Return nonzeros / elements of a tensor of `SHAPE`."""
    if rule.place is not None:
        return float(rule.place(SHAPE, (0, 1), VALUES).mean())
    return 0.25 if rule.keys else 1.0


def empty(rule: DensityRule, words: int, along: int) -> float:
    """Return how likely a box of a tensor of `SHAPE` is empty."""
    size = SHAPE[0] * SHAPE[1]
    if rule.code == STRUCTURED:
        return groups_empty(VALUES["nonzeros"], VALUES["group"], SHAPE[1], along, words // along)
    average = rule.average(VALUES)
    share = VALUES["density"] if average is None else average
    return box_empty(int(rule.code), size, round(share * size), share, words)


def small_case(rule: DensityRule, folder: Any) -> tuple[Any, Any, Any, Any]:
    """Return a matmul on a 2 x 2 array and a design that skips what zeros of A save."""
    np.save(folder / "mask.npy", np.arange(48).reshape(SHAPE) % 4 == 0)
    level = {"class": "sram", "word_bits": 16, "energy_pj": {"read": 1, "write": 2}, "source": "test"}
    levels: list[dict[str, Any]] = [{"name": f"L{i}"} | level for i in range(2)]
    levels[1] |= {"mesh_x": 2, "mesh_y": 2}
    compute = {"energy_pj": 3, "source": "test"}
    machine = load_architecture({"architecture": {"name": "small", "levels": levels, "compute": compute}})
    bounds = {"M": SHAPE[0], "K": SHAPE[1], "N": 4}
    problem = load_problem({"problem": {"name": "m", "shape": "matmul", "dimensions": bounds}})
    nest = [
        {"level": "L0", "temporal": "N=4 K=4", "spatial_x": "M=2", "spatial_y": "K=2"},
        {"level": "L1", "temporal": "M=3"},
    ]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    content = {
        "name": "d",
        "densities": {"A": written(rule)},
        "formats": {"A": {"*": "bitmask"}},
        "actions": [{"level": "L0", "skip": "B", "on": "A"}],
        "compute": {"skip": "A"},
        "balancing": {"policy": "none", "tensor": "A"},
        "capacity": {"size": "quantile", "overflow": "spill"},
    }
    if rule.code in UNFOLLOWED:
        del content["balancing"]
    (folder / "d.yaml").write_text(yaml.safe_dump({"sparsity": content}))
    return machine, problem, mapping, load_sparsity(folder / "d.yaml")


@ALL
def test_empty_boxes_are_probabilities_that_fall_with_the_size(rule: DensityRule) -> None:
    for others in (1, 2, 6):
        found = {along: empty(rule, along * others, along) for along in range(1, SHAPE[1] + 1)}
        assert all(0 <= share <= 1 for share in found.values())
        for one, other in itertools.combinations(found, 2):
            # Boxes side by side are united by those of a multiple; others cut groups elsewhere.
            if rule.code != STRUCTURED or other % one == 0 == SHAPE[1] % other:
                assert found[one] >= found[other]
    assert empty(rule, 48, 8) == 0


@ALL
def test_empty_boxes_are_as_many_as_on_random_masks(rule: DensityRule) -> None:
    if rule.draw is None:
        return
    rng = np.random.default_rng(4)
    nonzeros, group = round(48 * VALUES["density"]), (VALUES["nonzeros"], VALUES["group"])
    masks = np.array([rule.draw(SHAPE, nonzeros, group, 1, rng) for _ in range(4000)])
    assert masks.mean() == pytest.approx(0.25, abs=0.01)
    for rows, along in ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 3), (1, 4), (6, 1)):
        starts = range(0, SHAPE[1], along if rule.code == STRUCTURED else SHAPE[1])
        boxes = [(~masks[:, :rows, start : start + along]).all(axis=(1, 2)) for start in starts]
        counted = np.mean(boxes)
        assert empty(rule, rows * along, along) == pytest.approx(counted, abs=0.03), (rows, along)


@ALL
def test_a_model_takes_its_keys_and_no_others(rule: DensityRule) -> None:
    taken = Density(**written(rule))
    assert taken.average == rule.average(VALUES)
    for key, value in VALUES.items():
        word = "needs" if key in rule.keys else "takes no"
        changed = {name: one for name, one in (written(rule) | {key: value}).items() if name != key}
        if key not in rule.keys:
            changed[key] = value
        with pytest.raises(SpecError, match=f"of model '{rule.name}' {word} '{key}'"):
            load_sparsity({"sparsity": {"name": "d", "densities": {"A": changed}}})


@ALL
def test_names_come_back_and_bounds_hold(rule: DensityRule, tmp_path: Any) -> None:
    machine, problem, mapping, sparsity = small_case(rule, tmp_path)
    assert sparsity.forward.densities["A"].model == rule.name
    result = evaluate(machine, problem, mapping, sparsity=sparsity)
    design = lower_sparsity(machine, problem, sparsity)
    space = Space(machine, problem, load_constraints(None, machine, problem), design)
    assert space.cost is not None
    tensor = [one.name for one in problem.tensors].index("A")
    assert design.density_rules[tensor] is rule
    counts = result.sparse("L0", "A")
    assert space.cost.relaxation.density(tensor) * counts.dense[0] <= counts.actual[0] * (1 + 1e-9)
    assert space.cost.relaxation.density(tensor) == pytest.approx(share_of(rule))
    if rule.code in UNFOLLOWED:
        assert result.imbalance is None
        return
    work = measure_imbalance(machine, problem, mapping, sparsity, samples=2)
    assert (work.of.basis == "even") == (not rule.varies)
    assert result.imbalance is not None
    assert (result.imbalance.before > 1) == rule.varies


def test_an_unknown_model_is_refused_with_the_nearest() -> None:
    content = {"name": "d", "densities": {"A": {"model": "fix", "density": 0.5}}}
    with pytest.raises(SpecError, match=r"must be one of dense, .*, is 'fix'; did you mean 'fixed'"):
        load_sparsity({"sparsity": content})
