"""Mask mode against a walk element by element."""

from __future__ import annotations

import math
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.model.lower import lower_problem
from procrustes_model.model.sparse import masks as masks_module
from procrustes_model.model.sparse.imbalance import measure_imbalance
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.model.sparse.masks import lower_masks, read_mask, tensor_shape
from procrustes_model.policies import POLICIES
from tests.amount import amount
from tests.naive import sparse as naive
from tests.strategies import SHAPES, Spec, architectures, mappings, problems


@st.composite
def masked_cases(draw: st.DrawFn) -> tuple[Spec, Spec, Spec, str, int, float]:
    """Draw a case, an operand of it, a seed and a density."""
    problem = draw(problems(100).filter(lambda spec: spec["problem"]["name"] != "diagonal"))
    mapping = draw(mappings(problem, draw(st.integers(1, 3))))
    for level in mapping["mapping"]["levels"]:
        level["keep"] = sorted(problem["problem"]["shape"]["tensors"])
    tensors = SHAPES[problem["problem"]["name"]]["tensors"]
    operand = draw(st.sampled_from(sorted(name for name, one in tensors.items() if not one.get("output"))))
    architecture = draw(architectures(mapping))
    for level in architecture["architecture"]["levels"]:
        level["words_per_access"] = 1  # a larger block is saved only where all of it can be
    density = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    return architecture, problem, mapping, operand, draw(st.integers(0, 999)), density


def design(tensor: str, output: str, innermost: str, policy: str) -> dict[str, Any]:
    """Return a design that skips the zeros of one tensor."""
    return {
        "sparsity": {
            "name": "test",
            "formats": {tensor: {"*": "bitmask"}},
            "actions": [{"level": innermost, "skip": output, "on": tensor}],
            "compute": {"skip": tensor},
            "balancing": {"policy": policy, "tensor": tensor},
        }
    }


@pytest.mark.quick
@settings(max_examples=amount(80, 8))
@given(masked_cases(), st.sampled_from(list(POLICIES)))
def test_work_and_counts_equal_the_walk(case: tuple[Spec, Spec, Spec, str, int, float], policy: str) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    tensor = next(one for one in problem.tensors if one.name == case[3])
    rng = np.random.default_rng(case[4])
    mask = rng.random(tensor_shape(problem, tensor.name)) < case[5]
    innermost = len(architecture.levels) - 1
    sparsity = load_sparsity(design(tensor.name, problem.output.name, f"L{innermost}", policy))
    result = evaluate(architecture, problem, mapping, sparsity=sparsity, masks={tensor.name: mask})
    met = naive.met_computations(problem, tensor, mask)
    assert result.computes.actual == pytest.approx(met, rel=1e-12)
    share = naive.slowest_share(problem, mapping, [(tensor, mask)], innermost, policy)
    steps = problem.computes // result.compute.instances_used
    assert result.compute.cycles == max(1, math.ceil(steps * share))
    assert result.imbalance is not None
    if met:
        assert result.imbalance.after == pytest.approx(float(share) * problem.computes / met, rel=1e-12)
        before = naive.slowest_share(problem, mapping, [(tensor, mask)], innermost, "none")
        assert result.imbalance.before == pytest.approx(float(before) * problem.computes / met, rel=1e-12)
    inner = result.sparse(f"L{innermost}", tensor.name)
    output = result.sparse(f"L{innermost}", problem.output.name)
    if result.compute.instances_used == result.levels[-1].instances_used:  # one unit each: element by element
        assert output.actual[2] == pytest.approx(output.dense[2] * met / problem.computes, rel=1e-9)
    assert inner.actual[0] == pytest.approx(inner.dense[0] * met / problem.computes, rel=1e-9)
    if not any(len(rank) > 1 for rank in tensor.ranks):
        for i, level in enumerate(result.levels[1:], start=1):
            moved = naive.moved_nonzeros(problem, mapping, tensor, mask, i)
            fills = result.sparse(level.name, tensor.name).actual[1]
            assert fills * level.instances_used == pytest.approx(moved, rel=1e-9)


