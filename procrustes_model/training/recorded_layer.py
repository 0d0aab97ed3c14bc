"""A layer that is watched while a model trains: what it holds, and what its products received in a step."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from procrustes_model.training.names import WEIGHT
from procrustes_model.training.operand_masks import WEIGHTS_BACKWARD, Operand
from procrustes_model.training.products import dense
from procrustes_model.training.torch_library import torch

LAYERS = (
    torch.nn.Linear,
    torch.nn.Conv1d,
    torch.nn.Conv2d,
    torch.nn.Conv3d,
    torch.nn.ConvTranspose1d,
    torch.nn.ConvTranspose2d,
    torch.nn.ConvTranspose3d,
)
"""Modules that are always recorded, with the weights that they call 'weight'."""

_COMPUTE = ("forward", "_conv_forward")
_ADDING = Lock()
"""Replicas of a layer run in threads."""


class Row(NamedTuple):
    """What a layer was in one step. None and NaN: unknown."""

    mask: NDArray[np.bool_] | None
    storage: float
    activations: float
    gradients: float
    operands: Mapping[Operand, NDArray[np.bool_] | None] = MappingProxyType({})


@dataclass
class Counted:
    """Elements, and those that are not zero, since the last step."""

    found: int = 0
    elements: int = 0

    def add(self, other: Counted) -> None:
        """Count the elements of another one too."""
        with _ADDING:
            self.found += other.found
            self.elements += other.elements

    def take(self) -> float:
        """Return the density, NaN of nothing, and start anew."""
        density = self.found / self.elements if self.elements else float("nan")
        self.found = self.elements = 0
        return density


def count(tensor: torch.Tensor) -> Counted:
    """Return how many elements a tensor has, and how many of them are not zero."""
    return Counted(int(torch.count_nonzero(dense(tensor.detach()))), tensor.numel())


@dataclass(eq=False)
class RecordedLayer:
    """A layer: a module, and one of the tensors that it multiplies with.

    Attributes
    ----------
    place : str
        The module's name in the model.
    tensor : str
        The name of the weights in the module. What hooks or parametrizations compute them of has it, too.
    module : torch.nn.Module
    order : tuple of int
        Among all layers, as they stand in the model.
    inputs, gradients : Counted
        What its products received since the last step.
    rows : dict of int to Row
        By number of the recorded step.
    """

    place: str
    tensor: str
    module: Any
    order: tuple[int, int]
    inputs: Counted = field(default_factory=Counted)
    gradients: Counted = field(default_factory=Counted)
    rows: dict[int, Row] = field(default_factory=dict)
    seen: bool = False
    _mask: Any = None
    _partial: bool = False
    _operands: dict[Operand, NDArray[np.bool_] | None] = field(default_factory=dict)

    @property
    def is_main(self) -> bool:
        """Return whether these are the weights of a module of a kind that is always recorded."""
        return self.tensor == WEIGHT and isinstance(self.module, LAYERS)

    @property
    def held(self) -> list[torch.Tensor]:
        """The tensors that the module keeps, of which the weights are computed if they are not one itself."""
        return [held for tensor, held in held_weights(self.module) if tensor == self.tensor]

    @property
    def elements(self) -> int:
        """How many weights there are, as far as what the module keeps can tell."""
        return max((one.numel() for one in self.held), default=0)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the mask: that of the first known one, else of what the module keeps."""
        for row in self.rows.values():
            if row.mask is not None:
                return row.mask.shape
        shapes = [tuple(one.shape) for one in self.held if one.dim() and one.numel() == self.elements]
        return shapes[0] if shapes else (0,)

    def multiply(self, weights: torch.Tensor, inputs: Counted) -> None:
        """Count the operands of a product in the forward pass.

        Parameters
        ----------
        weights : torch.Tensor
            As `Product.weights` returns them.
        inputs : Counted
        """
        mask = dense(weights.detach()) != 0
        self.inputs.add(inputs)
        with _ADDING:
            self.seen = True
            if mask.numel() < self.elements:
                self._partial = True
                return
            mask = self._shaped(mask)
            if self._mask is None:
                self._mask = mask
            elif self._mask.shape == mask.shape:
                self._mask = self._mask | mask.to(self._mask.device)
            else:
                self._partial = True

    def _shaped(self, mask: Any) -> Any:
        """Return a mask in the shape that the module keeps weights in: unfolded kernels are one axis."""
        shape = next((one.shape for one in self.held if one.shape.numel() == prod(mask.shape)), mask.shape)
        return mask.reshape(shape) if self.is_main and shape[:1] == mask.shape[:1] else mask

    def receive(self, operand: Operand, mask: NDArray[np.bool_] | None) -> None:
        """Note which elements of an operand of a product are not zero.

        Those of weights are taken together; of others there is one mask, and it is unknown after a second.

        Parameters
        ----------
        operand : Operand
        mask : bool[...], optional
            None: unknown.
        """
        with _ADDING:
            if operand not in self._operands:
                self._operands[operand] = mask
                return
            before = self._operands[operand]
            is_joined = operand == WEIGHTS_BACKWARD and before is not None and mask is not None
            if is_joined and before.shape == mask.shape:  # type: ignore[union-attr]
                self._operands[operand] = before | mask  # type: ignore[operator]
            else:
                self._operands[operand] = None

    def record(self, row: int, tracked: torch.Tensor | None) -> None:
        """Keep what was received since the last step, and start anew.

        Parameters
        ----------
        row : int
            Number of the recorded step.
        tracked : bool[...], optional
            Which weights the optimizer stores; not zero ones if it does not say.
        """
        mask = self._taken_mask()
        stored = float("nan") if mask is None else float(mask.mean())
        if tracked is not None:
            stored = float(tracked.double().mean())
        operands, self._operands = self._operands, {}
        if operands.get(WEIGHTS_BACKWARD) is not None:
            operands[WEIGHTS_BACKWARD] = self._shaped(operands[WEIGHTS_BACKWARD])
        self.rows[row] = Row(mask, stored, self.inputs.take(), self.gradients.take(), operands)

    def _taken_mask(self) -> NDArray[np.bool_] | None:
        """Return which weights were not zero, None if unknown, and start anew."""
        mask, partial = self._mask, self._partial
        self._mask, self._partial = None, False
        if partial:
            return None
        if mask is None:
            if not self._is_plain():
                return None
            # No product received them; it would have received these.
            mask = self.module.weight.detach() != 0
        found: NDArray[np.bool_] = np.ascontiguousarray(mask.to("cpu").numpy())
        return found

    def _is_plain(self) -> bool:
        """Return whether the module multiplies with the parameter itself."""
        weight = self.module._parameters.get(WEIGHT)
        if not self.is_main or weight is None or torch.nn.parameter.is_lazy(weight):
            return False
        return any(
            all(getattr(type(self.module), name, None) is getattr(kind, name, None) for name in _COMPUTE)
            for kind in LAYERS
        )


