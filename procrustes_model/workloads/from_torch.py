"""Networks from PyTorch modules: what they multiply while a sample passes them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network import Network
from procrustes_model.workloads.imports import Collector

if TYPE_CHECKING:
    from procrustes_model.training.masks import MaskFile
    from procrustes_model.workloads.torch_trace import Multiplied, Trace


def network_from_torch(
    module: Any,
    example_input: Any,
    *,
    name: str | None = None,
    batch: int | None = None,
    batch_axis: int | None = None,
    partial: bool = False,
) -> Network:
    """Return the layers that multiply in a PyTorch module, with their shapes, in the order of their use.

    The module runs once on the example, in evaluation mode and without gradients; every convolution and
    matrix product that PyTorch carries out is recorded, whether a layer or a function asked for it. What is
    computed of parameters and buffers alone is weights: pruned, parametrized, normalised, quantised. A layer
    that is used several times counts each time, also its weights; the steps of a recurrent one are rows of
    one product. Biases, normalisation, pooling and elementwise products are no layers.

    Parameters
    ----------
    module : torch.nn.Module
        On the device 'meta' nothing is computed. What the run writes into its buffers is undone.
    example_input : torch.Tensor, or tuple, list or dict of what the module takes
        An axis of the first tensor counts samples; all others are as in training.
    name : str, optional
        The module's class where it is not given.
    batch : int, optional
        Samples per training step that the network is to have; those of the example where it is not given.
    batch_axis : int, optional
        Which axis of the first tensor counts samples. Where it is not given, the first one, or the second one
        where the example goes to one of PyTorch's own sequence-first layers: recurrent ones and attention
        without ``batch_first``.
    partial : bool
        Leave out operators that cannot be layers, and list them in the network's description, instead of
        raising.

    Returns
    -------
    Network
        Layers are named like the parameters that hold their weights, without ``.weight``, so that they match
        the module's checkpoints; those that multiply with a part of a parameter, as attention may, have it as
        an index, such as ``in_proj_weight[0:64]``. Parameters and buffers that are no layer's weights are
        the `other_tensors`, and other names of shared ones in `tied_tensors`.

    Raises
    ------
    SpecError
        With every operator that is not supported; where the example has no tensor.
    ImportError
        Where torch is not installed.
    """
    return _import(module, example_input, name, batch, batch_axis, partial, with_masks=False)[0]


def masks_from_module(
    module: Any,
    example_input: Any,
    *,
    batch_axis: int | None = None,
    partial: bool = False,
) -> MaskFile:
    """Return which weights of a PyTorch module are not zero, of the layers of `network_from_torch`.

    Weights are taken as they are multiplied with: a module that torch.nn.utils.prune or a parametrization
    masks has the masks of what is left.

    Parameters
    ----------
    module, example_input, batch_axis, partial
        As `network_from_torch` takes them; on the device 'meta' nothing is known.

    Returns
    -------
    MaskFile
        Of one step, 0; layers are called as in the network.

    Raises
    ------
    SpecError
        As `network_from_torch` does, and where the weights have no values.
    ImportError
        Where torch is not installed.
    """
    from procrustes_model.training.masks import only_masks

    if any(one.is_meta for one in module.parameters()):
        raise SpecError(Issue("the module has no values", "it is on the device 'meta'"))
    network, layers = _import(module, example_input, None, None, batch_axis, partial, with_masks=True)
    masks = [
        (layer.name, one.kept_mask().numpy())
        for layer, one in zip(network.layers, layers, strict=True)
        if layer.weights
    ]
    return only_masks(masks, f"the PyTorch module {type(module).__qualname__}")


def _import(
    module: Any,
    example: Any,
    name: str | None,
    batch: int | None,
    batch_axis: int | None,
    partial: bool,
    *,
    with_masks: bool,
) -> tuple[Network, list[Multiplied]]:
    """Return a module's network, and what was seen of each of its layers."""
    from procrustes_model.training.products import tensors_in

    arguments, keywords = _call(example)
    tensors = list(tensors_in((arguments, keywords)))
    if not tensors or tensors[0].dim() < 1 or not tensors[0].numel():
        raise SpecError(Issue("the example input has no samples", "give a tensor with at least one"))
    sizes = list(map(int, tensors[0].shape))
    if batch_axis is not None and not -len(sizes) <= batch_axis < len(sizes):
        raise SpecError(Issue(f"the example input has {len(sizes)} axes, and none of number {batch_axis}"))
    trace = _run(module, arguments, keywords, with_masks=with_masks)
    samples = sizes.pop(int(trace.is_sequence_first) if batch_axis is None else batch_axis)
    collector = Collector(batch=samples)
    layers = [one for one in trace.found if one.add_to(collector)]
    other, tied = trace.unused(layers)
    network = collector.network(
        name or type(module).__name__,
        source=f"imported from the PyTorch module {type(module).__qualname__}",
        shape=tuple(sizes),
        batch=batch or samples,
        partial=partial,
        file=None,
        other_tensors=other,
        tied_tensors=tied,
    )
    return network, layers


def _call(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example), {}) if isinstance(example, (tuple, list)) else ((example,), {})


def _run(module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], *, with_masks: bool) -> Trace:
    """Run the module once, in evaluation mode, and return what it multiplies."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from procrustes_model.training.products import tensors_in
    from procrustes_model.training.torch_library import torch
    from procrustes_model.training.watched_operators import Operators
    from procrustes_model.workloads.torch_trace import Trace

    with ExitStack() as stack:
        training = [(one, one.training) for one in module.modules()]
        stack.callback(lambda: [one.train(mode) for one, mode in training if one.training != mode])
        stack.callback(_buffers_as_they_are(torch, module))
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        with suppress(NotImplementedError):
            # An exported program runs in the mode that it was exported in.
            module.eval()
        trace = Trace(module, list(tensors_in((arguments, keywords))), with_masks=with_masks)
        for handle in trace.watch():
            stack.callback(handle.remove)
        # Attention as the matrix products that it is, and nothing compiled.
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if hasattr(torch.compiler, "set_stance"):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(torch.no_grad())
        stack.enter_context(Operators(trace.see))
        module(*arguments, **keywords)
    return trace


def _buffers_as_they_are(torch: Any, module: Any) -> Any:
    """Return what gives the buffers the values back that they have now."""
    kept = [
        (one, key, buffer, buffer.clone())
        for one in module.modules()
        for key, buffer in one._buffers.items()
        if buffer is not None and not torch.nn.parameter.is_lazy(buffer)
    ]

    def restore() -> None:
        with torch.no_grad():
            for one, key, buffer, values in kept:
                one._buffers[key] = buffer
                if buffer.shape != values.shape:
                    buffer.data = values
                elif not buffer.is_meta and not torch.equal(buffer, values):
                    buffer.copy_(values)

    return restore
