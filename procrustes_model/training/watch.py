"""Watch what convolutions and matrix products receive while a model trains, forward and backward.

While a module of the model runs, every operator below autograd is seen. A product is a layer's where one
operand is computed of the layer's weights alone and the other one of activations. Its gradients are what the
node of autograd receives that belongs to it. A torch.autograd.Function hides its products from autograd: the
operators of its backward pass are watched in the same way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch.utils.weak import TensorWeakRef

from procrustes_model.training.names import WEIGHT, is_parametrization
from procrustes_model.training.operand_masks import GRADIENTS, INPUTS
from procrustes_model.training.products import Product, find_product, output_mask, tensors_in
from procrustes_model.training.provenance import Provenance, storage_of
from procrustes_model.training.recorded_layer import (
    LAYERS,
    Counted,
    RecordedLayer,
    choose_layer,
    count,
    held_weights,
)
from procrustes_model.training.torch_library import torch
from procrustes_model.training.watched_backward import watch_function
from procrustes_model.training.watched_operators import Operators


@dataclass(eq=False)
class _Running:
    """A module that runs.

    Attributes
    ----------
    name : str
    module : torch.nn.Module
    counts : bool
        Whether what it multiplies is recorded.
    given : set of storages
        What it was called with, where that is taken for activations whatever it is.
    mode : object, optional
        What sees operators, if it is the outermost one.
    weight : torch.Tensor, optional
        Its attribute of that name that is no parameter.
    """

    name: str
    module: Any
    counts: bool
    given: set[Any]
    mode: Any = None
    weight: Any = None


@dataclass(eq=False)
class _Hidden:
    """A product without gradients of its own: in the forward pass of a Function, or without any interest."""

    layer: RecordedLayer
    weights: torch.Tensor
    inputs: Counted
    mask: Any
    first: int


class _Thread(threading.local):
    """What runs in one thread, and what is not settled yet there.

    Attributes
    ----------
    running : list of _Running
        The innermost one is the last.
    seen : list
        Results of products of which autograd makes a node.
    hidden : list of _Hidden
    results : list
        References to what was computed since the first of them.
    """

    def __init__(self) -> None:
        self.running: list[_Running] = []
        self.seen: list[tuple[torch.Tensor, RecordedLayer, Product, int]] = []
        self.hidden: list[_Hidden] = []
        self.results: list[Any] = []

    def forget(self) -> None:
        """Forget what is not settled."""
        self.seen.clear()
        self.hidden.clear()
        self.results.clear()


class Watch:
    """Hooks on the modules of a model that find its layers and count what their products receive.

    Parameters
    ----------
    model : torch.nn.Module
    is_on : callable
        Returns whether passes are recorded now.
    operands : bool
        Whether masks of inputs and of gradients are noted, too.
    """

    def __init__(self, model: torch.nn.Module, is_on: Callable[[], bool], *, operands: bool = False) -> None:
        self._is_on = is_on
        self._operands = operands
        self._modules = {name: one for name, one in model.named_modules() if not is_parametrization(name)}
        self._layers: dict[tuple[str, str], RecordedLayer] = {}
        self._provenance = Provenance()
        self._thread = _Thread()
        self._handles: list[Any] = []
        for name, module in self._modules.items():
            if isinstance(module, LAYERS):
                self._layer(name, WEIGHT)

    def start(self) -> None:
        """Add the hooks."""
        for name, module in self._modules.items():
            if isinstance(module, torch.jit.ScriptModule):
                # It has no hooks; the module around it sees its operators.
                continue
            enter, leave = self._hooks(name)
            # Last before, first after it: what hooks make of inputs is seen, and several recorders nest.
            self._handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            self._handles.append(module.register_forward_hook(leave, prepend=True, always_call=True))

    def stop(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.end_step()

    def end_step(self) -> None:
        """Forget where tensors come from, and what an interrupted forward pass has left."""
        self._unwind(0)
        self._thread.forget()
        self._provenance.clear()

    def layers(self) -> list[RecordedLayer]:
        """Return the layers in the order of the model: those that are always recorded, and those seen."""
        found = [one for one in list(self._layers.values()) if one.is_main or one.seen]
        return sorted(found, key=lambda one: one.order)

    def _layer(self, place: str, tensor: str) -> RecordedLayer | None:
        """Return a layer, a new one where it was not met yet; None in a module that is not the model's."""
        if place not in self._modules:
            return None
        found = self._layers.get((place, tensor))
        if found is None:
            order = (list(self._modules).index(place), sum(one == place for one, _ in list(self._layers)))
            new = RecordedLayer(place, tensor, self._modules[place], order)
            found = self._layers.setdefault((place, tensor), new)
        return found

    def _hooks(self, name: str) -> tuple[Any, Any]:
        """Return the hooks of a module; they are plain functions, since those are not copied with it."""

        def enter(module: torch.nn.Module, arguments: Any, keywords: Any) -> None:
            self._enter(name, module, (arguments, keywords))

        def leave(module: torch.nn.Module, arguments: Any, output: Any) -> None:  # noqa: ARG001
            self._leave(module)

        return torch.compiler.disable(enter), torch.compiler.disable(leave)

    def _enter(self, name: str, module: torch.nn.Module, given: Any) -> None:
        """Note that a module begins to run."""
        thread = self._thread
        is_ours = self._modules[name] is module or bool(getattr(module, "_is_replica", False))
        counts = is_ours and self._is_on() and module.training and torch.is_grad_enabled()
        if not counts and not thread.running:
            return
        running = _Running(name, module, counts, set())
        if is_ours:
            self._hold(name, module, deep=not thread.running)
        tensors = list(tensors_in(given))
        self._provenance.give(tensors)
        if isinstance(module, LAYERS):
            own = {storage_of(one) for _, one in held_weights(module)}
            running.given = {storage_of(one) for one in tensors} - own - {None}
        if thread.running:
            self._settle()
        else:
            running.mode = Operators(self._see, self._settle)
            running.mode.__enter__()
        thread.running.append(running)

    def _leave(self, module: torch.nn.Module) -> None:
        """Note that a module has run, or has failed."""
        running = self._thread.running
        places = [place for place, one in enumerate(running) if one.module is module]
        if places:
            self._settle()
            self._unwind(places[-1])

    def _unwind(self, length: int) -> None:
        """Leave all modules but the outermost `length` ones."""
        running = self._thread.running
        while len(running) > length:
            mode = running.pop().mode
            if mode is not None:
                mode.leave()
                self._thread.forget()

    def _hold(self, name: str, module: torch.nn.Module, *, deep: bool) -> None:
        """Note what a module holds, and what the modules in it do."""
        for inner, one in module.named_modules() if deep else [("", module)]:
            place = f"{name}.{inner}" if name and inner else name or inner
            if is_parametrization(place):
                continue
            for tensor, held in held_weights(one):
                self._provenance.hold(held, self._layer(place, tensor))
            for buffer in one._buffers.values():
                if buffer is not None:
                    self._provenance.hold(buffer)

    def _hold_computed(self, running: _Running) -> None:
        """Note what a hook has set as the weights of a layer since it began to run."""
        weight = running.module.__dict__.get(WEIGHT)
        if weight is not running.weight and isinstance(weight, torch.Tensor):
            running.weight = weight
            if isinstance(running.module, LAYERS):
                self._provenance.hold(weight, self._layer(running.name, WEIGHT))

    def _see(self, function: Any, arguments: Any, keywords: Any, result: Any) -> None:
        """Find the layer whose product an operator is, or else follow its result."""
        thread = self._thread
        if not thread.running:
            return
        running = thread.running[-1]
        self._hold_computed(running)
        found = find_product(function, arguments)
        claim = self._claim(found, running) if found else None
        if found is None or claim is None:
            given = running.given
            self._provenance.pass_on(tensors_in((arguments, keywords)), tensors_in(result), given)
        else:
            self._provenance.flow(tensors_in(result))
            if running.counts:
                layer, side = claim
                weights, inputs = found.weights(side), count(found.operands[1 - side])
                mask = found.input_mask(side) if self._operands else None
                if torch.is_grad_enabled():
                    self._multiply(layer, weights, inputs, mask)
                    thread.seen.append((result, layer, found, side))
                else:
                    thread.hidden.append(_Hidden(layer, weights, inputs, mask, len(thread.results)))
        if thread.hidden:
            # Those that have a node already are the results of earlier Functions.
            new = (one for one in tensors_in(result) if one.grad_fn is None)
            thread.results += [TensorWeakRef(one) for one in new]

    def _multiply(self, layer: RecordedLayer, weights: torch.Tensor, inputs: Counted, mask: Any) -> None:
        """Note a product of the forward pass."""
        layer.multiply(weights, inputs)
        if self._operands:
            layer.receive(INPUTS, mask)

    def _claim(self, found: Product, running: _Running) -> tuple[RecordedLayer, int] | None:
        """Return whose product one is, and which operand is its weights; None if it is no layer's."""
        sources = [self._provenance.sources(one) for one in found.operands]
        flows = [self._provenance.flows(one, running.given) for one in found.operands]
        own = self._layers.get((running.name, WEIGHT)) if isinstance(running.module, LAYERS) else None
        for side in (1, 0):
            if sources[side] and flows[1 - side] and not (flows[side] and own not in sources[side]):
                return choose_layer(sources[side], found.operands[side], self._of(running)), side
        if own is not None and not sources[1] and flows[0]:
            # Computed where nobody watched, or of activations.
            shapes = {tuple(one.shape) for tensor, one in held_weights(running.module) if tensor == WEIGHT}
            if tuple(found.weights(1).shape) in shapes:
                return own, 1
        return None

    def _of(self, running: _Running) -> list[RecordedLayer]:
        """Return the layers that are parts of a module itself."""
        return [layer for (place, _), layer in list(self._layers.items()) if place == running.name]

    def _settle(self) -> None:
        """Find the nodes that autograd has made of products seen, as soon as they are there."""
        thread = self._thread
        for result, layer, found, side in thread.seen:
            node = result.grad_fn
            if node is not None and _multiplies(node, found):
                node.register_prehook(self._counter(layer, found, side))
        thread.seen.clear()
        if not torch.is_grad_enabled() or not thread.hidden:
            return
        # Counting is made of operators, too, before each of which this is called.
        products, results = list(thread.hidden), list(thread.results)
        thread.forget()
        functions: dict[Any, list[_Hidden]] = {}
        for hidden in products:
            node = _function_of(results[hidden.first :])
            if node is not None:
                self._multiply(hidden.layer, hidden.weights, hidden.inputs, hidden.mask)
                functions.setdefault(node, []).append(hidden)
        for node, parts in functions.items():
            layers = list(dict.fromkeys(part.layer for part in parts))
            watch_function(node, layers, self._provenance, self._is_on, operands=self._operands)

    def _counter(self, layer: RecordedLayer, found: Product, side: int) -> Callable[[Any], None]:
        """Return the hook of a node that counts the gradients that a layer's product receives."""
        # A hook that held the product would keep its tensors.
        padding = found.padding

        def add(gradients: Any) -> None:
            if self._is_on():
                for gradient in tensors_in(gradients):
                    layer.gradients.add(count(gradient))
                    if self._operands:
                        layer.receive(GRADIENTS, output_mask(gradient, padding, side))

        return add


def _multiplies(node: Any, found: Product) -> bool:
    """Return whether a node multiplies its gradients: it need not where only the bias is trained."""
    following = node.next_functions
    return any(following[place][0] is not None for place in found.places if place < len(following))


def _function_of(results: Iterable[Any]) -> Any:
    """Return the node of the Function that some of the tensors referred to are results of, None of none."""
    for reference in results:
        tensor = reference()
        if tensor is not None and isinstance(tensor.grad_fn, torch.autograd.function.BackwardCFunction):
            return tensor.grad_fn
    return None
