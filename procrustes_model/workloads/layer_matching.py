"""Which layer of a file of masks is which layer of a network, and which part of its mask."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network import NetworkLayer
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.training.names import without_wrappers
from procrustes_model.workloads.imports import clean_name
from procrustes_model.workloads.weight_masks import inputs_first

if TYPE_CHECKING:
    from procrustes_model.spec.network import Layer, Network
    from procrustes_model.training.mask_densities import MaskDensities

Shape = tuple[int, ...]
_MOST_AXES = 8
_NUMBERED = re.compile(r"(.+)_[0-9]+")
_PART = re.compile(r"(.+)\[([0-9]{1,9})(?::([0-9]{1,9}))?\]")


def match_layers(masks: MaskDensities, network: Network) -> dict[str, str]:
    """Return which layer of a file of masks is which layer of a network.

    Layers are matched by name. What DataParallel or torch.compile put before names does not matter; layers
    that are uses of one tensor (``fc_1``, ``fc_2``) or parts of it (``qkv[0:64]``, ``experts[3]``) all match
    it, and weights that are tied match by any of their names. Tensors that the network lists as no layer's
    weights are left out; where its list is open (``*``), any, once every layer has found its own. Where a
    file and a network share no name at all, layers are matched in order, provided that all their shapes
    agree.

    Parameters
    ----------
    masks : MaskDensities
    network : Network

    Returns
    -------
    dict of str to str
        The file's name of every layer of the network that the file has.

    Raises
    ------
    SpecError
        When the file has a layer that the network has not, or shapes differ.
    """
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    shapes = dict(zip(masks.names, masks.shapes, strict=True))
    found = match_names(shapes, network)
    others = _Names(network.other_tensors)
    matched = set(found.values())
    rest = [name for name in masks.names if name not in matched and others.find(name) is None]
    if "*" in network.other_tensors and len(found) == len(layers):
        rest = []
    if not found:
        return _match_in_order(masks, network, rest)
    issues = []
    for name in rest:
        message = f"the network {network.name} has no layer '{name[:100]}'"
        issues.append(Issue(message, did_you_mean(name, layers), masks.file))
    for name, there in found.items():
        if not fits(shapes[there], layers[name], there):
            message = f"the weights of '{there}' have shape {list(shapes[there])}, in {network.name} "
            issues.append(Issue(f"{message}{list(kept_shape(layers[name]))}", None, masks.file))
    if issues:
        raise SpecError(issues)
    return found


def match_names(shapes: Mapping[str, Shape], network: Network) -> dict[str, str]:
    """Return which tensor holds the weights of which layer by their names, as `match_layers` says.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Of the tensors, which are called as layers are.
    network : Network

    Returns
    -------
    dict of str to str
        The tensor of every layer that has one, whether it `fits` or not.
    """
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    names = _Names(shapes)
    found = {}
    for name, candidates in _candidates(layers, network).items():
        match = next((there for one in candidates if (there := names.find(one)) is not None), None)
        if match is not None:
            found[name] = match
    _match_modules(found, layers, shapes)
    return found


class _Names:
    """Names of a file or a network, found with or without what wrappers put into them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = set(names)
        # A network has long names without their beginning.
        plain = {name: {without_wrappers(name), clean_name(without_wrappers(name))} for name in self._exact}
        times = Counter(one for found in plain.values() for one in found)
        self._plain = {one: name for name, found in plain.items() for one in found if times[one] == 1}

    def find(self, name: str) -> str | None:
        plain = without_wrappers(name)
        return name if name in self._exact else self._plain.get(plain, self._plain.get(clean_name(plain)))


def _candidates(layers: dict[str, Layer], network: Network) -> dict[str, list[str]]:
    """Return the names that a file may have for each layer, the likeliest first."""
    uses = Counter(match[1] for name in layers if (match := _NUMBERED.fullmatch(name)))
    tied: dict[str, list[str]] = {}
    for other, layer in network.tied_tensors:
        tied.setdefault(layer, []).append(other)
    found = {}
    for name in layers:
        names = [name]
        numbered = _NUMBERED.fullmatch(name)
        if numbered and uses[numbered[1]] > 1 and numbered[1] not in layers:
            names.append(numbered[1])
        names += [match[1] for one in names if (match := _PART.fullmatch(one))]
        found[name] = names + [other for one in names for other in tied.get(one, ())]
    return found


def _match_modules(found: dict[str, str], layers: dict[str, Layer], shapes: Mapping[str, Shape]) -> None:
    """Match what a recording calls like a module that has one tensor of weights, whatever that is called."""
    free = _Names(set(shapes) - set(found.values()))
    wanted = {name: free.find(name.rpartition(".")[0]) for name in layers if name not in found}
    times = Counter(wanted.values())
    found |= {
        name: there
        for name, there in wanted.items()
        if there is not None and times[there] == 1 and fits(shapes[there], layers[name], there)
    }


