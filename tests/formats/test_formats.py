"""What holds for all storage formats at once: names, keys, prices, bounds, and twins that really store."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import procrustes_model.formats
from procrustes_model import SpecError, evaluate, load_architecture, load_mapping, load_problem, load_sparsity
from procrustes_model.formats import FORMATS, describe_formats
from procrustes_model.formats.rank import (
    ALL,
    FIRST,
    REST,
    StorageFormat,
    bits,
    coordinates,
    offset_pairs,
    runs,
    uncompressed,
)
from procrustes_model.kernels.sparse.formats import block_bits, least_bits, tile_bits
from procrustes_model.model.sparse.formats import lower_terms
from procrustes_model.spec.schema import keys_of
from procrustes_model.spec.sparsity import Format
from tests.conftest import ROOT
from tests.naive.formats import TWINS

VALUES: dict[str, Any] = {"pointer_bits": 9, "block": 4, "run_bits": 3, "partial_blocks": "dropped"}
"""A value of every key, other than its default."""
ON_AVERAGE = {"run_length", "delta"}
"""Formats whose bits depend on where the nonzeros are: the price is that of the mean over patterns."""
SHAPES = [(8,), (4, 6), (3, 4, 2), (2, 3, 2, 4), (1, 1), (16, 1, 1)]

each_format = pytest.mark.parametrize("name", FORMATS)


def stated(name: str, **other: Any) -> dict[str, Any]:
    """Return the keys that a format takes, all of them stated."""
    return {key: {**VALUES, **other}[key] for key in FORMATS[name].keys}


def price(name: str, shape: tuple[int, ...], density: float, **other: Any) -> float:
    """Return the bits of metadata that the model gives a tile."""
    keys = stated(name, **other)
    terms = lower_terms([[Format(kind=name, **keys)]], [len(shape)])
    spans = np.concatenate([[1], np.cumprod(shape)])
    return float(tile_bits(terms, 0, 0, spans, int(spans[-1]), density, int(keys.get("block", 1))))


def draw(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> Any:
    """Return a tile of values above 0 with zeros at random."""
    return rng.integers(1, 100, shape) * (rng.random(shape) < density)


def test_every_file_is_a_format_with_a_twin() -> None:
    files = {module.name for module in pkgutil.iter_modules(procrustes_model.formats.__path__)}
    assert files - {"rank"} == FORMATS.keys() == TWINS.keys()
    assert set(VALUES) | {"kind"} == set(keys_of(Format))
    assert {key for one in FORMATS.values() for key in one.keys} == set(VALUES)


@each_format
def test_tiles_read_back_equal(name: str) -> None:
    rng = np.random.default_rng(1)
    write, read = TWINS[name]
    for shape in SHAPES:
        for density in (0.0, 0.1, 0.5, 1.0):
            tile = draw(rng, shape, density)
            assert (read(write(tile, stated(name)), shape, stated(name)) == tile).all()


@each_format
def test_full_tiles_have_the_bits_of_the_model(name: str) -> None:
    for shape in SHAPES:
        found = TWINS[name][0](np.ones(shape, np.int64), stated(name, block=1)).bits
        assert price(name, shape, 1.0, block=1) == found


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ON_AVERAGE])
def test_any_tile_has_the_bits_of_the_model(name: str) -> None:
    """Exact where blocks fill the tile; a partial one has a whole pointer, and in the model its share."""
    rng = np.random.default_rng(2)
    for shape in SHAPES:
        for block in (1, 2, 5):
            tile = draw(rng, shape, rng.random())
            found = TWINS[name][0](tile, stated(name, block=block)).bits
            model = price(name, shape, float((tile != 0).mean()), block=block)
            if tile.size % block == 0:
                assert model == pytest.approx(found, rel=1e-14)
            else:
                assert found - VALUES["pointer_bits"] < model <= found * (1 + 1e-14)


@each_format
@pytest.mark.parametrize("density", [0.02, 0.2, 0.6])
def test_mean_of_random_tiles(name: str, density: float) -> None:
    """Within five standard errors; runs are priced above, by less than one per fiber, whose end cuts it."""
    rng = np.random.default_rng(3)
    shape = (8, 32)
    found = np.array([TWINS[name][0](draw(rng, shape, density), stated(name)).bits for _ in range(300)])
    error = 5 * found.std() / np.sqrt(len(found))
    fibers = int(np.prod(shape[: FORMATS[name].ranks[-1].cover[0]])) if name in ON_AVERAGE else 0
    above = price(name, shape, density) - found.mean()
    assert -error - 1e-9 <= above <= fibers * VALUES["run_bits"] + error + 1e-9


def test_runs_without_nonzeros_are_full() -> None:
    assert price("run_length", (64,), 0.0) == 3 * 8
    for density in (1e-300, 1e-18, 1e-9):
        assert price("run_length", (64,), density) == pytest.approx(3 * 8, rel=1e-6)


@each_format
def test_bound_is_not_above_price(name: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(300):
        shape = tuple(int(side) for side in rng.choice([1, 2, 3, 7, 16], size=rng.integers(1, 5)))
        least = rng.choice([0.0, 1e-6, 0.1, 0.5, 1.0])
        density = least + (1 - least) * rng.choice([0.0, rng.random(), 1.0])
        block = int(rng.choice([1, 2, 5, 64]))
        largest = block * int(rng.choice([1, 2, 10]))
        terms = lower_terms([[Format(kind=name, **stated(name))]], [len(shape)])
        bound = least_bits(terms, 0, 0, least, largest)
        assert 0 <= bound * np.prod(shape) <= price(name, shape, density, block=block) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("bitmask", 1.0),
        ("csb", 1 + 9 / 4),
        ("run_length", 3 * 0.5 / (1 - 0.5**8)),
        ("csr", 0.0),
        ("delta", 3 * 0.5 / (1 - 0.5**8)),
    ],
)
def test_bounds_by_hand(name: str, bits: float) -> None:
    terms = lower_terms([[Format(kind=name, **stated(name))]], [2])
    assert least_bits(terms, 0, 0, 0.5, 4) == pytest.approx(bits, rel=1e-15)


@each_format
def test_bits_of_a_full_block(name: str) -> None:
    """Blocks can be dropped where their bits are those of a tile that is one block, whatever is in it."""
    one = FORMATS[name]
    assert one.in_blocks == ("partial_blocks" in one.keys)
    if one.in_blocks:
        terms = lower_terms([[Format(kind=name, **stated(name))]], [1])
        for density in (0.0, 0.3, 1.0):
            assert block_bits(terms, 0, 0, 4) == price(name, (4,), density)


def small() -> tuple[Any, Any, Any]:
    """Return a matmul of 8 x 8 on a level of memory and one of registers that hold all."""
    levels = [
        {"name": name, "class": "sram", "word_bits": 16, "energy_pj": {"read": 1, "write": 1}, "source": "t"}
        for name in ("Far", "Near")
    ]
    compute = {"energy_pj": 1, "source": "t"}
    machine = load_architecture({"architecture": {"name": "two", "levels": levels, "compute": compute}})
    sizes = {"M": 8, "K": 8, "N": 2}
    problem = load_problem({"problem": {"name": "m", "shape": "matmul", "dimensions": sizes}})
    nest = {"mapping": {"levels": [{"level": "Far"}, {"level": "Near", "temporal": "M=8 K=8 N=2"}]}}
    return machine, problem, load_mapping(nest, machine, problem)


def design_of(form: Any) -> dict[str, Any]:
    return {"sparsity": {"name": "t", "densities": {"A": 0.25}, "formats": {"A": {"Near": form}}}}


@each_format
def test_names_read_back_equal(name: str, tmp_path: Path) -> None:
    file = tmp_path / "design.yaml"
    for form in (name, {"kind": name, **stated(name)}):
        file.write_text(yaml.safe_dump(design_of(form)))
        design = load_sparsity(file)
        dumped = design.model_dump(mode="json")
        near = dumped["forward"]["formats"]["A"]["Near"]
        assert near["kind"] == name and set(near) == {"kind", *FORMATS[name].keys}
        assert type(design).model_validate(json.loads(json.dumps(dumped))) == design
        result = evaluate(*small(), sparsity=design)
        names = {"Near": name, "Far": "none"}
        assert {level: result.sparse(level, "A").format for level in names} == names
        written = json.loads(json.dumps(result.to_dict()))
        tensors = [one for level in written["levels"] for one in level["tensors"] if one["tensor"] == "A"]
        assert [one["sparse"]["format"] for one in tensors] == ["none", name]


@each_format
@pytest.mark.parametrize("key", VALUES)
def test_keys_of_other_formats_are_refused_with_their_place(name: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "design.yaml"
    file.write_text(yaml.safe_dump(design_of({"kind": name, key: VALUES[key]}), sort_keys=False))
    if key in FORMATS[name].keys:
        load_sparsity(file)
        return
    with pytest.raises(
        SpecError, match=rf"yaml:\d+:\d+: of kind '{name}' takes no '{key}', a key of "
    ) as caught:
        load_sparsity(file)
    assert len(caught.value.issues) == 1


@pytest.mark.parametrize(
    ("kind", "near"),
    [("bitmsk", r"; did you mean 'bitmask'\?"), ("zzz", "")],
)
def test_unknown_names_are_refused(kind: str, near: str) -> None:
    known = ", ".join(FORMATS)
    with pytest.raises(SpecError, match=f"'kind' must be one of {known}, is '{kind}'{near}"):
        load_sparsity(design_of({"kind": kind}))


@pytest.mark.parametrize("kind", [5, None, []])
def test_what_is_no_name_is_refused(kind: Any) -> None:
    with pytest.raises(
        SpecError, match=r"'kind' must be text \(in quotes where it looks like a number\), is "
    ):
        load_sparsity(design_of({"kind": kind}))


def test_texts_and_documents_name_all() -> None:
    text = (ROOT / "docs" / "explanation" / "sparse.md").read_text()
    text += (ROOT / "docs" / "reference" / "sparsity.md").read_text()
    for name, one in FORMATS.items():
        assert one.name == name
        assert f"{name}: {one.text}" in describe_formats()
        assert f"`{name}`" in text
        assert f"\n| {name} |" in text or not one.ranks


MADE_UP = [
    (StorageFormat("made_up", "offsets, and bits", (offset_pairs(FIRST), bits(REST))), 9 * 7 + 64),
    (StorageFormat("made_up", "rows in order", (uncompressed(FIRST), coordinates(REST))), 16 * 3),
    (
        StorageFormat("made_up", "rows of runs", (uncompressed((0, 1)), runs((1, None), 2))),
        32 / (1 - 0.75**4),
    ),
]


@pytest.mark.parametrize(("made_up", "bits"), MADE_UP)
def test_a_format_is_data(made_up: StorageFormat, bits: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 x 8 elements, 16 of them nonzero: a list of ranks is all that a new format takes."""
    monkeypatch.setitem(FORMATS, made_up.name, made_up)
    result = evaluate(*small(), sparsity=load_sparsity(design_of(made_up.name)))
    assert result.sparse("Near", "A").format == made_up.name
    assert result.sparse("Near", "A").stored_words == pytest.approx(16 + bits / 16, rel=1e-15)


def test_fibers_multiply_from_rank_to_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets of 3 x (4 + 1) in the second rank: bits for 0 to 24."""
    ranks = (uncompressed((0, 1)), offset_pairs((1, 2)), coordinates((2, None)))
    monkeypatch.setitem(FORMATS, "made_up", StorageFormat("made_up", "two deep", ranks))
    assert price("made_up", (3, 4, 2), 0.5) == 3 * 5 * 5 + 12 * 1


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ((bits(FIRST),), "do not cover all"),
        ((bits(REST),), "does not begin"),
        ((offset_pairs(FIRST), coordinates(ALL)), "does not begin"),
        ((coordinates(FIRST), coordinates(REST)), "only the innermost"),
        ((offset_pairs(ALL),), "no metadata are needed"),
    ],
)
def test_ranks_that_do_not_fit_are_refused(ranks: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StorageFormat("wrong", "", ranks)
