"""Formats whose ranks are loops: random nests against a twin that takes loops off a list, and by hand."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate, load_architecture, load_mapping, load_problem, load_sparsity, search
from procrustes_model.errors import SpecError
from procrustes_model.kernels.dense.arrays import BAD_RANKS, OK
from procrustes_model.model.lower import lower_mapping
from procrustes_model.model.sparse.buffers import Memo, make_buffers
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.model.sparse.steps import evaluate_block
from tests.amount import first_quick
from tests.naive.loop_ranks import (
    Loop,
    Ranked,
    accesses_of,
    bind,
    expected,
    fields_of,
    shares_of,
    words_of,
)

DIMENSIONS = {"P": 4, "R": 2, "C": 4, "M": 2}
OWN = ("P", "R", "C")
"""Dimensions of tensor A, the first two of which slide along one rank."""
LEVELS = ("Far", "Mid", "Near")
KINDS = ("U", "B", "UB", "CP", "RLE", "UOP")


def machine_of(meshes: tuple[int, int]) -> Any:
    """Return a machine of three levels, of which x and y instances lie below the middle one."""
    price = {"energy_pj": {"read": 1, "write": 1}, "word_bits": 8, "words_per_access": 4}
    mesh = {"mesh_x": meshes[0], "mesh_y": meshes[1]}
    levels = [{"name": "Far", **price}, {"name": "Mid", **price}, {"name": "Near", **mesh, **price}]
    content = {"name": "m", "levels": levels, "compute": {"energy_pj": 1}}
    return load_architecture({"architecture": content})


def problem_of() -> Any:
    tensors = {
        "A": {"projection": ["P + R", "C"]},
        "B": {"projection": ["M", "R"]},
        "Z": {"projection": ["M", "P"], "output": True},
    }
    shape = {"name": "s", "dimensions": list(DIMENSIONS), "tensors": tensors}
    return load_problem({"problem": {"name": "p", "shape": shape, "dimensions": DIMENSIONS}})


def draw_case(rng: np.random.Generator) -> tuple[Any, list[list[Loop]], list[bool], tuple[int, int]]:
    """Return a nest, the loops of A by level, innermost first, where it is kept, and the mesh."""
    places = ["Far", "Mid", "Near", "x", "y"]
    factors = {place: dict.fromkeys(DIMENSIONS, 1) for place in places}
    mesh = (int(rng.choice([1, 2, 4])), int(rng.choice([1, 2])))
    for dimension, bound in DIMENSIONS.items():
        for _ in range(bound.bit_length() - 1):
            place = places[rng.integers(5)]
            free = {"x": mesh[0], "y": mesh[1]}.get(place, 1 << 20)
            if math.prod(factors[place].values()) * 2 > free:
                place = places[rng.integers(3)]
            factors[place][dimension] *= 2
    keeps = [True, bool(rng.random() < 0.7), bool(rng.random() < 0.7)]
    nest, loops = [], []
    for number, level in enumerate(LEVELS):
        order = [str(one) for one in rng.permutation(list(DIMENSIONS))]
        looped = [one for one in order if factors[level][one] > 1]
        row: dict[str, Any] = {
            "level": level,
            "temporal": " ".join(f"{d}={factors[level][d]}" for d in looped),
        }
        row["keep"] = [name for name in ("A", "B", "Z") if name != "A" or keeps[number]]
        own: list[Loop] = []
        if level == "Mid":
            for axis in ("x", "y"):
                row[f"spatial_{axis}"] = " ".join(f"{d}={f}" for d, f in factors[axis].items() if f > 1)
            if mesh != (1, 1):
                own += [Loop(d, 1) for d in OWN if factors["x"][d] * factors["y"][d] == 1]
                own += [Loop(d, factors[axis][d]) for axis in "xy" for d in OWN if factors[axis][d] > 1]
        rest = [d for d in DIMENSIONS if d not in looped]
        own += [Loop(d, factors[level][d]) for d in reversed([*looped, *rest]) if d in OWN]
        nest.append({key: value for key, value in row.items() if value})
        loops.append(own)
    return nest, loops, keeps, mesh


def draw_format(rng: np.random.Generator) -> dict[str, Any]:
    ranks = []
    for _ in range(rng.integers(1, 6)):
        rank: dict[str, Any] = {"kind": str(rng.choice(KINDS))}
        if rng.random() < 0.3:
            rank["of"] = [str(one) for one in rng.permutation(OWN)[: rng.integers(1, 4)]]
        ranks.append(rank)
    return {"ranks": ranks, "begin": str(rng.choice(["innermost", "outermost"]))}


def ranked(form: dict[str, Any] | None) -> Ranked:
    """Return a format as the twin has it; a tile without one has one rank that takes all loops."""
    if form is None:
        return Ranked(["U"], groups=[list(OWN)])
    inner_first = form["ranks"][::-1]
    groups = [rank.get("of", []) for rank in inner_first]
    return Ranked([rank["kind"] for rank in inner_first], form["begin"] == "innermost", groups)


@pytest.mark.parametrize("seed", first_quick(range(60), 6))
def test_random_nests(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = 0
    for _ in range(12):
        nest, loops, keeps, mesh = draw_case(rng)
        forms = {level: draw_format(rng) for level in LEVELS if rng.random() < 0.8}
        density = Fraction(int(rng.integers(1, 8)), 8)
        model = str(rng.choice(["fixed", "hypergeometric"]))
        seen += compare(nest, loops, keeps, mesh, forms, model, density)
    assert seen


def compare(
    nest: Any, loops: list[list[Loop]], keeps: list[bool], mesh: tuple[int, int], forms: dict[str, Any],
    model: str, density: Fraction,
) -> int:  # fmt: skip
    """Compare one case with the twin; return how many tiles of a valid mapping were looked at."""
    if not any(forms):
        return 0
    machine, problem = machine_of(mesh), problem_of()
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    content = {
        "name": "d",
        "densities": {"A": {"model": model, "density": float(density)}},
        "formats": {"A": forms},
        "rules": {"format_ranks": "loops", "rounding": "whole_words", "empty_tiles": "unused"},
    }
    if forms:
        content["rules"]["last_accesses"] = "by_tile"
    design = lower_sparsity(machine, problem, load_sparsity({"sparsity": content}))
    nests, buffers = lower_mapping(problem, mapping), make_buffers(design, 1)
    evaluate_block(design, nests, buffers, Memo(), check=False)
    tensor = problem.tensors[0]
    size = words_of(tensor, DIMENSIONS)
    total = math.ceil(density * size)
    kept = [number for number in reversed(range(3)) if keeps[number]]
    tiles: dict[int, Ranked] = {}
    below: dict[str, int] = {}
    fits = True
    for place, number in enumerate(kept):
        child = kept[place - 1] if place else None
        tile = tiles[number] = ranked(forms.get(LEVELS[number]))
        compressed = any(kind in ("B", "CP", "RLE") for kind in tile.kinds)
        cut = child is not None and compressed and words_of(tensor, below) > 1
        inner = (child if child is not None else 3) - 1
        own = [loop for level in range(inner, number - 1, -1) for loop in loops[level]]
        if cut and child is not None and len(tiles[child].kinds) > len(tile.kinds):
            fits = False
            break
        fits = bind(problem, tensor, tile, own, below, tiles[child] if cut and child is not None else None)
        if not fits:
            break
        for loop in own:
            below[loop.dimension] = below.get(loop.dimension, 1) * loop.bound
        tile.words = words_of(tensor, below)  # type: ignore[attr-defined]
    assert (buffers.status[0] == OK) == fits
    if not fits:
        assert buffers.status[0] == BAD_RANKS
        return 0
    for place, number in enumerate(kept):
        parent = kept[place + 1] if place + 1 < len(kept) else None
        outer = tiles[parent].kinds if parent is not None and LEVELS[parent] in forms else ["U"]
        tile, words = tiles[number], tiles[number].words  # type: ignore[attr-defined]
        shares = expected(tile, model, size, total, density, words, sent=False)
        least = min(k for k in _possible(model, size, total, density, words))
        sent = outer != ["U"] and least == 0
        mean, found, used = expected(tile, model, size, total, density, words, sent=sent) if sent else shares
        listed = buffers.listed
        assert listed.used[0, number, 0] == pytest.approx(float(used), rel=1e-12)
        assert listed.density[0, number, 0] == pytest.approx(float(mean / words), rel=1e-12)
        packed = Fraction(1)
        if any(kind in ("B", "CP", "RLE") for kind in tile.kinds):
            packed = accesses_of(shares_of(model, size, total, density, words), mean, words, 4)
        assert buffers.use.rows[0, number, 0] == pytest.approx(float(packed), rel=1e-12)
        if LEVELS[number] not in forms or tile.kinds == ["U"]:
            continue
        near = [[float(one) for one in fields] for fields in found]
        assert listed.fields[0, number, 0, : len(near)].tolist() == [
            pytest.approx(one, rel=1e-11) for one in near
        ]
        most = max(_possible(model, size, total, density, words))
        widths = [_width(kind, tile.fibers[r], words) for r, kind in enumerate(tile.kinds)]
        bits = sum(
            one * width
            for fields, both in zip(fields_of(tile, model, words, most), widths, strict=True)
            for one, width in zip(fields, both, strict=True)
        )
        assert listed.most_bits[0, number, 0] == pytest.approx(math.floor(bits), rel=1e-12)
        assert listed.most_data[0, number, 0] == most
    return len(kept)


def _width(kind: str, fiber: int, words: int) -> tuple[int, int]:
    """Return the bits of a field of metadata and of one of payload where none are stated."""
    metadata = {"CP": (fiber - 1).bit_length(), "RLE": 5}.get(kind, 1)
    return metadata, words.bit_length() if kind == "UOP" else 0


def _possible(model: str, size: int, total: int, density: Fraction, words: int) -> list[int]:
    """Return the numbers of nonzeros that a tile may have."""
    if model == "fixed":
        return [math.floor(words * density), math.ceil(words * density)]
    return [max(0, words - size + total), min(words, total)]


def matrices(ranks: list[dict[str, Any]], **more: Any) -> Any:
    """Return a product of matrices of 8 x 8 whose operand A, at density 1/4, is in such a format far out."""
    price = {"energy_pj": {"read": 1, "write": 1}, "word_bits": 16}
    machine = load_architecture(
        {
            "architecture": {
                "name": "m",
                "levels": [{"name": "Far", **price}, {"name": "Near", **price}],
                "compute": {"energy_pj": 1},
            }
        }
    )
    tensors = {
        "A": {"projection": ["M", "K"]},
        "B": {"projection": ["N", "K"]},
        "Z": {"projection": ["M", "N"], "output": True},
    }
    bounds = {"M": 8, "N": 8, "K": 8}
    shape = {"name": "s", "dimensions": list(bounds), "tensors": tensors}
    problem = load_problem({"problem": {"name": "p", "shape": shape, "dimensions": bounds}})
    nest = [
        {"level": "Far", "temporal": "M=8 N=8", "keep": ["A", "B", "Z"]},
        {"level": "Near", "temporal": "K=8", "keep": ["B", "Z"]},
    ]
    content = {
        "name": "d",
        "densities": {"A": {"model": "fixed", "density": 0.25}},
        "formats": {"A": {"Far": {"ranks": ranks, "begin": "innermost"}}},
        "rules": {"format_ranks": "loops", "rounding": "whole_words", "empty_tiles": "unused", **more},
    }
    return machine, problem, load_mapping({"mapping": {"levels": nest}}, machine, problem), content


def test_a_product_by_hand() -> None:
    """Rows of 8 of which 2 are left: 9 offsets of 5 bits, and 16 indices of 3 bits, read 8 times."""
    ranks = [{"kind": "UOP", "payload_bits": 5}, {"kind": "CP", "metadata_bits": 3}]
    machine, problem, mapping, content = matrices(ranks)
    found = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content})).sparse(
        "Far", "A"
    )
    assert found.actual[0] == 8 * 16
    assert found.metadata[0] == math.ceil(8 * (9 * 5 + 16 * 3) / 16)
    assert found.stored_words == 16 + (9 * 5 + 16 * 3) / 16


@pytest.mark.parametrize("kind", ["skip", "gate"])
def test_accesses_that_are_saved_save_their_metadata(kind: str) -> None:
    """Of 72 offsets and 128 indices, three quarters, as many as elements of B are zero."""
    ranks = [{"kind": "UOP", "payload_bits": 5}, {"kind": "CP", "metadata_bits": 3}]
    machine, problem, mapping, content = matrices(ranks)
    content["densities"]["B"] = {"model": "fixed", "density": 0.25}
    content["actions"] = [{"level": "Far", kind: "A", "on": ["B"]}]
    found = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content})).sparse(
        "Far", "A"
    )
    saved = found.skipped_metadata if kind == "skip" else found.gated_metadata
    assert found.actual[0] == 128 - 96
    gated = saved[0] if kind == "gate" else 0
    assert found.metadata[0] - gated == math.ceil((18 * 5 + 32 * 3) / 16)
    assert saved[0] == math.ceil((54 * 5 + 96 * 3) / 16)


def test_tiles_that_are_empty_are_not_sent() -> None:
    """One of four elements of A goes to the inner level; there it is one of one, in a quarter of the runs."""
    ranks = [{"kind": "UOP", "payload_bits": 5}, {"kind": "CP", "metadata_bits": 3}]
    machine, problem, _, content = matrices(ranks)
    nest = [{"level": "Far", "temporal": "M=8 N=8 K=8"}, {"level": "Near"}]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    content["formats"]["A"]["Near"] = {"ranks": [{"kind": "CP", "metadata_bits": 3}]}
    result = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content}))
    counts, found = result.tensor("Near", "A"), result.sparse("Near", "A")
    assert (found.used_instances, found.actual[0], found.metadata[0]) == (0.25, 512, 512 * 3 / 16)
    assert counts.read_energy_pj == pytest.approx(0.25 * 512)
    assert sum(found.metadata_energy_pj[:1]) == pytest.approx(0.25 * 512 * 3 / 16)


def test_loops_without_a_rank_are_errors() -> None:
    machine, problem, mapping, content = matrices([{"kind": "CP"}])
    with pytest.raises(SpecError, match="no rank left for a loop"):
        evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content}))


def test_searches_prove_what_they_find() -> None:
    """Orders of loops decide which rank takes one: all of them are measured."""
    machine, problem, _, content = matrices([{"kind": "UOP"}, {"kind": "CP"}])
    problem = load_problem(
        {"problem": {"name": "p", "shape": "matmul", "dimensions": {"M": 4, "K": 2, "N": 2}}}
    )
    design = load_sparsity({"sparsity": content})
    best = search(machine, problem, sparsity=design, method="exhaustive")
    found = search(machine, problem, sparsity=design)
    assert best.certificate.proven and found.certificate.proven
    assert best.certificate.value == found.certificate.value
    again = evaluate(machine, problem, best.mapping, sparsity=design)
    assert again.energy_pj == best.result.energy_pj


def test_masks_are_refused() -> None:
    machine, problem, mapping, content = matrices([{"kind": "UOP"}, {"kind": "CP"}])
    content["densities"] = {}
    design = load_sparsity({"sparsity": content})
    with pytest.raises(SpecError, match="'A' has a mask"):
        evaluate(machine, problem, mapping, sparsity=design, masks={"A": np.eye(8, dtype=bool)})


@pytest.mark.parametrize(("words", "accesses"), [("filled", 32), ("by_tile", 64)])
def test_the_last_access_of_a_tile_is_not_full(words: str, accesses: int) -> None:
    """Two of eight nonzeros of a row go to the inner level, 64 times; four words go at once."""
    ranks = [{"kind": "UOP", "payload_bits": 5}, {"kind": "CP", "metadata_bits": 3}]
    machine, problem, _, content = matrices(ranks, last_accesses=words)
    machine = machine.model_copy(
        update={"levels": [one.model_copy(update={"words_per_access": 4}) for one in machine.levels]}
    )
    nest = [{"level": "Far", "temporal": "M=8 N=8"}, {"level": "Near", "temporal": "K=8"}]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    content["formats"]["A"]["Near"] = {"ranks": [{"kind": "CP", "metadata_bits": 3}]}
    result = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content}))
    counts = result.tensor("Near", "A")
    assert (counts.reads, counts.read_energy_pj) == (2 * 64, accesses)


def test_what_is_handed_out_by_position_has_metadata_of_tiles_that_are_sent() -> None:
    """One of four elements of A goes to the inner level; all instances count, with a quarter of the words."""
    ranks = [{"kind": "UOP", "payload_bits": 5}, {"kind": "CP", "metadata_bits": 3}]
    machine, problem, _, content = matrices(ranks)
    nest = [{"level": "Far", "temporal": "M=8 N=8 K=8"}, {"level": "Near"}]
    mapping = load_mapping({"mapping": {"levels": nest}}, machine, problem)
    content["formats"]["A"]["Near"] = {"ranks": [{"kind": "CP", "metadata_bits": 3}]}
    content["actions"] = [{"level": "Near", "skip_positions": "A"}]
    found = evaluate(machine, problem, mapping, sparsity=load_sparsity({"sparsity": content})).sparse(
        "Near", "A"
    )
    assert (found.used_instances, found.actual[0], found.metadata[0]) == (1, 128, 512 * 3 / 16)
