"""Layers that are problems: what they multiply, their phases, and how files and Python describe them."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procrustes_model.errors import SpecError
from procrustes_model.spec.load import load_network, load_problem
from procrustes_model.spec.network import Network, NetworkLayer
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.vocabulary import PHASES, Phase, Role
from procrustes_model.workloads.layer import training_problem
from procrustes_model.workloads.problem_layers import (
    convolution,
    einsum,
    problem_layer,
    recurrent_product,
    transposed_convolution,
)
from tests.naive.layers import convolve, convolve_transposed, crop, random_operands, walk

NAMES = {role.tensor for role in Role}
TENSORS: dict[str, Any] = {
    "W": {"role": "weights", "projection": ["K", "C"]},
    "X": {"role": "input", "projection": ["B", "C"]},
    "Y": {"role": "output", "projection": ["B", "K"], "output": True},
}
SHAPE: dict[str, Any] = {"name": "dense", "dimensions": ["B", "C", "K"], "tensors": TENSORS}
BOUNDS = {"B": 3, "C": 4, "K": 5}
LAYERS = (
    transposed_convolution("up", weight=(4, 6, 3, 2), size=(3, 4), stride=(2, 1), dilation=(1, 2)),
    transposed_convolution("up_grouped", weight=(4, 3, 3), size=(5,), groups=2, stride=(2,)),
    convolution("volume", weight=(4, 3, 1, 3, 2), size=(3, 4, 5), before=(0, 1, 1), stride=(1, 2, 1)),
    convolution("volume_grouped", weight=(4, 3, 2, 2, 2), size=(3, 3, 3), groups=2),
    recurrent_product("gates", inputs=6, outputs=8, steps=3),
    recurrent_product("gates_grouped", inputs=6, outputs=8, steps=3, groups=2),
    einsum("scores", "qd,kd->qk", {"q": 3, "k": 4, "d": 5}, weights=None, count=2),
    einsum("experts", "bed,edf->bef", {"b": 1, "e": 3, "d": 4, "f": 5}, weights=1, batch="b"),
    problem_layer("own", SHAPE, BOUNDS),
    problem_layer("own_batch", SHAPE, BOUNDS, batch_dimension="B"),
)
NETWORK = Network(name="odd", batch=4, layers=LAYERS)


def of(name: str) -> ProblemLayer:
    return next(layer for layer in LAYERS if layer.name == name)


def draw_axes(data: st.DataObject, axes: int, low: int, high: int) -> list[int]:
    return data.draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_convolutions_multiply_what_their_definition_does(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 3))
    groups, inputs, outputs = (data.draw(st.integers(1, 2)) for _ in range(3))
    kernel, stride, dilation = (draw_axes(data, axes, 1, high) for high in (3 - axes // 2, 3, 2))
    before, after = draw_axes(data, axes, 0, 2), draw_axes(data, axes, 0, 2)
    spans = [(k - 1) * d + 1 - b - a for k, d, b, a in zip(kernel, dilation, before, after, strict=True)]
    size = [max(span, 1) + more for span, more in zip(spans, draw_axes(data, axes, 0, 2), strict=True)]
    weight = (groups * outputs, inputs, *kernel)
    layer = convolution(
        "c",
        weight=weight,
        size=size,
        groups=groups,
        stride=stride,
        dilation=dilation,
        before=before,
        after=after,
    )
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (2, groups * inputs, *size))
    w = rng.integers(-4, 5, weight)
    wanted, products = convolve(
        x, w, groups=groups, stride=stride, dilation=dilation, before=before, after=after
    )
    assert (layer.weights, layer.weight_shape, 2 * layer.macs) == (w.size, weight, products)

    problem = training_problem(layer, "forward", batch=2)
    shapes = {tensor.name: problem.lengths(tensor) for tensor in problem.tensors}
    padded = np.pad(x, [(0, 0), (0, 0), *zip(before, after, strict=True)])
    reached = padded[
        (..., *(slice(length) for length in shapes["Inputs"][-axes:]))
    ]  # strides may leave a rest
    found, count = walk(
        problem, {"Weights": w.reshape(shapes["Weights"]), "Inputs": reached.reshape(shapes["Inputs"])}
    )
    assert count == problem.computes == products
    assert np.array_equal(found.reshape(wanted.shape), wanted)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_transposed_convolutions_multiply_what_their_definition_does(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 3))
    groups, inputs, outputs = (data.draw(st.integers(1, 2)) for _ in range(3))
    kernel, stride, dilation = (draw_axes(data, axes, 1, high) for high in (3 - axes // 2, 3, 2))
    size = draw_axes(data, axes, 1, 3)
    spans = [(n - 1) * s + (k - 1) * d for n, s, k, d in zip(size, stride, kernel, dilation, strict=True)]
    padding = [data.draw(st.integers(0, span // 2)) for span in spans]
    more = [data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)]
    weight = (groups * inputs, outputs, *kernel)
    layer = transposed_convolution(
        "t", weight=weight, size=size, groups=groups, stride=stride, dilation=dilation
    )
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (2, groups * inputs, *size))
    w = rng.integers(-4, 5, weight)
    wanted = convolve_transposed(
        x, w, groups=groups, stride=stride, dilation=dilation, padding=padding, output_padding=more
    )
    # Every input meets every weight of its channel, whatever padding cuts off.
    assert (layer.weights, layer.weight_shape) == (w.size, weight)
    assert layer.macs == x[0].size * outputs * np.prod(kernel)

    problem = training_problem(layer, "forward", batch=2)
    shapes = {tensor.name: problem.lengths(tensor) for tensor in problem.tensors}
    found, count = walk(
        problem, {"Weights": w.reshape(shapes["Weights"]), "Inputs": x.reshape(shapes["Inputs"])}
    )
    assert count == problem.computes == 2 * layer.macs
    full = found.reshape(2, groups * outputs, *found.shape[-axes:])
    assert np.array_equal(crop(full, padding, wanted.shape[2:]), wanted)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_definitions_are_those_of_pytorch(axes: int, groups: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    functional, rng = torch.nn.functional, np.random.default_rng(axes)
    stride, dilation, padding, more = ((3, 2, 1), (1, 2, 2), (1, 0, 1), (2, 1, 0))
    asked = {"groups": groups, "stride": stride[:axes], "dilation": dilation[:axes]}
    x = rng.integers(-4, 5, (2, 4, *(5, 5, 3)[:axes]))
    w = rng.integers(-4, 5, (4, 4 // groups, *(2, 3, 2)[:axes]))
    given = torch.tensor(x).double(), torch.tensor(w).double()
    edges = padding[:axes]
    wanted = getattr(functional, f"conv{axes}d")(*given, padding=edges, **asked)
    assert np.array_equal(convolve(x, w, before=edges, after=edges, **asked)[0], wanted.numpy())
    wanted = getattr(functional, f"conv_transpose{axes}d")(
        *given, padding=edges, output_padding=more[:axes], **asked
    )
    found = convolve_transposed(x, w, padding=edges, output_padding=more[:axes], **asked)
    assert np.array_equal(found, wanted.numpy())


@pytest.mark.parametrize(
    ("equation", "weights", "batch"),
    [
        ("bik,kj->bij", 1, "b"),
        ("kj,bik->bij", 0, "b"),
        ("bhqd,bhkd->bhqk", None, "b"),
        ("bhqd,bhkd->bhqk", None, None),
        ("ik,kj->ij", 1, None),
        ("bgi,goi->bgo", 1, "b"),
        ("bi,oi->bo", 1, "b"),
    ],
)
def test_einsums(equation: str, weights: int | None, batch: str | None) -> None:
    sizes = dict(zip("bghiqkjdo", (2, 3, 2, 3, 2, 4, 3, 2, 5), strict=True))
    sizes = {letter: size for letter, size in sizes.items() if letter in equation}
    layer = einsum("e", equation, sizes, weights=weights, batch=batch)
    problem = layer.problem
    tensors = random_operands(problem, 0)
    operands = {name: tensors[name] for name in "AB"}
    found, count = walk(problem, operands)
    assert np.array_equal(found, np.einsum(equation, *operands.values()))
    assert count == layer.macs == np.prod(list(sizes.values()))
    assert layer.weights == (0 if weights is None else operands["AB"[weights]].size)
    assert layer.has_weights == (weights is not None)


@pytest.mark.parametrize("name", [layer.name for layer in LAYERS])
@pytest.mark.parametrize("batch", [1, 3])
def test_phases_are_the_gradients(name: str, batch: int) -> None:
    """The three phases are one sum of products of three tensors, each without another one of them."""
    layer = of(name)
    sums = {}
    for phase in PHASES:
        problem = training_problem(layer, phase, batch=batch, network="odd")
        assert (problem.name, problem.phase) == (f"odd/{name}_{phase.short}", phase)
        assert problem.output.name == phase.writes.tensor
        assert {tensor.name for tensor in problem.tensors} == NAMES
        assert problem.computes == batch * layer.macs
        tensors = random_operands(problem, 1)
        left = tensors.pop(problem.output.name)
        found, _ = walk(problem, tensors)
        sums[phase] = int((found * left).sum())
    assert len(set(sums.values())) == 1
    weights = next(tensor for tensor in problem.tensors if tensor.name == "Weights")
    own = batch * layer.count if not layer.has_weights else 1
    elements = np.prod(problem.lengths(weights))
    assert elements == (layer.weights if layer.has_weights else own * elements // own)


def test_where_the_batch_goes() -> None:
    def bounds(name: str, batch: int) -> dict[str, int]:
        return training_problem(of(name), "forward", batch=batch).dimensions

    assert bounds("own", 7) == {"B": 3, "C": 4, "K": 5, "N": 7}
    assert bounds("own_batch", 7) == {"B": 21, "C": 4, "K": 5}
    assert bounds("scores", 7) == {"q": 3, "d": 5, "k": 4, "G": 14}
    one = problem_layer("m", "matmul", {"M": 2, "K": 3, "N": 4})
    assert training_problem(one, "forward", batch=5).dimensions == {"M": 2, "K": 3, "N": 4, "batch": 5}
    dimensions = ["N", "batch", "K"]
    tensors = {
        "W": {"role": "weights", "projection": ["K"]},
        "X": {"role": "input", "projection": ["N", "K"]},
        "Y": {"role": "output", "projection": ["batch", "K"], "output": True},
    }
    taken = problem_layer("t", {"dimensions": dimensions, "tensors": tensors}, dict.fromkeys(dimensions, 2))
    assert list(training_problem(taken, "forward", batch=5).dimensions) == [*dimensions, "batch_"]
    with pytest.raises(SpecError, match="a batch has at least one sample, is 0"):
        training_problem(one, "forward", batch=0)


def test_a_layer_of_a_kind_is_the_same_problem() -> None:
    conv = NetworkLayer(
        name="a", kind="conv", in_channels=3, out_channels=4, kernel=(3, 2), stride=(2, 1), input_size=(7, 5)
    )
    product = NetworkLayer(
        name="a", kind="matmul", in_channels=3, out_channels=4, rows=2, has_weights=False, count=3
    )
    same = {
        conv: problem_layer(
            "a",
            "conv",
            {"R": 3, "S": 2, "P": 3, "Q": 4, "C": 3, "K": 4, "N": 1},
            coefficients={"stride_h": 2},
            batch_dimension="N",
        ),
        product: einsum("a", "nc,kc->nk", {"n": 2, "c": 3, "k": 4}, weights=None, count=3),
    }
    for kind, own in same.items():
        assert (own.macs, own.weights, own.has_weights) == (kind.macs, kind.weights, kind.has_weights)
        assert own.weight_shape == kind.weight_shape
        for phase in PHASES:
            ours, theirs = (training_problem(one, phase, batch=5) for one in (own, kind))
            assert ours.computes == theirs.computes and ours.output.name == theirs.output.name
            sizes = [
                {tensor.name: np.prod(problem.lengths(tensor)) for tensor in problem.tensors}
                for problem in (ours, theirs)
            ]
            assert sizes[0] == sizes[1]
    ours, theirs = (training_problem(one, "forward", batch=5) for one in (same[conv], conv))
    assert ours == theirs
    volume = convolution("a", weight=(4, 3, 3, 2), size=(7, 5), stride=(2, 1))
    assert training_problem(volume, "forward", batch=5).dimensions == theirs.dimensions


def test_weights_of_a_cell_count_once() -> None:
    cell = (
        recurrent_product("ih", inputs=32, outputs=64, steps=10),
        recurrent_product("hh", inputs=16, outputs=64, steps=10),
    )
    network = Network(name="lstm", layers=cell)
    assert network.weights == 4 * 16 * (32 + 16)
    assert network.macs == 10 * network.weights


def test_files_and_python_agree(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(NETWORK.to_yaml())
    read = load_network(file)
    assert read == NETWORK and hash(read.layers) == hash(NETWORK.layers)
    assert read.to_yaml() == NETWORK.to_yaml()
    assert Network(**NETWORK.model_dump(mode="json")) == NETWORK
    for layer in read.layers:
        for phase in PHASES:
            problem = training_problem(layer, phase, batch=2)
            assert load_problem({"problem": problem.to_dict()}) == problem


def test_repetition_and_what_follows() -> None:
    item = {"kind": "problem", "shape": SHAPE, "dimensions": BOUNDS}
    after = {"name": "fc", "kind": "fully_connected", "input_channels": 5, "channels": 2}
    layers = [
        {"name": "a", "repeat": 2, "first": 3, **item},
        {"name": "g", "repeat": 2, "layers": [{"name": "b", **item}]},
    ]
    network = load_network({"network": {"name": "n", "layers": [*layers, after]}})
    assert [layer.name for layer in network.layers] == ["a_3", "a_4", "g_1_b", "g_2_b", "fc"]
    assert list(network.distinct.values()) == [("a_3", "a_4", "g_1_b", "g_2_b"), ("fc",)]
    assert (network.macs, network.weights) == (4 * 60 + 10, 4 * 20 + 10)
    del after["input_channels"]
    with pytest.raises(SpecError, match="the input of 'fc' is not known from what stands before it"):
        load_network({"network": {"name": "n", "layers": [*layers, after]}})


def change(**tensors: dict[str, Any]) -> dict[str, Any]:
    """Return the shape with other keys of its tensors; an empty value takes one away."""
    shape = copy.deepcopy(SHAPE)
    for name, keys in tensors.items():
        merged = shape["tensors"].get(name, {}) | keys
        shape["tensors"][name] = {key: value for key, value in merged.items() if value}
    return shape


@pytest.mark.parametrize(
    ("shape", "keys", "said"),
    [
        (SHAPE, {"batch_dimension": "b"}, "shape dense has no dimension 'b'; did you mean 'B'?"),
        (SHAPE, {"batch_dimension": "K"}, "all samples have the same weights, 'K' moves an index of 'W'"),
        (SHAPE, {"batch_dimension": 3}, "'batch_dimension' must be text"),
        (
            change(X={"projection": ["B + C"]}),
            {"batch_dimension": "B"},
            "samples lie apart, 'B' is no index of its own of 'X'",
        ),
        (
            change(Y={"projection": ["2*B", "K"]}),
            {"batch_dimension": "B"},
            "samples lie apart, 'B' is no index of its own of 'Y'",
        ),
        (change(W={"role": ""}), {"batch_dimension": "B"}, "'B' is no index of its own of 'W'"),
        (SHAPE, {"count": 2}, "copies of a layer with weights are layers of their own; 'repeat' makes them"),
        (SHAPE, {"count": 0}, "'count' must be at least 1, is 0"),
        (SHAPE, {"copies": 2}, "unknown key 'copies'"),
        (SHAPE, {"channels": 2}, "a layer of kind problem takes no 'channels'"),
        (
            change(X={"role": ""}),
            {},
            "none of the tensors W, X, Y has the role input; state it in shape dense",
        ),
        (
            change(W={"role": ""}, X={"role": ""}, Y={"role": ""}),
            {},
            "none of the tensors W, X, Y has the role weights or input or output",
        ),
        (
            change(W={"role": ""}, V={"projection": ["C"]}),
            {},
            "none of the tensors W, X, Y, V has the role weights; state it in shape dense, such as",
        ),
        (change(X={"role": "output"}, Y={"role": "input"}), {}, "writes the tensor of role output, not 'Y'"),
        (change(Inputs={"projection": ["C"]}), {}, "'Inputs' is what results call the tensor of role input"),
        ("conv_backward", {}, "missing dimension"),
        ("cnov", {}, "'cnov' is neither a file nor a shape that ships; did you mean 'conv'?"),
        (SHAPE, {"dimensions": {"B": 3, "C": 4}}, "missing dimension K of shape dense; give the bound"),
        (SHAPE, {"dimensions": {**BOUNDS, "K": 0}}, "the bound of K must be at least 1, is 0"),
        (SHAPE, {"dimensions": {**BOUNDS, "Z": 2}}, "unknown dimension 'Z' for shape dense"),
        (SHAPE, {"dimensions": dict.fromkeys("BCK", 2**31)}, "the product of the bounds is more than 2^62"),
        (SHAPE, {"coefficients": {"s": 2}}, "unknown coefficient 's'; shape dense has none"),
        (
            change(W={"role": ""}),
            {"count": 2**31, "dimensions": dict.fromkeys("BCK", 2**11)},
            "more than 2^62 multiply-accumulates",
        ),
    ],
)
def test_what_is_wrong_is_said(shape: Any, keys: dict[str, Any], said: str) -> None:
    item = {"name": "a", "kind": "problem", "shape": shape, "dimensions": BOUNDS, **keys}
    with pytest.raises(SpecError) as error:
        load_network({"network": {"name": "n", "layers": [item]}})
    assert said in str(error.value)


def test_missing_keys() -> None:
    with pytest.raises(SpecError) as error:
        load_network({"network": {"name": "n", "layers": [{"kind": "problem"}]}})
    said = str(error.value)
    for key in ("name", "shape", "dimensions"):
        assert f"missing key '{key}'" in said


def test_every_issue_has_its_place(tmp_path: Path) -> None:
    product = "kind: problem, shape: matmul, dimensions: {M: 2, K: 2, N: 2}"
    text = (
        "network:\n"
        "  name: n\n"
        "  layers:\n"
        "    - {name: a, kind: problem, shape: matmul, dimensions: {M: 2, K: @0, N: 2}}\n"
        f"    - {{name: b, {product}, batch_dimension: @B}}\n"
        "    - name: g\n"
        "      repeat: 2\n"
        "      layers:\n"
        f"        - {{name: c, {product}, count: @2}}\n"
        "    - name: d\n"
        "      kind: problem\n"
        "      shape:\n"
        "        dimensions: [i]\n"
        "        tensors:\n"
        "          A: {projection: [@i + 1]}\n"
        "          Z: {projection: [i], output: true}\n"
        "      dimensions: {i: 2}\n"
        "    - {name: e, kind: problem, shape: @conv_weight_update, dimensions:"
        " {R: 1, S: 1, P: 1, Q: 1, C: 1, K: 1, N: 1}}\n"
        f"    - {{name: f, {product}, @batch: 2}}\n"
        "    - {name: g, kind: problem, shape: matmul, @dimensions: {M: 2, K: 2}}\n"
    )
    file = tmp_path / "net.yaml"
    file.write_text(text.replace("@", ""))
    with pytest.raises(SpecError) as error:
        load_network(file)
    wanted = [
        (number, line.index("@") + 1) for number, line in enumerate(text.splitlines(), 1) if "@" in line
    ]
    assert [(issue.line, issue.column) for issue in error.value.issues] == wanted


def test_python_says_which_layer() -> None:
    for wrong, said in (
        (
            lambda: convolution("x", weight=(4, 3, 3), size=(2,)),
            "layer 'x': the kernel spans 3, more than its",
        ),
        (lambda: convolution("x", weight=(4, 3, 3), size=(4, 4)), "layer 'x': its weights of 3 ranks"),
        (lambda: convolution("x", weight=(4, 3), size=()), "layer 'x': a convolution over 0 axes; 1 to 3"),
        (
            lambda: convolution("x", weight=(4, 3, 1), size=(4,), groups=3),
            "4 output channels do not divide into 3 groups",
        ),
        (
            lambda: transposed_convolution("x", weight=(4, 3, 1), size=(4,), stride=(0,)),
            "layer 'x': shape.tensors.Outputs.projection[2]: the coefficient of Q in 'Q*0 + S*1' is 0",
        ),
        (
            lambda: recurrent_product("x", inputs=4, outputs=4, steps=0),
            "layer 'x': dimensions.T: the bound of T must be at least 1, is 0",
        ),
        (lambda: recurrent_product("x", inputs=4, outputs=5, steps=1, groups=2), "5 output channels do not"),
        (lambda: einsum("x", "ij,jk", {}, weights=None), "'ij,jk' is no product of two operands"),
        (lambda: einsum("x", "ii,ij->j", {}, weights=None), "'ii' in 'ii,ij->j' is not different letters"),
        (lambda: einsum("x", "...i,ij->j", {}, weights=None), "'...i' in '...i,ij->j' is not different"),
        (lambda: einsum("x", "ij,jk->ikl", {}, weights=None), "'l' of 'ij,jk->ikl' is in no operand"),
        (
            lambda: einsum("x", "ij,k->k", {}, weights=None),
            "'i' of 'ij,k->k' is summed over in one operand only",
        ),
        (lambda: einsum("x", "ij,jk->ik", {"i": 2}, weights=None), "needs the size of j, k"),
        (
            lambda: einsum("x", "ij,jk->ik", dict.fromkeys("ijk", 2), weights=2),
            "operand 0 or 1, or None; not 2",
        ),
        (
            lambda: einsum("x", "i,i->", {"i": 2}, weights=None),
            "layer 'x': shape.tensors.Z.projection: 'projection' must be a list with one index per rank",
        ),
        (
            lambda: einsum("x", "ij,jk->ik", dict.fromkeys("ijk", 2), weights=1, batch="k"),
            "layer 'x': batch_dimension: all samples have the same weights, 'k' moves an index of 'B'",
        ),
    ):
        with pytest.raises(SpecError) as error:
            wrong()
        assert said in str(error.value)


def test_layers_made_in_python_check_themselves() -> None:
    problem = of("own").problem
    assert ProblemLayer(name="a", problem=problem.model_copy(update={"name": "x"})).problem.name == "dense"
    for wrong in (
        {"batch_dimension": "Z"},
        {"count": 2},
        {"problem": problem.model_copy(update={"tensors": ()})},
    ):
        with pytest.raises(ValueError, match="validation error"):
            ProblemLayer(**({"name": "a", "problem": problem} | wrong))
    bare = problem.tensors[0].model_copy(update={"ranks": ()})
    with pytest.raises(ValueError, match="no dimension moves an index of tensor 'W'"):
        ProblemLayer(name="a", problem=problem.model_copy(update={"tensors": (bare, *problem.tensors[1:])}))


def test_names_of_dimensions_do_not_decide() -> None:
    """Whatever letters an equation has, its phases and weights are the same."""
    reference = einsum("a", "bik,kj->bij", dict(zip("bikj", (1, 2, 3, 4), strict=True)), weights=1, batch="b")
    for letters in itertools.islice(itertools.permutations("NCKP"), 6):
        b, i, k, j = letters
        sizes = dict(zip(letters, (1, 2, 3, 4), strict=True))
        other = einsum("a", f"{b}{i}{k},{k}{j}->{b}{i}{j}", sizes, weights=1, batch=b)
        assert (other.macs, other.weight_shape) == (reference.macs, reference.weight_shape)
        for phase in PHASES:
            ours, theirs = (training_problem(one, phase, batch=3) for one in (other, reference))
            assert [ours.lengths(one) for one in ours.tensors] == [
                theirs.lengths(one) for one in theirs.tensors
            ]
            assert ours.phase == Phase(phase)
