"""Which tensors are weights while a PyTorch module runs, what they are computed of, what they are called."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.training.names import WEIGHT, WRAPPERS, is_parametrization, layer_name
from procrustes_model.training.provenance import Provenance, storage_of
from procrustes_model.training.recorded_layer import choose_layer, held_weights
from procrustes_model.training.torch_library import torch

_WRAPPING = frozenset(
    {
        "AveragedModel",
        "CheckpointWrapper",
        "DataParallel",
        "DistributedDataParallel",
        "FullyShardedDataParallel",
        "OptimizedModule",
    }
)


@dataclass(eq=False)
class Held:
    """A tensor that a module keeps, or that it computes of what it keeps.

    Attributes
    ----------
    place, tensor : str
        The module's path without wrappers, and what the module calls the tensor.
    order : int
        Among all of the model.
    is_parameter : bool
        Not a buffer.
    shape : tuple of int
    storages : set
        References to what holds the values; shared by those that are tied.
    """

    place: str
    tensor: str
    order: int
    is_parameter: bool
    shape: tuple[int, ...]
    storages: set[Any] = field(default_factory=set)

    @property
    def name(self) -> str:
        """What a layer with these weights is called."""
        return layer_name(self.place, self.tensor)

    @property
    def elements(self) -> int:
        """How many there are."""
        return math.prod(self.shape)


class Weights:
    """Knows of every tensor whether it is computed of what the model keeps alone, and of which part of it.

    Parameters
    ----------
    model : torch.nn.Module
    given : iterable of torch.Tensor
        What it is called with.
    """

    def __init__(self, model: torch.nn.Module, given: Collection[torch.Tensor]) -> None:
        self.places = plain_places(model)
        self._provenance = Provenance()
        self._held: dict[tuple[str, str], Held] = {}
        modules = dict(model.named_modules(remove_duplicate=False))
        for path, module in modules.items():
            if not is_parametrization(path):
                for tensor, found in held_weights(module):
                    self._provenance.hold(found, self._add(self.places[path], tensor, found, True))
        for path, module in modules.items():
            for tensor, found in module._buffers.items():
                if found is None or torch.nn.parameter.is_lazy(found):
                    continue
                if (self.places[path], tensor) not in self._held:
                    # What is written into it decides what it is then.
                    place, name = _owner(self.places[path], tensor)
                    self._provenance.compute(found, self._add(place, name, found, False))
        # What is made of weights and positions alone may be activations, and is the same for all samples.
        self._samples = Provenance()
        for one in (self._provenance, self._samples):
            one.flow(given)

    @property
    def all(self) -> list[Held]:
        """All that the model keeps."""
        return list(self._held.values())

    def _add(self, place: str, tensor: str, found: torch.Tensor, is_parameter: bool) -> Held:
        shape = tuple(map(int, found.shape))
        new = Held(place, tensor, len(self._held), is_parameter, shape)
        held = self._held.setdefault((place, tensor), new)
        if new.elements > held.elements:
            held.shape = shape
        held.storages |= {storage_of(found)} - {None}
        return held

    def flows(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor is computed of what the model is called with."""
        return self._provenance.flows(tensor)

    def is_of_samples(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor is computed of what the model is called with, through whatever layers."""
        return self._samples.flows(tensor)

    def sources(self, tensor: torch.Tensor) -> frozenset[Held]:
        """Return what a tensor is computed of, parameters alone where there is one."""
        found = self._provenance.sources(tensor)
        return frozenset(one for one in found if one.is_parameter) or found

    def source(self, tensor: torch.Tensor, place: str) -> Held | None:
        """Return whose weights a tensor is, of the module of that place first; None: of nothing kept."""
        found = self.sources(tensor)
        # Scores or masks that are parameters too are as many.
        likely = {one for one in found if one.tensor == WEIGHT and one.elements == tensor.numel()} or found
        return choose_layer(likely, tensor, self.of(place)) if found else None

    def of(self, place: str) -> set[Held]:
        """Return what the module of a place keeps itself."""
        return {one for one in self._held.values() if one.place == place}

    def pass_on(
        self, arguments: Collection[torch.Tensor], results: Collection[torch.Tensor], *, flow: bool
    ) -> None:
        """Note of results what is known of the arguments that they are computed of.

        Parameters
        ----------
        arguments, results : collection of torch.Tensor
        flow : bool
            Whether the results are activations whatever the arguments are.
        """
        self._samples.pass_on(arguments, results)
        if flow:
            self._provenance.flow(results)
        else:
            self._provenance.pass_on(arguments, results)


def _owner(place: str, tensor: str) -> tuple[str, str]:
    """Return the module whose weights a parametrization's tensor is for, and what the tensor is to it."""
    parts = place.split(".") if is_parametrization(place) else []
    depth = parts.index("parametrizations") if parts else 0
    return (".".join(parts[:depth]), ".".join([*parts[depth:], tensor])) if parts else (place, tensor)


def plain_places(model: torch.nn.Module) -> dict[str, str]:
    """Return the path of every module, and the same without what DataParallel and others put into it."""
    modules = dict(model.named_modules(remove_duplicate=False))
    places = {}
    for path in modules:
        parts = path.split(".") if path else []
        kept = [
            part
            for depth, part in enumerate(parts)
            if part not in WRAPPERS or not _wraps(modules.get(".".join(parts[:depth])))
        ]
        places[path] = ".".join(kept)
    return places


def _wraps(module: Any) -> bool:
    return any(kind.__name__ in _WRAPPING for kind in type(module).__mro__)


def part_of(tensor: torch.Tensor, held: Held) -> str:
    """Return which part of the weights a tensor is, as an index: "[3]" of a stack, "[0:64]" rows, "" all.

    Parameters
    ----------
    tensor : torch.Tensor
        The weights, or what is computed of them in their shape, or a view of that.
    held : Held
    """
    if not held.elements or tensor.numel() >= held.elements or len(held.shape) < 2:
        return ""
    row = held.elements // held.shape[0]
    first = tensor.storage_offset()
    span = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    if first % row or span != tensor.numel() or span % row or first + span > held.elements:
        return ""
    start, stop = first // row, (first + span) // row
    return f"[{start}]" if stop - start == 1 and len(held.shape) > 2 else f"[{start}:{stop}]"


def is_transposed(weights: torch.Tensor, held: Held | None) -> bool:
    """Return whether matrices [outputs, inputs] are kept as [inputs, outputs].

    Parameters
    ----------
    weights : torch.Tensor
        [outputs, inputs], or several of them.
    held : Held, optional
        What they are computed of. Where they are square, how they lie in memory tells.
    """
    outputs, inputs = map(int, weights.shape[-2:])
    by_strides = outputs > 1 < inputs and bool(weights.stride(-2) < weights.stride(-1))
    if outputs == inputs or held is None or len(held.shape) < 2:
        return by_strides
    shape = held.shape
    if len(shape) > 2 and math.prod(shape[1:]) == outputs * inputs:
        # One of a stack.
        shape = shape[1:]
    if shape[-1] in (outputs, inputs) and shape[0] not in (outputs, inputs):
        return shape[-1] == outputs
    if shape[0] in (outputs, inputs):
        return shape[0] == inputs
    return by_strides
