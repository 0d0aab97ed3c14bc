"""Watch what the products in the backward pass of a torch.autograd.Function receive."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from procrustes_model.training.operand_masks import (
    GRADIENTS,
    GRADIENTS_UPDATE,
    INPUTS_UPDATE,
    WEIGHTS_BACKWARD,
    Operand,
)
from procrustes_model.training.products import find_product, padded_mask, plain_name, tensors_in
from procrustes_model.training.provenance import Provenance
from procrustes_model.training.recorded_layer import Counted, RecordedLayer, choose_layer, count
from procrustes_model.training.watched_operators import Operators


def watch_function(
    node: Any,
    layers: Sequence[RecordedLayer],
    provenance: Provenance,
    is_on: Callable[[], bool],
    *,
    operands: bool = False,
) -> None:
    """Have the gradients counted that the products in a node of autograd receive.

    Counted are the operands of the products with the weights, which give the gradients of the inputs. Where
    there is none, those of the products that give the gradients of the weights: a Function may prune the one
    and not the other.

    Parameters
    ----------
    node : torch.autograd.function.BackwardCFunction
        What a Function left in the graph. It looks for `apply` in itself first.
    layers : sequence of RecordedLayer
        Whose products are in its forward pass.
    provenance : Provenance
        Which tensors are weights.
    is_on : callable
        Returns whether passes are recorded now.
    operands : bool
        Whether masks of inputs and gradients are noted, too. Those of weights always are.
    """
    carry_out = type(node).apply
    # A node that held itself would keep its tensors until the garbage is collected.
    reference = weakref.ref(node)

    def apply(*gradients: Any) -> Any:
        if not is_on():
            return carry_out(reference(), *gradients)
        watched = _Gradients(gradients, layers, provenance, operands)
        with Operators(watched.see, within_backward=True):
            result = carry_out(reference(), *gradients)
        watched.finish()
        return result

    node.apply = apply


class _How(NamedTuple):
    """How a gradient and another operand are multiplied.

    Attributes
    ----------
    is_left : bool, optional
        Whether the gradient is the first of two matrices; None in a convolution.
    padding : tuple of int, optional
        Of the inputs of a convolution; None where operands are not those of one layer as masks are kept.
    """

    is_left: bool | None = None
    padding: tuple[int, ...] | None = ()


class _Gradients:
    """Follows gradients through one backward pass of a Function."""

    def __init__(
        self, gradients: Any, layers: Sequence[RecordedLayer], provenance: Provenance, operands: bool
    ) -> None:
        self._layers = layers
        self._operands = operands
        self._provenance = provenance
        self._gradients = Provenance()
        self._gradients.flow(tensors_in(gradients))
        self._of_inputs: dict[RecordedLayer, Counted] = defaultdict(Counted)
        self._of_weights: dict[RecordedLayer, Counted] = defaultdict(Counted)

    def see(self, function: Any, arguments: Any, keywords: Any, result: Any) -> None:
        """Count what an operator receives, and follow its result."""
        if plain_name(function) == "convolution_backward":
            gradient, inputs, weights, _, _, padding, _, is_transposed, *_, wanted = arguments
            if self._gradients.flows(gradient):
                how = _How(padding=None if is_transposed else tuple(padding))
                for other, is_wanted in ((weights, wanted[0]), (inputs, wanted[1])):
                    if is_wanted:
                        self._multiply(gradient, other, how)
        else:
            found = find_product(function, arguments)
            if found is not None:
                left, right = found.operands
                flows = self._gradients.flows(left)
                if flows != self._gradients.flows(right):
                    how = _How(is_left=flows) if left.dim() == right.dim() == 2 else _How(padding=None)
                    self._multiply(*((left, right) if flows else (right, left)), how)
        tensors = list(tensors_in((arguments, keywords)))
        if any(map(self._gradients.flows, tensors)):
            self._gradients.flow(tensors_in(result))
        else:
            self._provenance.pass_on(tensors, tensors_in(result))

    def _multiply(self, gradient: Any, other: Any, how: _How) -> None:
        """Count a gradient that is multiplied with weights, or with what must be inputs."""
        sources = self._provenance.sources(other) & set(self._layers)
        if sources:
            layer = choose_layer(sources, other, self._layers)
            self._of_inputs[layer].add(count(gradient))
            self._receive(layer, WEIGHTS_BACKWARD, other, how, turned=how.is_left is False)
            if self._operands:
                self._receive(layer, GRADIENTS, gradient, how, turned=how.is_left is False)
        elif len(self._layers) == 1:
            layer = self._layers[0]
            self._of_weights[layer].add(count(gradient))
            if self._operands:
                self._receive(layer, INPUTS_UPDATE, other, how, turned=how.is_left is False)
                self._receive(layer, GRADIENTS_UPDATE, gradient, how, turned=how.is_left is True)

    @staticmethod
    def _receive(layer: RecordedLayer, operand: Operand, tensor: Any, how: _How, *, turned: bool) -> None:
        """Note which elements of an operand are not zero, as masks are kept."""
        mask = None
        if how.padding is None and operand == WEIGHTS_BACKWARD:
            return  # of several matrices: taken for those of the forward product
        if how.padding is not None:
            pads = how.padding if operand == INPUTS_UPDATE else ()
            mask = padded_mask(tensor.t() if turned else tensor, pads)
        layer.receive(operand, mask)

    def finish(self) -> None:
        """Hand over what was counted."""
        for layer, found in (self._of_weights | self._of_inputs).items():
            layer.gradients.add(found)
