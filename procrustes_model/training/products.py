"""The operands of convolutions and matrix products, as PyTorch's operators receive them.

Operators are those below autograd: what modules, functions and composite operators come down to, after casts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.training.torch_library import torch

_MATRIX_PRODUCTS = {
    "mm": (0, 1),
    "bmm": (0, 1),
    "mv": (0, 1),
    "dot": (0, 1),
    "addmm": (1, 2),
    "addbmm": (1, 2),
    "baddbmm": (1, 2),
    "addmv": (1, 2),
    "_addmm_activation": (1, 2),
    "_int_mm": (0, 1),
    "_scaled_mm": (0, 1),
    "vdot": (0, 1),
}
_WEIGHTS_LAST = {
    "linear": (0, 1),
    "convolution": (0, 1),
    "_convolution": (0, 1),
    "_weight_int8pack_mm": (0, 1),
}
_CONVOLUTIONS = ("convolution", "_convolution")
_PLACES = _MATRIX_PRODUCTS | _WEIGHTS_LAST
"""By ATen operator: which arguments it multiplies."""


@dataclass(frozen=True, eq=False)
class Product:
    """What one operator multiplies.

    Attributes
    ----------
    operator : str
        Of ATen.
    operands : tuple of two torch.Tensor
        In a convolution and a linear layer the second holds weights; in other products either may.
    places : tuple of two int
        Which of the operator's tensors they are.
    padding : tuple of int, optional
        Zeros that a convolution adds at both ends of its inputs, by dimension; None where its inputs are
        spread, as those of a transposed one.
    """

    operator: str
    operands: tuple[torch.Tensor, torch.Tensor]
    places: tuple[int, int]
    padding: tuple[int, ...] | None = ()

    def weights(self, side: int) -> torch.Tensor:
        """Return an operand as weights are kept: in a matrix product outputs first, [K, C].

        Parameters
        ----------
        side : int
            0 or 1, which operand.

        Returns
        -------
        torch.Tensor
            [K, C, ...] of a convolution, [C, K, ...] of a transposed one, else [K, C], or several of them
            where the operator multiplies several matrices.
        """
        found = self.operands[side]
        if self.operator in _WEIGHTS_LAST:
            return found
        if found.dim() == 1:
            return found.unsqueeze(0)
        if found.dim() == 3 and (found.shape[0] == 1 or found.stride(0) == 0):
            # One matrix for all of a batch.
            found = found[0]
        return found.transpose(-1, -2) if side else found

    def input_mask(self, side: int) -> Any:
        """Return which inputs of a layer are not zero, as masks are kept.

        Parameters
        ----------
        side : int
            0 or 1, which operand the weights are.

        Returns
        -------
        bool[N, C, ...] or None
            With the padding of a convolution. None where the operator has several matrices, or spreads them.
        """
        found = self.operands[1 - side].detach()
        if self.operator in _CONVOLUTIONS:
            return None if self.padding is None else padded_mask(found, self.padding)
        if found.dim() != 2:
            return None
        return mask_of(found if side else found.t())


def find_product(function: Any, arguments: Sequence[Any]) -> Product | None:
    """Return what a call of an operator multiplies; None where it is no convolution or matrix product."""
    operator = plain_name(function)
    places = _PLACES.get(operator)
    if places is None:
        return None
    first, second = arguments[places[0]], arguments[places[1]]
    padding: tuple[int, ...] | None = ()
    if operator in _CONVOLUTIONS:
        padding = None if arguments[6] else tuple(arguments[4])
    return Product(operator, (first, second), places, padding)


def plain_name(function: Any) -> str:
    """Return the name of one of ATen's operators without its overload, of others an empty text."""
    namespace, _, name = function.name().partition("::")
    return name.partition(".")[0] if namespace == "aten" else ""


def tensors_in(found: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of arguments or results, also those in tuples, lists and dictionaries."""
    if isinstance(found, torch.Tensor):
        yield found
    elif isinstance(found, (tuple, list)):
        for one in found:
            yield from tensors_in(one)
    elif isinstance(found, dict):
        yield from tensors_in(list(found.values()))


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor with its zeros in place, whatever its layout."""
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def output_mask(gradient: torch.Tensor, padding: tuple[int, ...] | None, side: int) -> Any:
    """Return which gradients of a layer's outputs are not zero, as masks are kept.

    Parameters
    ----------
    gradient : torch.Tensor
        Of what an operator returned.
    padding : tuple of int or None
        Of the operator, see `Product`.
    side : int
        0 or 1, which operand the weights were.

    Returns
    -------
    bool[N, K, ...] or None
        None where the operator has several matrices, or spreads inputs.
    """
    if padding:
        return mask_of(gradient)
    if padding is None or gradient.dim() != 2:
        return None
    return mask_of(gradient if side else gradient.t())


def mask_of(tensor: torch.Tensor) -> NDArray[np.bool_]:
    """Return which elements of a tensor are not zero."""
    found: NDArray[np.bool_] = np.ascontiguousarray((dense(tensor.detach()) != 0).to("cpu").numpy())
    return found


def padded_mask(inputs: torch.Tensor, padding: Sequence[int]) -> NDArray[np.bool_]:
    """Return which inputs of a convolution are not zero, with those that it adds: bool[N, C, ...]."""
    mask = mask_of(inputs)
    return np.pad(mask, ((0, 0), (0, 0), *((one, one) for one in padding))) if any(padding) else mask
