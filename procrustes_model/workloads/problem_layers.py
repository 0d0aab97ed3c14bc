"""Layers that are problems: convolutions of up to three axes, transposed ones, recurrent products, einsums.

None of them is a kind of its own: each is a few affine indices, from which its phases follow. All are for one
sample, and hold for any batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network_items import read_problem_item
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.text.document import document_from_data
from procrustes_model.vocabulary import Phase, Role

_KERNEL, _MAP = ("T", "R", "S"), ("O", "P", "Q")
"""Dimensions of a kernel and of a map, by axis: of two axes R and S, P and Q, as in `conv`."""


def problem_layer(
    name: str,
    shape: str | Mapping[str, Any],
    dimensions: Mapping[str, int],
    *,
    coefficients: Mapping[str, int] | None = None,
    batch_dimension: str | None = None,
    count: int = 1,
) -> ProblemLayer:
    """Return a layer that is any problem, as an item of kind 'problem' in a network's file makes it.

    Parameters
    ----------
    name : str
        What results call it.
    shape : str or mapping
        A shape that ships, a file, or the keys of a shape, with the roles of its tensors.
    dimensions : mapping of str to int
        The bound of every dimension, for one sample.
    coefficients : mapping of str to int, optional
        In place of the shape's.
    batch_dimension : str, optional
        The dimension whose bound the batch multiplies. None: one is added, to the input and the output where
        there are weights, to all tensors where there are none.
    count : int
        Separate copies per sample; more than one only without weights.

    Returns
    -------
    ProblemLayer

    Raises
    ------
    SpecError
        With every issue.
    """
    written = {"name": name, "shape": shape, "dimensions": dimensions, "count": count}
    optional = {"coefficients": coefficients, "batch_dimension": batch_dimension}
    written |= {key: value for key, value in optional.items() if value is not None}
    document = document_from_data(written)
    item = read_problem_item(document.data, (), document)
    try:
        document.raise_issues()
    except SpecError as error:
        raise SpecError(
            [replace(issue, message=f"layer '{name[:100]}': {issue.message}") for issue in error.issues]
        ) from None
    assert item is not None
    return ProblemLayer(
        name=name, problem=item.problem, batch_dimension=item.batch_dimension, count=item.count
    )


def convolution(
    name: str,
    *,
    weight: Sequence[int],
    size: Sequence[int],
    groups: int = 1,
    stride: Sequence[int] = (),
    dilation: Sequence[int] = (),
    before: Sequence[int] = (),
    after: Sequence[int] | None = None,
    images: int = 1,
) -> ProblemLayer:
    """Return a convolution over one, two or three axes.

    Parameters
    ----------
    name : str
    weight : sequence of int
        Output channels, input channels of one group, kernel along each axis.
    size : sequence of int
        Positions of the input along each axis, unpadded.
    groups : int
    stride, dilation : sequence of int
        By axis; 1 where empty.
    before, after : sequence of int
        Zeros at the start and at the end of each axis, 0 where empty; `after` is as `before` where it is not
        given.
    images : int
        Of one sample, such as frames or views, all with the same weights.

    Returns
    -------
    ProblemLayer
        Its weights have the ranks that PyTorch and ONNX give them, groups apart.

    Raises
    ------
    SpecError
        When the numbers fit no convolution.
    """
    axes = _axes(name, weight, size, stride, dilation, before, after or ())
    first = tuple(before) or (0,) * axes
    last = first if after is None else tuple(after) or (0,) * axes
    places = []
    for axis, kernel in enumerate(weight[2:]):
        padded = size[axis] + first[axis] + last[axis]
        span = (kernel - 1) * (dilation[axis] if dilation else 1) + 1
        if not 1 <= span <= padded:
            raise _wrong(name, f"the kernel spans {span}, more than its padded input of {padded}")
        places.append((padded - span) // max(stride[axis] if stride else 1, 1) + 1)
    channels = {"C": weight[1], "K": _share(name, weight[0], groups, "output")}
    return _channelled(
        name,
        "conv",
        {**_window_bounds(weight[2:], places), **channels, "N": images},
        groups=groups,
        weights=("K", "C", *_KERNEL[-axes:]),
        inputs=("C", *_window(stride, dilation, axes)),
        outputs=("K", *_MAP[-axes:]),
    )


def transposed_convolution(
    name: str,
    *,
    weight: Sequence[int],
    size: Sequence[int],
    groups: int = 1,
    stride: Sequence[int] = (),
    dilation: Sequence[int] = (),
    images: int = 1,
) -> ProblemLayer:
    """Return a transposed convolution over one, two or three axes.

    Every input is multiplied with every weight of its channel; the product at position p and tap r is added
    to output p x stride + r x dilation. That is the backward phase of a convolution, and here, too, the map
    is the padded one: padding cuts a border off, and output padding adds positions that no product reaches.
    Neither changes which products there are, so that neither is asked for.

    Parameters
    ----------
    name : str
    weight : sequence of int
        Input channels, output channels of one group, kernel along each axis.
    size : sequence of int
        Positions of the input along each axis.
    groups : int
    stride, dilation : sequence of int
        Of outputs, by axis; 1 where empty.
    images : int
        Of one sample, such as frames or views, all with the same weights.

    Returns
    -------
    ProblemLayer
        Its weights have the ranks that PyTorch and ONNX give them, groups apart.

    Raises
    ------
    SpecError
        When the numbers fit no transposed convolution.
    """
    axes = _axes(name, weight, size, stride, dilation)
    channels = {"C": _share(name, weight[0], groups, "input"), "K": weight[1]}
    return _channelled(
        name,
        "transposed_conv",
        {**_window_bounds(weight[2:], size), **channels, "N": images},
        groups=groups,
        weights=("C", "K", *_KERNEL[-axes:]),
        inputs=("C", *_MAP[-axes:]),
        outputs=("K", *_window(stride, dilation, axes)),
    )


def recurrent_product(name: str, *, inputs: int, outputs: int, steps: int, groups: int = 1) -> ProblemLayer:
    """Return the product of a recurrent cell's weights with what it reads in every step of a sequence.

    A cell has one for its input and one for its state. The weights of its gates are one matrix: of a state of
    H, an LSTM has 4 H outputs, a GRU 3 H, a plain cell H. They are counted once and used in every step. That
    a step of the state's product needs the one before it is not known to the model.

    Parameters
    ----------
    name : str
    inputs, outputs : int
        Of all groups.
    steps : int
        Positions of one sample's sequence.
    groups : int
        Parts of the inputs and outputs that share no weights.

    Returns
    -------
    ProblemLayer
        Its weights have outputs first, as PyTorch and ONNX keep them.

    Raises
    ------
    SpecError
        When a number is no count, or the groups do not divide inputs and outputs.
    """
    channels = {"C": _share(name, inputs, groups, "input"), "K": _share(name, outputs, groups, "output")}
    return _channelled(
        name,
        "recurrent",
        {"T": steps, **channels},
        groups=groups,
        weights=("K", "C"),
        inputs=("T", "C"),
        outputs=("T", "K"),
    )


def einsum(
    name: str,
    equation: str,
    sizes: Mapping[str, int],
    *,
    weights: int | None,
    batch: str | None = None,
    count: int = 1,
) -> ProblemLayer:
    """Return the product of two operands that an equation such as ``bik,kj->bij`` describes.

    Parameters
    ----------
    name : str
    equation : str
        Two operands and the result, one letter per rank. A letter that the result lacks is summed over, and
        stands in both operands.
    sizes : mapping of str to int
        The length of every letter, for one sample: that of `batch` is as a rule 1.
    weights : int or None
        Which operand is weights: 0, 1, or None where both are activations.
    batch : str, optional
        The letter that counts samples; None: the equation has none.
    count : int
        Separate copies per sample; more than one only without weights.

    Returns
    -------
    ProblemLayer
        Its dimensions are the letters; its tensors are A and B, the operands in their order, and Z.

    Raises
    ------
    SpecError
        When the equation is none of two such operands, or a size is missing.
    """
    left, arrow, result = equation.replace(" ", "").partition("->")
    operands = left.split(",")
    if not arrow or len(operands) != 2:
        raise _wrong(name, f"'{equation[:100]}' is no product of two operands", "such as 'bik,kj->bij'")
    for text in (*operands, result):
        if not all(letter.isascii() and letter.isalpha() for letter in text) or len(set(text)) < len(text):
            raise _wrong(name, f"'{text[:60]}' in '{equation[:100]}' is not different letters")
    letters = list(dict.fromkeys("".join((*operands, result))))
    for letter in letters:
        among = [text for text in operands if letter in text]
        if not among or (len(among) == 1 and letter not in result):
            why = "is in no operand" if not among else "is summed over in one operand only"
            raise _wrong(name, f"'{letter}' of '{equation[:100]}' {why}", "sum or spread it before")
    unknown = [letter for letter in letters if letter not in sizes]
    if unknown:
        raise _wrong(name, f"'{equation[:100]}' needs the size of {', '.join(unknown)}")
    if weights not in (None, 0, 1):
        raise _wrong(name, f"weights are operand 0 or 1, or None; not {weights!r}")
    reads = 1 if weights == 0 else 0
    tensors: dict[str, dict[str, Any]] = {}
    for number, (tensor, text) in enumerate(zip("AB", operands, strict=True)):
        tensors[tensor] = {"projection": list(text)}
        if number == reads or weights is not None:
            tensors[tensor]["role"] = (Role.INPUT if number == reads else Role.WEIGHTS).value
    tensors["Z"] = {"projection": list(result), "role": Role.OUTPUT.value, "output": True}
    shape = {"name": "einsum", "dimensions": letters, "tensors": tensors}
    bounds = {letter: sizes[letter] for letter in letters}
    return problem_layer(name, shape, bounds, batch_dimension=batch, count=count)


def _channelled(
    name: str,
    shape: str,
    bounds: Mapping[str, int],
    *,
    groups: int,
    weights: Sequence[str],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> ProblemLayer:
    """Return a layer of these indices, with samples N and, where there are several, groups G.

    Parameters
    ----------
    name, shape : str
    bounds : mapping of str to int
        Of channels C and K of one group, and of what else there is.
    groups : int
    weights, inputs, outputs : sequence of str
        Indices of the tensors, channels first.
    """
    apart = ("G",) if groups > 1 else ()
    bounds = {"N": 1, **bounds, **dict.fromkeys(apart, groups)}
    projections = {
        Role.WEIGHTS: (*apart, *weights),
        Role.INPUT: ("N", *apart, *inputs),
        Role.OUTPUT: ("N", *apart, *outputs),
    }
    tensors: dict[str, dict[str, Any]] = {
        role.tensor: {"role": role.value, "projection": indices} for role, indices in projections.items()
    }
    tensors[Role.OUTPUT.tensor]["output"] = True
    called = f"grouped_{shape}" if apart else shape
    written = {"name": called, "phase": Phase.FORWARD.value, "dimensions": list(bounds), "tensors": tensors}
    return problem_layer(name, written, bounds, batch_dimension="N")


def _axes(name: str, weight: Sequence[int], size: Sequence[int], *others: Sequence[int]) -> int:
    """Return the number of axes, on which all must agree."""
    axes = len(size)
    if not 1 <= axes <= len(_MAP):
        raise _wrong(name, f"a convolution over {axes} axes", f"1 to {len(_MAP)} are supported")
    if len(weight) != axes + 2 or any(len(one) not in (0, axes) for one in others):
        raise _wrong(name, f"its weights of {len(weight)} ranks, or what is said by axis, fit no {axes} axes")
    return axes


def _window_bounds(kernel: Sequence[int], places: Sequence[int]) -> dict[str, int]:
    """Return the bounds of a kernel and of the map that it moves over."""
    axes = len(places)
    return dict(zip(_KERNEL[-axes:] + _MAP[-axes:], (*kernel, *places), strict=True))


def _window(stride: Sequence[int], dilation: Sequence[int], axes: int) -> list[str]:
    """Return the indices of a map on which a kernel moves."""
    steps, taps = tuple(stride) or (1,) * axes, tuple(dilation) or (1,) * axes
    names = zip(_MAP[-axes:], steps, _KERNEL[-axes:], taps, strict=True)
    return [f"{place}*{step} + {tap}*{apart}" for place, step, tap, apart in names]


def _share(name: str, channels: int, groups: int, what: str) -> int:
    """Return the channels of one group."""
    if groups < 1 or channels % groups:
        raise _wrong(name, f"{channels} {what} channels do not divide into {groups} groups")
    return channels // groups


def _wrong(name: str, message: str, hint: str | None = None) -> SpecError:
    return SpecError(Issue(f"layer '{name[:100]}': {message}", hint))
