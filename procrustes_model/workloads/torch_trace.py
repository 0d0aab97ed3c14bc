"""What a PyTorch module multiplies while it runs once, and which operand of each product is weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from procrustes_model.training.names import is_parametrization
from procrustes_model.training.products import Product, find_product, plain_name, tensors_in
from procrustes_model.training.torch_library import torch
from procrustes_model.workloads.imports import Collector
from procrustes_model.workloads.torch_operators import multiplies_nothing
from procrustes_model.workloads.torch_weights import Held, Weights, is_transposed, part_of

_OF_WEIGHTS = "a product of weights only, once for all samples"
_RECURRENT = (torch.nn.RNNBase, torch.nn.RNNCellBase)
_SEQUENCE_FIRST = (torch.nn.RNNBase, torch.nn.MultiheadAttention)


@dataclass(eq=False)
class Multiplied:
    """What becomes a layer.

    Attributes
    ----------
    name : str
    held : Held, optional
        What its weights are computed of; None: nothing that the module keeps.
    prepared : bool
        Whether nothing in it depends on the samples.
    mask : bool tensor, optional
        Which weights are not zero, as they are kept.
    """

    name: str
    held: Held | None
    prepared: bool = False
    mask: Any = None

    def kept_mask(self) -> Any:
        """Return the mask as a checkpoint keeps the weights."""
        return self.mask

    def add_to(self, collector: Collector) -> bool:
        """Add it to the layers, or say why not; return whether it is one now."""
        raise NotImplementedError


@dataclass(eq=False)
class Convolved(Multiplied):
    """A convolution; fields are as `Collector.convolve` takes them."""

    fields: Any = None

    def add_to(self, collector: Collector) -> bool:
        """Add it to the layers, or say why not; return whether it is one now."""
        if self.prepared and self.fields["images"] % collector.batch:
            collector.note(f"'{self.name}': {_OF_WEIGHTS}")
            return False
        return collector.convolve(self.name, **self.fields)


@dataclass(eq=False)
class MultipliedMatrices(Multiplied):
    """Products of matrices; fields are as `Collector.multiply` takes them.

    Attributes
    ----------
    transposed : bool
        Whether weights are kept with the inputs first.
    groups : int
        Matrices of weights, one beside the other.
    flat : bool
        Whether no axis of samples is left in two activations.
    """

    rows: int = 1
    inner: int = 1
    columns: int = 1
    weights: bool = False
    copies: int = 1
    transposed: bool = False
    groups: int = 1
    flat: bool = False

    def kept_mask(self) -> Any:
        """Return the mask as a checkpoint keeps the weights."""
        mask = self.mask if self.groups > 1 else self.mask[0]
        return mask.transpose(-1, -2).contiguous() if self.transposed else mask

    def add_to(self, collector: Collector) -> bool:
        """Add it to the layers, or say why not; return whether it is one now."""
        if self.prepared and (self.flat or self.rows * self.copies % collector.batch):
            collector.note(f"'{self.name}': {_OF_WEIGHTS}")
            return False
        if self.flat and collector.batch > 1:
            # The rows, or what is summed over, hold all samples.
            collector.leave_out(f"'{self.name}': a product across samples; import it with a batch of 1")
            return False
        return collector.multiply(
            self.name,
            self.rows,
            self.inner,
            self.columns,
            weights=self.weights,
            copies=self.copies,
            inputs_first=self.transposed,
            groups=self.groups,
        )


@dataclass(eq=False)
class LeftOut(Multiplied):
    """What cannot be a layer, or need not be one."""

    reason: str = ""

    def add_to(self, collector: Collector) -> bool:
        """Say so."""
        add = collector.note if self.prepared else collector.leave_out
        add(f"'{self.name}': {self.reason}")
        return False


class Trace:
    """Follows a run: knows which module runs, and gathers what is multiplied, in order.

    Parameters
    ----------
    model : torch.nn.Module
    given : sequence of torch.Tensor
        What it is called with.
    with_masks : bool
        Whether to keep which weights are not zero.
    """

    def __init__(self, model: torch.nn.Module, given: Sequence[torch.Tensor], *, with_masks: bool) -> None:
        self._model = model
        self._given = given
        self._with_masks = with_masks
        self._running: list[tuple[str, Any]] = []
        self._recurrent: dict[Any, MultipliedMatrices] = {}
        self.weights = Weights(model, given)
        self.found: list[Multiplied] = []
        self.is_sequence_first = False

    def watch(self) -> Iterable[Any]:
        """Yield handles of hooks that follow which module runs."""
        for path, module in self._model.named_modules():
            if isinstance(module, torch.jit.ScriptModule) or is_parametrization(path):
                continue
            place = self.weights.places[path]

            def enter(module: Any, arguments: Any, keywords: Any, place: str = place) -> None:
                self._enter(place, module, (arguments, keywords))

            yield module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True)
            yield module.register_forward_hook(self._leave, always_call=True)

    def _enter(self, place: str, module: Any, given: Any) -> None:
        self._running.append((place, module))
        first = next(tensors_in(given), None)
        example = self._given[0] if self._given else None
        if isinstance(module, _SEQUENCE_FIRST) and not module.batch_first:
            # Steps, samples, features.
            sizes = None if first is None or first.dim() != 3 else first.shape[:2]
            if example is not None and example.dim() > 1 and example.shape[:2] == sizes:
                self.is_sequence_first = True

    def _leave(self, *_: Any) -> None:
        self._running.pop()

    @property
    def _place(self) -> str:
        return self._running[-1][0] if self._running else ""

    def unused(self, layers: Iterable[Multiplied]) -> tuple[list[str], list[tuple[str, str]]]:
        """Return what the model keeps that is no layer's weights, and other names of those that are."""
        used = [one.held for one in layers if one.held is not None]
        names = {one.name for one in used}
        storages = {storage: held.name for held in used for storage in held.storages}
        other, tied = [], []
        for held in self.weights.all:
            if held.name in names:
                continue
            layer = next((storages[one] for one in held.storages if one in storages), None)
            other.append(held.name)
            if layer is not None:
                tied.append((held.name, layer))
        return other, tied

    def see(self, function: Any, arguments: Any, keywords: Any, result: Any) -> None:
        """Take what an operator multiplies, and follow its result."""
        received, results = list(tensors_in((arguments, keywords))), list(tensors_in(result))
        products = list(_products(function, arguments))
        for product in products:
            if not self._take(product, arguments):
                products = []
        if find_product(function, arguments) is None and not products and not multiplies_nothing(function):
            prepared = not any(map(self.weights.is_of_samples, received))
            reason = f"operator {_title(function)}" + (" of weights only" if prepared else "")
            self.found.append(LeftOut(self._module_name(function), None, prepared, reason=reason))
        self.weights.pass_on(received, results, flow=bool(products))

    def _module_name(self, function: Any) -> str:
        named = (place for place, _ in reversed(self._running) if place)
        return next(named, "") or function.name().partition("::")[2].partition(".")[0]

    def _take(self, product: Product, arguments: Any) -> bool:
        """Add a product; return False where its result is weights again."""
        name = next((place for place, _ in reversed(self._running) if place), product.operator)
        static = [not self.weights.flows(one) for one in product.operands]
        prepared = not any(map(self.weights.is_of_samples, product.operands))
        if all(static):
            side = self._applied(product)
            if side is None:
                self.found.append(LeftOut(name, None, prepared=True, reason=_OF_WEIGHTS))
                return False
        else:
            side = 1 if static[1] else 0 if static[0] else None
            no_samples = _is_convolution(product) or all(one.dim() <= 2 for one in product.operands)
            if side is None and no_samples and not self.weights.is_of_samples(product.operands[1]):
                # Layers made it of weights alone, and no axis of it counts samples.
                side = 1
        if _is_convolution(product):
            self._convolution(name, product, side, prepared, arguments)
        else:
            self._product(name, product, side, prepared)
        return True

    def _applied(self, product: Product) -> int | None:
        """Return which of two operands, neither computed of the samples, a module applies as its weights.

        It is a parameter of the module that runs, where the other one is not its own.
        """
        own = self.weights.of(self._place)
        sources = [self.weights.sources(one) for one in product.operands]
        for side in (1, 0):
            found = {one for one in sources[side] & own if one.is_parameter}
            if found and not (sources[1 - side] and sources[1 - side] <= own):
                return side
        return None

    def _convolution(
        self, name: str, product: Product, side: int | None, prepared: bool, arguments: Any
    ) -> None:
        inputs, weight = product.operands
        if side != 1:
            reason = "a convolution with weights computed of activations"
            self.found.append(LeftOut(name, None, reason=reason))
            return
        if product.operator == "deform_conv2d":
            stride, padding, dilation = (tuple(arguments[place : place + 2]) for place in (5, 7, 9))
            transposed, groups = False, arguments[11]
        else:
            _, _, _, stride, padding, dilation, transposed, _, groups = arguments[:9]
        axes = weight.dim() - 2
        stride, padding, dilation = (
            tuple(value) * (axes if len(value) == 1 else 1) for value in (stride, padding, dilation)
        )
        held = self.weights.source(weight, self._place)
        fields = {
            "weight": tuple(map(int, weight.shape)),
            "size": tuple(map(int, inputs.shape[2:])),
            "groups": int(groups),
            "stride": stride,
            "dilation": dilation,
            "before": padding,
            "images": int(inputs.shape[0]),
            "transposed": bool(transposed),
        }
        mask = self._mask(weight)
        self.found.append(Convolved(*self._name(name, held, weight), prepared, mask, fields))

    def _name(self, name: str, held: Held | None, weight: torch.Tensor) -> tuple[str, Held | None]:
        """Return what weights are called, and what they are computed of where it is as many or a part."""
        if held is None:
            return name, None
        part = part_of(weight, held)
        return (held.name + part, held) if part or weight.numel() == held.elements else (name, None)

    def _mask(self, weight: torch.Tensor) -> Any:
        return (weight.detach() != 0).cpu() if self._with_masks else None

    def _product(self, name: str, product: Product, side: int | None, prepared: bool) -> None:
        """Add the product of two matrices, or of two equally long rows of matrices."""
        left, right = (one.reshape(-1, one.shape[-1]) if one.dim() == 0 else one for one in product.operands)
        if product.operator in ("linear", "_weight_int8pack_mm"):
            left, right = left.reshape(-1, left.shape[-1]), right.t()
        left = left.unsqueeze(0) if left.dim() == 1 else left
        right = right.unsqueeze(-1) if right.dim() == 1 else right
        if side == 0:
            # W X is (X' W')'.
            left, right = right.transpose(-1, -2), left.transpose(-1, -2)
        rows, inner, columns = int(left.shape[-2]), int(left.shape[-1]), int(right.shape[-1])
        copies = math.prod(map(int, left.shape[:-2]))
        if side is None:
            flat = left.dim() == 2
            sizes = (rows, inner, columns)
            self.found.append(
                MultipliedMatrices(name, None, prepared, None, *sizes, False, copies, flat=flat)
            )
            return
        held = self.weights.source(product.operands[side], self._place)
        matrices = _distinct(right, held)
        kept = matrices.transpose(-1, -2)
        self._weights_product(
            MultipliedMatrices(
                *self._name(name, held, kept),
                prepared,
                self._mask(kept),
                rows * copies // len(matrices),
                inner,
                columns,
                weights=True,
                transposed=is_transposed(kept, held),
                groups=len(matrices),
            )
        )

    def _weights_product(self, new: MultipliedMatrices) -> None:
        """Add a product with weights; steps of a recurrent layer are rows of one."""
        if not (self._running and isinstance(self._running[-1][1], _RECURRENT)):
            self.found.append(new)
            return
        key = (new.name, new.inner, new.columns)
        old = self._recurrent.setdefault(key, new)
        if old is new:
            self.found.append(new)
            return
        old.rows += new.rows
        if old.mask is not None:
            old.mask |= new.mask