class Source(Protocol):
    """What tensors are computed of."""

    @property
    def elements(self) -> int:
        """How many weights there are."""

    @property
    def order(self) -> Any:
        """Its place among all of the model."""


OneSource = TypeVar("OneSource", bound=Source)


def choose_layer(
    sources: Collection[OneSource], tensor: torch.Tensor, preferred: Collection[OneSource]
) -> OneSource:
    """Return whose weights a tensor is that is computed of those of several layers.

    Parameters
    ----------
    sources : collection of RecordedLayer, or of others that have elements and an order
        Not empty.
    tensor : torch.Tensor
    preferred : collection of the same
        They come first, then those with as many weights as the tensor has, then the model's first.
    """
    return min(
        sources,
        key=lambda one: (one not in preferred, one.elements != tensor.numel(), one.order),
    )


def held_weights(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors that a module may multiply with, or compute such of, and the names of the latter.

    Parameters
    ----------
    module : torch.nn.Module
        Also a replica.
    """
    own = _parameters(module)
    for name, parameter in own.items():
        # As torch.nn.utils.prune and hooks do: `weight` is computed of `weight_orig`.
        computed = name.rpartition("_")[0]
        weights = module.__dict__.get(computed)
        if isinstance(weights, torch.Tensor) and computed not in own:
            yield computed, parameter
            yield computed, weights
        else:
            yield name, parameter
    parametrizations = getattr(module, "parametrizations", None)
    if isinstance(parametrizations, torch.nn.ModuleDict):
        for name, parts in parametrizations._modules.items():
            for part in parts.modules():
                for parameter in _parameters(part).values():
                    yield name, parameter
    if isinstance(module, LAYERS):
        for place in (module._buffers, module.__dict__):
            weight = place.get(WEIGHT)
            if isinstance(weight, torch.Tensor) and WEIGHT not in own:
                yield WEIGHT, weight


def _parameters(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters of a module itself. Those of a replica are no parameters any more."""
    found = [*getattr(module, "_former_parameters", {}).items(), *module._parameters.items()]
    return {name: one for name, one in found if one is not None and not torch.nn.parameter.is_lazy(one)}
