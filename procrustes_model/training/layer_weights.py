"""Weights of layers from the tensors that a checkpoint has of them, in whatever parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from procrustes_model.training.packed_weights import (
    join_blocks_of_4_bits,
    join_grouped,
    join_rows_of_8_bits,
    refuse_marlin,
)
from procrustes_model.training.quantised_weights import join_bits, join_packed, join_scaled
from procrustes_model.training.stored import BOOLEAN, FLOAT, INTEGER, Stored
from procrustes_model.training.weight_parts import Floats, LeftOut, Tensors, Weight


def join_weights(
    tensors: Iterable[tuple[str, Stored]], quantised: Callable[[], Mapping[str, Any]] = dict
) -> tuple[list[Weight], list[LeftOut], bool]:
    """Return the weights of layers, the tensors that are none, and whether the weights are masks.

    Parameters
    ----------
    tensors : iterable of (str, Stored)
        Of one container.
    quantised : callable, optional
        Returns what is said of how weights were quantised, by files beside the checkpoint.

    Returns
    -------
    weights : list of Weight
        In the order of their first tensors.
    left : list of LeftOut
    are_masks : bool
        Where no weights are there, arrays of booleans, or of 0 and one other number, are.

    Raises
    ------
    ValueError
        When two tensors share a name, parts of a weight do not fit together, or they are packed in a way that
        is recognised, and cannot be read.
    """
    every = Tensors(tensors, quantised)
    made = {name: _join(every, name) for name in every.all}
    parts = {part for weight in made.values() if weight is not None for part in weight.made_of}
    weights, left = [], []
    for name, tensor in every.all.items():
        weight = made[name] or Weight(name, tensor.shape, tensor.read)
        if made[name] is not None:
            why = _why_no_shape(weight.name, weight.shape)
        elif name in parts:
            continue
        else:
            why = every.used.get(name) or _why_none(name, tensor)
        if why is None:
            weights.append(weight)
        else:
            left += [LeftOut(part, every.all[part].shape, why) for part in weight.made_of or (name,)]
    return (weights, left, False) if weights else _masks(every, left)


def _masks(every: Tensors, left: list[LeftOut]) -> tuple[list[Weight], list[LeftOut], bool]:
    """Return masks, where a container has these in place of weights."""
    masks, rest = [], []
    for one in left:
        tensor = every.all[one.name]
        usable = len(tensor.shape) >= 2 and tensor.size and one.why in _MASK_LIKE
        if usable and (tensor.kind == BOOLEAN or _has_two_values(tensor.read())):
            name = _MASK.sub("", one.name) or one.name
            masks.append(Weight(name, tensor.shape, tensor.read, (one.name,)))
        else:
            rest.append(one)
    return masks, rest, bool(masks)


def _has_two_values(values: Floats) -> bool:
    return bool(((values == 0) | (values == values.max())).all())


_SCALE = re.compile(r"(.*[._])?(scales?|scale_inv|absmax|quant_map|zero_points?|qzeros|g_idx|amax)(_packed)?")
_TOKEN = re.compile(
    r"(.*[._])?((cls|class|dist|distill|mask|reg|register)_tokens?|class_embedding|"
    r"(abs_|absolute_)?pos(ition|itional)?_(embed|embedding|emb|encoding)|relative_position_bias_table|pos_table)"
)
_MASK = re.compile(r"(^|[._/])(prune_)?mask$")
_MASK_LIKE = ("booleans", "integers", "masks of nothing here")
_BIAS = re.compile(r"(.*[._])?bias(_[^.]*)?")
_RUNNING = re.compile(r"(.*[._])?running_(mean|var)")


def _why_none(name: str, tensor: Stored) -> str | None:
    """Return why a tensor is no layer's weights by itself; None where it is."""
    if tensor.kind not in (FLOAT, INTEGER, BOOLEAN):
        return f"of type {tensor.type}"
    if (why := _why_no_shape(name, tensor.shape)) is not None:
        return why
    if tensor.kind == BOOLEAN:
        return "booleans"
    if tensor.kind == FLOAT and _MASK.search(name):
        return "masks of nothing here"
    if tensor.kind == INTEGER and tensor.type.lower() not in ("i8", "int8"):
        return "integers"
    return None


def _why_no_shape(name: str, shape: tuple[int, ...]) -> str | None:
    """Return why a name and a shape are not those of weights."""
    if 0 in shape:
        return "empty"
    if _SCALE.fullmatch(name):
        return "scales and zero points"
    if len(shape) < 2:
        return "fewer than two dimensions"
    if _TOKEN.fullmatch(name):
        return "tokens and positions"
    return "biases and running statistics" if _BIAS.fullmatch(name) or _RUNNING.fullmatch(name) else None


def _join(every: Tensors, name: str) -> Weight | None:
    """Return the weight that a tensor and others make, where it is the first of such a group."""
    if name in every.used:
        return None
    for rule in _RULES:
        weight = rule(every, name, every.all[name])
        if weight is not None:
            return weight
    return None


def _is_mask_of(tensor: Stored, mask: Stored) -> bool:
    return mask.shape == tensor.shape and mask.kind in (BOOLEAN, INTEGER, FLOAT)


def _masked(every: Tensors, base: str, name: str, tensor: Stored, masks: Iterable[str]) -> Weight | None:
    """Return weights times the masks that are kept beside them."""
    found = [mask for mask in masks if mask in every.all and _is_mask_of(tensor, every.all[mask])]
    if not found:
        return None
    every.use([name, *found])

    def read() -> Floats:
        kept = np.logical_and.reduce([every.all[mask].read() != 0 for mask in found])
        values: Floats = np.where(kept, tensor.read(), 0)
        return values

    return Weight(base, tensor.shape, read, (name, *found))