def _distinct(right: torch.Tensor, held: Held | None) -> torch.Tensor:
    """Return the different ones of matrices of weights, [copies, inputs, outputs] or a single one."""
    right = right.unsqueeze(0) if right.dim() == 2 else right
    copies, size = int(right.shape[0]), math.prod(map(int, right.shape[1:]))
    count = 1 if right.stride(0) == 0 else copies
    if held is not None and size and held.elements % size == 0:
        # Copied for every sample.
        there = max(1, held.elements // size)
        count = there if count % there == 0 else count
    return right[:count]


def _products(function: Any, arguments: Any) -> Iterable[Product]:
    """Yield what an operator multiplies."""
    found = find_product(function, arguments)
    if found is not None:
        yield found
    elif plain_name(function) == "mkldnn_rnn_layer":
        inputs, weight, recurrent, *_ = arguments
        rows = inputs.reshape(-1, inputs.shape[-1])
        yield Product("linear", (rows, weight), (0, 1))
        # As many rows of the state, computed of them.
        yield Product("linear", (rows[:, :1].expand(-1, recurrent.shape[1]), recurrent), (0, 1))
    elif function.name() == "torchvision::deform_conv2d":
        yield Product("deform_conv2d", (arguments[0], arguments[1]), (0, 1))


def _is_convolution(product: Product) -> bool:
    return product.operator in ("convolution", "_convolution", "deform_conv2d")


def _title(function: Any) -> str:
    return str(function.name()).partition(".")[0]
