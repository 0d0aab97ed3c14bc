"""Watch what the products in the backward pass of a torch.autograd.Function receive."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from procrustes_model.training.products import find_product, plain_name, tensors_in
from procrustes_model.training.provenance import Provenance
from procrustes_model.training.recorded_layer import Counted, RecordedLayer, choose_layer, count
from procrustes_model.training.watched_operators import Operators


def watch_function(
    node: Any, layers: Sequence[RecordedLayer], provenance: Provenance, is_on: Callable[[], bool]
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
    """
    carry_out = type(node).apply
    # A node that held itself would keep its tensors until the garbage is collected.
    reference = weakref.ref(node)

    def apply(*gradients: Any) -> Any:
        if not is_on():
            return carry_out(reference(), *gradients)
        watched = _Gradients(gradients, layers, provenance)
        with Operators(watched.see, within_backward=True):
            result = carry_out(reference(), *gradients)
        watched.finish()
        return result

    node.apply = apply


class _Gradients:
    """Follows gradients through one backward pass of a Function."""

    def __init__(self, gradients: Any, layers: Sequence[RecordedLayer], provenance: Provenance) -> None:
        self._layers = layers
        self._provenance = provenance
        self._gradients = Provenance()
        self._gradients.flow(tensors_in(gradients))
        self._of_inputs: dict[RecordedLayer, Counted] = defaultdict(Counted)
        self._of_weights: dict[RecordedLayer, Counted] = defaultdict(Counted)

    def see(self, function: Any, arguments: Any, keywords: Any, result: Any) -> None:
        """Count what an operator receives, and follow its result."""
        if plain_name(function) == "convolution_backward":
            gradient, inputs, weights, *_, wanted = arguments
            if self._gradients.flows(gradient):
                for other, is_wanted in ((weights, wanted[0]), (inputs, wanted[1])):
                    if is_wanted:
                        self._multiply(gradient, other)
        else:
            found = find_product(function, arguments)
            if found is not None:
                left, right = found.operands
                flows = self._gradients.flows(left)
                if flows != self._gradients.flows(right):
                    self._multiply(*((left, right) if flows else (right, left)))
        tensors = list(tensors_in((arguments, keywords)))
        if any(map(self._gradients.flows, tensors)):
            self._gradients.flow(tensors_in(result))
        else:
            self._provenance.pass_on(tensors, tensors_in(result))

    def _multiply(self, gradient: Any, other: Any) -> None:
        """Count a gradient that is multiplied with weights, or with what must be inputs."""
        sources = self._provenance.sources(other) & set(self._layers)
        if sources:
            layer = choose_layer(sources, other, self._layers)
            self._of_inputs[layer].add(count(gradient))
        elif len(self._layers) == 1:
            self._of_weights[self._layers[0]].add(count(gradient))

    def finish(self) -> None:
        """Hand over what was counted."""
        for layer, found in (self._of_weights | self._of_inputs).items():
            layer.gradients.add(found)
