"""The three products of a layer, each with operands of its own, as one node of autograd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from procrustes_model.training.operands import AS_FORWARD, Operands, apply_parts
from procrustes_model.training.torch_library import torch

_ATEN = torch.ops.aten


@dataclass(frozen=True)
class MatrixProduct:
    """The products of a fully connected layer: inputs [N, C], weights [K, C], outputs [N, K]."""

    def forward(self, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        return inputs @ weights.t()

    def backward(
        self,
        gradients: torch.Tensor,
        weights: torch.Tensor,
        inputs: torch.Tensor,  # noqa: ARG002 - as Convolution
    ) -> torch.Tensor:
        """Return the gradients of the inputs, whose shape is that of `inputs`."""
        return gradients @ weights

    def update(
        self,
        gradients: torch.Tensor,
        inputs: torch.Tensor,
        weights: torch.Tensor,  # noqa: ARG002 - as Convolution
    ) -> torch.Tensor:
        """Return the gradients of the weights, whose shape is that of `weights`."""
        return gradients.t() @ inputs


@dataclass(frozen=True)
class Convolution:
    """The products of a convolution: inputs [N, C, ...], weights [K, C / groups, ...]."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def _settings(self) -> tuple[Any, ...]:
        none = [0] * len(self.stride)
        return (list(self.stride), list(self.padding), list(self.dilation), False, none, self.groups)

    def forward(self, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        return _ATEN.convolution(inputs, weights, None, *self._settings)

    def backward(self, gradients: torch.Tensor, weights: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return the gradients of the inputs, whose shape is that of `inputs`."""
        wanted = [True, False, False]
        return _ATEN.convolution_backward(gradients, inputs, weights, None, *self._settings, wanted)[0]

    def update(self, gradients: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the gradients of the weights, whose shape is that of `weights`."""
        wanted = [False, True, False]
        return _ATEN.convolution_backward(gradients, inputs, weights, None, *self._settings, wanted)[1]


class ThreeProducts(torch.autograd.Function):  # type: ignore[misc]  # torch is optional: nothing is known
    """A layer without its bias."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: torch.Tensor,
        weights: torch.Tensor,
        product: MatrixProduct | Convolution,
        operands: Operands,
    ) -> torch.Tensor:
        """Return the outputs, and keep what the other two products need."""
        used_weights, mask = apply_parts(operands.forward_weights, weights, "weights")
        used_inputs, _ = apply_parts(operands.forward_inputs, inputs, "inputs")
        backward_weights, update_inputs = used_weights, used_inputs
        if operands.backward_weights != AS_FORWARD:
            backward_weights, _ = apply_parts(operands.backward_weights, weights, "weights")
        if operands.update_inputs != AS_FORWARD:
            update_inputs, _ = apply_parts(operands.update_inputs, inputs, "inputs")
        decays = operands.decay > 0 and mask is not None
        ctx.save_for_backward(update_inputs, backward_weights, *((weights, mask) if decays else ()))
        ctx.product, ctx.operands = product, operands
        return product.forward(used_inputs, used_weights)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of inputs and weights."""
        inputs, weights, *decaying = ctx.saved_tensors
        operands, product = ctx.operands, ctx.product
        of_inputs = of_weights = None
        if ctx.needs_input_grad[0]:
            used, _ = apply_parts(operands.backward_gradients, gradients, "gradients")
            of_inputs = product.backward(used, weights, inputs)
        if ctx.needs_input_grad[1]:
            used, _ = apply_parts(operands.update_gradients, gradients, "gradients")
            of_weights = product.update(used, inputs, weights)
            if decaying:
                kept, mask = decaying
                of_weights = of_weights + operands.decay * (~mask * kept)
        return of_inputs, of_weights, None, None