def _pruned(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """torch.nn.utils.prune, and spectral_norm: W_orig."""
    if not name.endswith("_orig") or tensor.kind != FLOAT:
        return None
    base = name.removesuffix("_orig")
    masked = _masked(every, base, name, tensor, [f"{base}_mask"])
    return masked or _spectral(every, base, name, tensor, f"{base}_u", f"{base}_v")


def _spectral(every: Tensors, base: str, name: str, tensor: Stored, left: str, right: str) -> Weight | None:
    """Return weights over their spectral norm, of which the two vectors are kept."""
    u, v = every.find(left), every.find(right)
    if u is None or v is None or len(tensor.shape) < 2:
        return None
    rows = u[1].size
    axis = next((i for i, side in enumerate(tensor.shape) if side == rows), None)
    if axis is None or rows * v[1].size != tensor.size:
        return None
    every.use([name, left, right])

    def read() -> Floats:
        values = tensor.read()
        flat = np.moveaxis(values, axis, 0).reshape(rows, -1)
        norm = float(u[1].read().reshape(-1) @ flat @ v[1].read().reshape(-1))
        return values / norm if norm and np.isfinite(norm) else values

    return Weight(base, tensor.shape, read, (name, left, right))


def _normed(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """weight_norm: W_g and W_v, or the two originals of a parametrization; W = g v / |v|."""
    first, second = ("_g", "_v") if name.endswith(("_g", "_v")) else (".original0", ".original1")
    start = name.removesuffix(first).removesuffix(second)
    g, v = every.find(start + first), every.find(start + second)
    if g is None or v is None or not tensor.kind == g[1].kind == v[1].kind == FLOAT:
        return None
    sides = v[1].shape
    norms = g[1].shape or (1,) * len(sides)
    if len(sides) < 2 or len(norms) != len(sides):
        return None
    if any(n not in (1, side) for n, side in zip(norms, sides, strict=True)):
        return None
    every.use([g[0], v[0]])

    def read() -> Floats:
        return _apply_norm(g[1].read(), v[1].read(), norms)

    return Weight(_plain_name(start), sides, read, (g[0], v[0]))


def _apply_norm(g: Floats, v: Floats, norms: tuple[int, ...]) -> Floats:
    axes = tuple(i for i, side in enumerate(norms) if side == 1 or v.shape[i] == 1)
    lengths = np.sqrt(np.square(v, dtype=np.float64).sum(axes, keepdims=True))
    values: Floats = np.divide(g.reshape(norms) * v, lengths, out=np.zeros(v.shape), where=lengths != 0)
    return values


def _plain_name(start: str) -> str:
    """Return the name of a parameter from its place among parametrizations."""
    return re.sub(r"(^|(?<=\.))parametrizations\.", "", start)


def _parametrized(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """torch.nn.utils.parametrize: the original, with the masks of sparsifiers."""
    if not re.search(r"(^|\.)parametrizations\.[^.]+\.original$", name) or tensor.kind != FLOAT:
        return None
    start = name.removesuffix("original")
    base = _plain_name(start[:-1])
    inside = [other for other in every.all if other.startswith(start) and other != name]
    masks = [other for other in inside if re.fullmatch(r"\d+\.\w*mask\w*", other[len(start) :])]
    masked = _masked(every, base, name, tensor, masks)
    if masked is not None:
        return masked
    for i in {other[len(start) :].split(".")[0] for other in inside}:
        spectral = _spectral(every, base, name, tensor, f"{start}{i}._u", f"{start}{i}._v")
        if spectral is not None:
            return spectral
    every.use([name])
    doubt = "taken as stored, without what its parametrization makes of it, which may have more zeros"
    return Weight(base, tensor.shape, tensor.read, (name,), doubt)


def _with_mask(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """Masks beside the weights: of ASP, of layers that mask themselves."""
    if tensor.kind != FLOAT or len(tensor.shape) < 2 or name.endswith("mask"):
        return None
    start, _, own = name.rpartition(".")
    start = f"{start}." if start else ""
    asp = [f"{start}__{own}_mma_mask"]
    for part in (f"{start}__{own}_mma_pruned_p", f"{start}__{own}_pruned_part", f"{start}{own}_pruned_part"):
        if part in every.all:
            every.use([part], "pruned part of a weight, kept to restore it")
    masks = [*asp, f"{name}_mask", *([f"{start}mask"] if own == "weight" else [])]
    return _masked(every, name, name, tensor, masks)


def _outputs_last(every: Tensors, name: str, tensor: Stored) -> Weight | None:
    """Kernels of Flax or Keras, of which the last two ranks are inputs and outputs."""
    if not re.search(r"/kernel(:0)?$", name) or tensor.kind != FLOAT or len(tensor.shape) < 2:
        return None
    every.use([name])

    shape = (tensor.shape[-1], tensor.shape[-2], *tensor.shape[:-2])
    return Weight(name, shape, lambda: np.moveaxis(tensor.read(), (-1, -2), (0, 1)), (name,))


_RULES = (
    *(_pruned, _normed, _parametrized, refuse_marlin, join_bits, join_packed, join_grouped),
    *(join_blocks_of_4_bits, join_rows_of_8_bits, _with_mask, join_scaled, _outputs_last),
)
"""What may be said of a tensor and others, in this order: the first that fits."""