@pytest.mark.quick
@settings(max_examples=amount(40, 4))
@given(masked_cases())
def test_single_work_adds_up_and_pairs_keep_the_sum(case: tuple[Spec, Spec, Spec, str, int, float]) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    rng = np.random.default_rng(case[4])
    masks = {case[3]: rng.random(tensor_shape(problem, case[3])) < case[5]}
    sparsity = load_sparsity(design(case[3], problem.output.name, "L0", "half_tile"))
    work = measure_imbalance(architecture, problem, mapping, sparsity, masks)
    result = evaluate(architecture, problem, mapping, sparsity=sparsity, masks=masks)
    assert result.imbalance is not None
    assert work.before.shape == (result.imbalance.rounds, result.imbalance.parts)
    np.testing.assert_allclose(work.before.mean(axis=1), 1.0)
    np.testing.assert_allclose(work.after.mean(axis=1), 1.0)
    assert (work.cycles_after <= work.cycles_before).all() or (work.after.max() <= work.before.max() * 2)
    assert work.ratios == pytest.approx((result.imbalance.before, result.imbalance.after), rel=1e-12)
    drawn = work.histogram(20)
    assert 2 <= len(drawn.edges) <= 21
    assert (np.diff(drawn.edges) > 0).all()
    assert drawn.before.sum() == drawn.after.sum() == work.before.size
    assert drawn.slowest_before.sum() == drawn.slowest_after.sum() == len(work.before)


@pytest.mark.quick
@settings(max_examples=amount(60, 8))
@given(masked_cases(), st.sampled_from([0.3, 0.5, 0.9, 0.99]))
def test_stored_quantiles_are_those_of_the_tiles(
    case: tuple[Spec, Spec, Spec, str, int, float], quantile: float
) -> None:
    architecture, problem = load_architecture(case[0]), load_problem(case[1])
    mapping = load_mapping(case[2], architecture, problem)
    tensor = next(one for one in problem.tensors if one.name == case[3])
    mask = np.random.default_rng(case[4]).random(tensor_shape(problem, tensor.name)) < case[5]
    stored = []
    for capacity in ({"size": "average"}, {"size": "quantile", "quantile": quantile}):
        content = design(tensor.name, problem.output.name, "L0", "none")
        content["sparsity"]["capacity"] = capacity | {"overflow": "spill"}
        result = evaluate(
            architecture, problem, mapping, sparsity=load_sparsity(content), masks={tensor.name: mask}
        )
        stored.append([result.sparse(level.name, tensor.name).stored_words for level in result.levels])
    for i in range(len(result.levels)):
        metadata = result.tensor(f"L{i}", tensor.name).tile_words / architecture.levels[i].word_bits
        least = naive.tile_quantile(problem, mapping, tensor, mask, i, quantile)
        assert stored[1][i] == pytest.approx(max(stored[0][i], least + metadata), rel=1e-9)


@pytest.mark.quick
def test_a_mask_that_does_not_fit_is_refused(forward: Any, tmp_path: Any) -> None:
    architecture, problem, mapping = forward
    sparsity = load_sparsity("procrustes")
    with pytest.raises(ValueError, match=r"shape \(2, 2\), the tensor \(256, 256, 3, 3\).*\[K, C, R, S\]"):
        evaluate(architecture, problem, mapping, sparsity=sparsity, masks={"Weights": np.ones((2, 2))})
    with pytest.raises(ValueError, match="cannot be read"):
        evaluate(architecture, problem, mapping, sparsity=sparsity, masks={"Weights": tmp_path / "no.npy"})
    np.savez(tmp_path / "two.npz", Inputs=np.ones(1))
    with pytest.raises(ValueError, match="no array is named 'Weights'; there is Inputs"):
        evaluate(architecture, problem, mapping, sparsity=sparsity, masks={"Weights": tmp_path / "two.npz"})


@pytest.mark.quick
def test_files_that_hold_no_mask_are_refused(forward: Any, tmp_path: Any) -> None:
    _, problem, _ = forward
    np.savez(tmp_path / "one.npz", Wieghts=np.ones((256, 256, 3, 3)))
    with pytest.raises(SpecError, match=r"no tensor 'Wieghts' in problem .*; did you mean 'Weights'\?"):
        read_mask(tmp_path / "one.npz", problem, "Weights")
    (tmp_path / "text.npy").write_text("0 1 1")
    with pytest.raises(SpecError, match=r"text.npy: not a .npy or .npz file"):
        read_mask(tmp_path / "text.npy", problem, "Weights")
    with pytest.raises(SpecError, match="is a directory"):
        read_mask(tmp_path, problem, "Weights")


@pytest.mark.quick
def test_pipes_and_files_of_other_kinds_are_refused(forward: Any, tmp_path: Any) -> None:
    _, problem, _ = forward
    (tmp_path / "zero.npy").symlink_to("/dev/zero")
    with pytest.raises(SpecError, match="a device or socket, not a file"):
        read_mask(tmp_path / "zero.npy", problem, "Weights")
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"")
    with pytest.raises(SpecError, match="a file of PyTorch; 'procrustes masks from-checkpoint' makes masks"):
        read_mask(tmp_path / "model.pt", problem, "Weights")
    np.savez(tmp_path / "short.npz", Weights=np.ones((256, 256, 3, 3)))
    content = (tmp_path / "short.npz").read_bytes()
    (tmp_path / "short.npz").write_bytes(content.replace(b"(256, 256, 3, 3)", b"(256, 999, 3, 3)"))
    with pytest.raises(SpecError, match=r"shape \[256, 999, 3, 3\] and type float64, and 4,718,592 bytes"):
        read_mask(tmp_path / "short.npz", problem, "Weights")


