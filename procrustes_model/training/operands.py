"""What the three products of a layer are given in place of its tensors, in PyTorch.

A layer that trains has three products: forward, weights with inputs; backward, weights with gradients of
outputs; weight update, inputs with gradients of outputs. Each may be given less than all of its operands.
Needs the optional dependency torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from procrustes_model.training.patterns import AXES, FLATTENED, NM, TopK
from procrustes_model.training.torch_library import torch

AS_FORWARD = "as forward"
"""Instead of parts: what the forward product is given."""


@dataclass(frozen=True)
class Bits:
    """Rounded to so many bits: to the nearest multiple of max(abs(x)) / (2^(bits - 1) - 1).

    Of two that are equally near the even one. The numbers stay floats.

    Attributes
    ----------
    bits : int
        From 2 to 24.

    Raises
    ------
    ValueError
        When they are not.
    """

    bits: int

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 24:
            raise ValueError(f"{self.bits} bits must be from 2 to 24")

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """Return the rounded numbers."""
        step = values.abs().max() / (2 ** (self.bits - 1) - 1) if values.numel() else values.sum()
        return torch.where(step > 0, (values / step).round() * step, values)


Part = NM | TopK | Bits
Parts = Part | Sequence[Part] | None
"""What becomes of an operand, one after the other; None: nothing."""


@dataclass(frozen=True)
class Operands:
    """What each product of a layer is given.

    Attributes
    ----------
    forward_weights, forward_inputs : pattern, Bits, sequence of both, or None
        None: as they are.
    backward_weights, backward_gradients
        Likewise; the weights may be 'as forward': the same numbers.
    update_inputs, update_gradients
        Likewise; the inputs may be 'as forward'. Biases get the sum of the gradients as they arrive.
    decay : float
        What the gradient of the weights gets in addition, of each call of the layer: decay (1 - mask) w, of
        the mask of the forward weights.

    Raises
    ------
    ValueError
        When a pattern is not one of this tensor, or there is a decay without a mask.
    """

    forward_weights: Parts = None
    forward_inputs: Parts = None
    backward_weights: Parts | str = AS_FORWARD
    backward_gradients: Parts = None
    update_inputs: Parts | str = AS_FORWARD
    update_gradients: Parts = None
    decay: float = 0.0

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            given = getattr(self, name)
            is_refused = given == AS_FORWARD and name not in _MAY_BE_AS_FORWARD
            for part in [given] if is_refused else list_parts(given):
                _check(name, kind, part)
        if not self.decay >= 0:
            raise ValueError(f"decay {self.decay} must be 0 or more")
        masks = [part for part in list_parts(self.forward_weights) if not isinstance(part, Bits)]
        if self.decay and not masks:
            raise ValueError("decay is of weights that forward_weights leave out, which have no mask here")


KINDS = {
    "forward_weights": "weights",
    "forward_inputs": "inputs",
    "backward_weights": "weights",
    "backward_gradients": "gradients",
    "update_inputs": "inputs",
    "update_gradients": "gradients",
}
"""By field of `Operands`: what tensor it is of."""

_MAY_BE_AS_FORWARD = ("backward_weights", "update_inputs")


def _check(name: str, kind: str, part: Any) -> None:
    """Raise ValueError unless something can become of an operand."""
    if not isinstance(part, (NM, TopK, Bits)):
        raise ValueError(f"{name}: {part!r} is neither NM(n, m), TopK(keep) nor Bits(bits)")
    if isinstance(part, NM) and part.along not in AXES[kind] and (part.along, kind) != (FLATTENED, "weights"):
        raise ValueError(f"{name}: {kind} have no dimension {part.along}, but {' and '.join(AXES[kind])}")


def list_parts(given: Parts | str) -> list[Part]:
    """Return what becomes of an operand, one after the other."""
    if given is None or given == AS_FORWARD:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]  # type: ignore[list-item]


def apply_parts(
    parts: Parts | str, values: torch.Tensor, kind: str
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return what an operand becomes, and which of its elements are kept.

    Parameters
    ----------
    parts : pattern, Bits, sequence of both, or None
    values : torch.Tensor
    kind : 'weights', 'inputs' or 'gradients'

    Returns
    -------
    values : torch.Tensor
        The same object where nothing becomes of it.
    mask : bool[...], optional
        By all patterns together; None where there is none.
    """
    kept = None
    for part in list_parts(parts):
        if isinstance(part, Bits):
            values = part.of(values)
        else:
            mask = mask_of(part, values, kind)
            values = values * mask
            kept = mask if kept is None else kept & mask
    return values, kept


def mask_of(pattern: NM | TopK, values: torch.Tensor, kind: str = "weights") -> torch.Tensor:
    """Return which elements of a tensor a pattern keeps, bool[...]; chosen on the CPU."""
    found = values.detach().to("cpu")
    if found.dtype not in (torch.float32, torch.float64):
        found = found.to(torch.float32)
    return torch.from_numpy(pattern.mask(found.numpy(), kind)).to(values.device)