def _match_in_order(masks: MaskDensities, network: Network, names: list[str]) -> dict[str, str]:
    layers = [layer for layer in network.layers if layer.weights]
    start = f"no layer of this file is called like one of {network.name}"
    hint = f"layers of {network.name}: {', '.join(layer.name for layer in layers[:16])}"
    if len(layers) != len(names):
        message = f"{start}, and in order they do not match: {len(names)} and {len(layers)} layers"
        raise SpecError(Issue(message, hint, masks.file))
    shapes = dict(zip(masks.names, masks.shapes, strict=True))
    for name, layer in zip(names, layers, strict=True):
        if not fits(shapes[name], layer, name):
            differ = f"'{name}' has shape {list(shapes[name])}, '{layer.name}' {list(kept_shape(layer))}"
            raise SpecError(Issue(f"{start}, and in order they do not match: {differ}", hint, masks.file))
    return {layer.name: name for layer, name in zip(layers, names, strict=True)}


def kept_shape(layer: Layer) -> Shape:
    """Return the shape that a checkpoint keeps the weights of a layer in, as PyTorch does: outputs first."""
    if isinstance(layer, ProblemLayer):
        shape = layer.weight_shape
        return (shape[1], shape[0], *shape[2:]) if _is_turned(layer) else shape
    if layer.kind == "grouped" and layer.inputs_first:
        return (layer.groups, layer.in_channels // layer.groups, layer.out_channels // layer.groups)
    outputs_last = (layer.kind == "matmul") != layer.inputs_first
    return layer.weight_shape[::-1] if outputs_last else layer.weight_shape


def _is_turned(layer: ProblemLayer) -> bool:
    """Return whether a file has outputs first where the problem has not."""
    return len(layer.weight_shape) > 1 and inputs_first(layer.problem)


def fits(shape: Shape, layer: Layer, in_file: str) -> bool:
    """Return whether a tensor of this shape holds the weights of a layer.

    Parameters
    ----------
    shape : tuple of int
        Of what the file calls `in_file`.
    layer : NetworkLayer or ProblemLayer
    in_file : str
    """
    part = part_in(layer, in_file)
    if part is not None:
        if not shape or part.stop > shape[0]:
            return False
        shape = (part.stop - part.start, *shape[1:])
    return any(_agree(one, kept_shape(layer)) for one in (shape, shape[1:] if shape[:1] == (1,) else shape))


def _agree(shape: Shape, wanted: Shape) -> bool:
    """Return whether two shapes are of the same weights, but for axes of length 1 or that are one axis."""
    return _core(shape) == _core(wanted) or _axes_of(shape, wanted) is not None


def _core(shape: Shape) -> Shape:
    """Return a shape of weights without axes of a kernel that are of length 1."""
    return (*shape[:2], *(size for size in shape[2:] if size != 1))


def _axes_of(shape: Shape, wanted: Shape) -> Shape | None:
    """Return the order of a tensor's axes in which it is a matrix: rows come first, all others are columns.

    None where there is none. Axes that are rows as they stand come before those that have to be moved.
    """
    wanted = _core(wanted)
    if len(wanted) != 2 or len(shape) > _MOST_AXES or math.prod(shape) != math.prod(wanted):
        return None
    axes = range(len(shape))
    for number in axes[1:]:
        for rows in combinations(axes, number):
            if math.prod(shape[axis] for axis in rows) == wanted[0]:
                return (*rows, *(axis for axis in axes if axis not in rows))
    return None


def part_in(layer: Layer, in_file: str) -> slice | None:
    """Return which part of the first axis of a file's tensor the weights of a layer are; None: it has all."""
    name = without_wrappers(layer.name)
    there = without_wrappers(in_file)
    for one in (name, match[1] if (match := _NUMBERED.fullmatch(name)) else name):
        part = _PART.fullmatch(one)
        if one != there and part is not None:
            first = int(part[2])
            return slice(first, int(part[3]) if part[3] is not None else first + 1)
    return None


def layer_mask(mask: NDArray[np.bool_], layer: Layer, in_file: str) -> NDArray[np.bool_]:
    """Return the mask of a layer from that of a file's tensor.

    Parameters
    ----------
    mask : bool[...]
        Of a shape that `fits`.
    layer : NetworkLayer or ProblemLayer
    in_file : str
        What the file calls the tensor.

    Returns
    -------
    bool[...]
        In the shape of the layer's weights, outputs first, as `weights_mask` takes it.
    """
    part = part_in(layer, in_file)
    if part is not None:
        mask = mask[part]
    wanted = kept_shape(layer)
    axes = None if _core(mask.shape) == _core(wanted) else _axes_of(mask.shape, wanted)
    arranged = (mask if axes is None else mask.transpose(axes)).reshape(wanted)
    if isinstance(layer, NetworkLayer) and layer.inputs_first:
        arranged = np.ascontiguousarray(arranged.swapaxes(-1, -2))
        arranged = arranged.reshape(layer.weight_shape) if layer.kind == "grouped" else arranged
    return arranged