@pytest.mark.quick
def test_masks_that_are_too_large_are_refused(tmp_path: Any) -> None:
    """Before they are read: of the file there is only the header."""
    large = {"name": "large", "shape": "fully_connected", "dimensions": {"C": 15_000, "K": 15_000, "N": 1}}
    problem, machine = load_problem({"problem": large}), load_architecture("procrustes_16x16")
    (tmp_path / "none.npy").write_bytes(b"\x93NUMPY")
    for source in (tmp_path / "none.npy", np.broadcast_to(True, (15_000, 15_000))):
        with pytest.raises(
            SpecError, match=r"'Weights' \(225,000,000 elements\) would take 2.5 GB, more than 2"
        ):
            lower_sparsity(machine, problem, load_sparsity("procrustes"), masks={"Weights": source})


@pytest.mark.quick
def test_tables_take_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is that of the tables that are made: to the byte, of one mask and of two."""
    tensors = {"A": {"projection": ["2*M + K"]}, "B": {"projection": ["K", "M"]}}
    tensors["Z"] = {"projection": ["M"], "output": True}
    shape = {"dimensions": ["M", "K"], "tensors": tensors}
    problem = load_problem({"problem": {"name": "two", "shape": shape, "dimensions": {"M": 5, "K": 3}}})
    arrays = lower_problem(problem)
    every = {name: np.ones(tensor_shape(problem, name), bool) for name in ("A", "B")}
    for names in (["A"], ["B"], ["A", "B"]):
        chosen = {name: every[name] for name in names}
        sizes = {name: lower_masks(problem, arrays, {name: every[name]}).table.nbytes for name in names}
        tables = lower_masks(problem, arrays, chosen).table.nbytes
        assert tables == sum(sizes.values())
        needed = tables + (max(sizes.values()) if len(names) > 1 else 0)
        needed += 3 * sum(mask.size for mask in chosen.values())
        monkeypatch.setattr(masks_module, "MOST_BYTES", needed)
        lower_masks(problem, arrays, chosen)
        monkeypatch.setattr(masks_module, "MOST_BYTES", needed - 1)
        with pytest.raises(SpecError, match="say densities instead of masks"):
            lower_masks(problem, arrays, chosen)
        monkeypatch.undo()


@pytest.mark.quick
def test_numbers_are_kept_where_they_are_not_zero(forward: Any) -> None:
    _, problem, _ = forward
    weights = np.zeros((256, 256, 3, 3), np.float32)
    weights[0, 0, 0] = (-0.0, -1.5, 1e-30)
    assert np.flatnonzero(read_mask(weights, problem, "Weights")).tolist() == [1, 2]
    with pytest.raises(SpecError, match="is no array; rows must be of one length"):
        read_mask([[1, 2], [3]], problem, "Weights")
    with pytest.raises(SpecError, match="elements of type object"):
        read_mask(np.ones((256, 256, 3, 3), object), problem, "Weights")
    for wrong in (np.nan, -np.inf):
        weights[3, 3, 1, 1] = wrong
        with pytest.raises(SpecError, match="has 1 values that are not finite"):
            read_mask(weights, problem, "Weights")


@pytest.mark.quick
def test_a_density_and_a_mask_of_one_tensor_are_refused(forward: Any) -> None:
    architecture, problem, mapping = forward
    given = {"densities": {"Weights": 0.5, "Inputs": 0.5}, "masks": {"Weights": np.ones((256, 256, 3, 3))}}
    with pytest.raises(SpecError, match="'Weights' is given both a density and a mask") as caught:
        evaluate(architecture, problem, mapping, sparsity=load_sparsity("procrustes"), **given)
    assert len(caught.value.issues) == 1


def test_masks_from_files_equal_arrays(forward: Any, tmp_path: Any) -> None:
    architecture, problem, mapping = forward
    sparsity = load_sparsity("procrustes")
    mask = np.random.default_rng(1).random((256, 256, 3, 3)) < 0.1
    np.save(tmp_path / "w.npy", mask)
    np.savez(tmp_path / "w.npz", Weights=mask)
    results = [
        evaluate(architecture, problem, mapping, sparsity=sparsity, masks={"Weights": source})
        for source in (mask, tmp_path / "w.npy", str(tmp_path / "w.npz"))
    ]
    assert results[0] == results[1] == results[2]
