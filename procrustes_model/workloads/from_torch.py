"""Networks from PyTorch modules: what they multiply while a sample passes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network import Network
from procrustes_model.workloads.imports import Collector

_WITHOUT_MULTIPLICATIONS = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d all amax amin any arange
argmax argmin argsort assert_async assert_scalar avg_pool1d avg_pool2d avg_pool3d batch_norm_no_update
batch_norm_with_update bernoulli bincount bucketize cat channel_shuffle clone col2im constant_pad_nd
copy count_nonzero cudnn_batch_norm cummax cummin cumprod cumsum detach dropout embedding empty
empty_like empty_strided equal expand_copy eye fill flip full full_like fused_rms_norm gather glu
grid_sampler_2d histc im2col index index_add index_copy index_fill index_put index_select is_same_size
isfinite isin kthvalue lift_fresh lift_fresh_copy linalg_vector_norm linspace local_scalar_dense
log_softmax logcumsumexp logsumexp masked_fill masked_scatter masked_select max max_pool2d_with_indices
max_pool3d_with_indices mean median min miopen_batch_norm mode multinomial native_batch_norm
native_batch_norm_legit native_batch_norm_legit_no_training native_dropout native_group_norm
native_layer_norm nested_tensor_size new_empty new_empty_strided new_full new_ones new_zeros nonzero
norm normal one_hot ones ones_like permute_copy pixel_shuffle pixel_unshuffle prod rand rand_like
randint randn randn_like randperm reflection_pad1d reflection_pad2d reflection_pad3d repeat
repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape_alias resize roll rot90
safe_softmax scalar_tensor scatter scatter_add scatter_reduce select_scatter set slice_scatter softmax
sort split_with_sizes_copy stack std std_mean sum sym_size to_copy topk tril tril_indices triu
triu_indices unbind_copy unfold_copy uniform unique2 unique_consecutive unique_dim unsafe_view
upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d var
var_mean view_copy weight_norm_interface zero zeros zeros_like
"""
_NO_MULTIPLICATIONS = frozenset(_WITHOUT_MULTIPLICATIONS.split())
"""ATen's operators that neither multiply matrices nor convolve, but for views and pointwise ones, which it
marks itself."""


def network_from_torch(
    module: Any,
    example_input: Any,
    *,
    name: str | None = None,
    batch: int | None = None,
    partial: bool = False,
) -> Network:
    """Return the layers that multiply in a PyTorch module, with their shapes, in the order of their use.

    The module runs once on the example, in evaluation mode and without gradients; every convolution and
    matrix product that PyTorch carries out is recorded, whether a layer or a function asked for it. A layer
    that is used several times counts each time, also its weights. Biases, normalisation, pooling and
    elementwise products are no layers.

    Parameters
    ----------
    module : torch.nn.Module
        Layers are named like the modules they belong to. On the device 'meta' nothing is computed.
    example_input : torch.Tensor, or tuple, list or dict of what the module takes
        The first axis of the first tensor counts samples; all others are as in training.
    name : str, optional
        The module's class where it is not given.
    batch : int, optional
        Samples per training step that the network is to have; those of the example where it is not given.
    partial : bool
        Leave out operators that cannot be layers, such as convolutions over three axes, and list them in the
        network's description, instead of raising.

    Returns
    -------
    Network

    Raises
    ------
    SpecError
        With every operator that is not supported; where the example has no tensor.
    ImportError
        Where torch is not installed.
    """
    from procrustes_model.training.torch_library import torch

    arguments, keywords = _call(example_input)
    tensors = [one for one in (*arguments, *keywords.values()) if isinstance(one, torch.Tensor)]
    if not tensors or tensors[0].dim() < 1 or not tensors[0].shape[0]:
        raise SpecError(Issue("the example input has no samples", "give a tensor with at least one"))
    samples = int(tensors[0].shape[0])
    collector = Collector(batch=samples)
    _run(torch, module, arguments, keywords, collector)
    title = name or type(module).__name__
    return collector.network(
        title,
        source=f"imported from the PyTorch module {type(module).__qualname__}",
        shape=tuple(map(int, tensors[0].shape[1:])),
        batch=batch or samples,
        partial=partial,
        file=None,
    )


def _call(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example), {}) if isinstance(example, (tuple, list)) else ((example,), {})


def _run(
    torch: Any, module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], collector: Collector
) -> None:
    """Run the module once, in evaluation mode, and record what it multiplies."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils._python_dispatch import TorchDispatchMode

    recorder = _Recorder(module, collector)

    class Mode(TorchDispatchMode):  # type: ignore[misc]  # torch is optional: nothing is known of it
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            recorder.record(torch, func, args, result)
            return result

    training = [(one, one.training) for one in module.modules()]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.callback(lambda: [one.train(mode) for one, mode in training if one.training != mode])
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast_path)
        for handle in recorder.watch():
            stack.callback(handle.remove)
        module.eval()
        # Attention as the matrix products that it is.
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.no_grad())
        stack.enter_context(Mode())
        module(*arguments, **keywords)


class _Recorder:
    """Knows which module runs and which tensors are weights, and turns operators into layers."""

    def __init__(self, module: Any, collector: Collector) -> None:
        self._module = module
        self._collector = collector
        self._running: list[str] = []
        self._weights = {_storage(one) for one in module.parameters()}
        # Storages must outlive the run: a new one could otherwise be taken for one that is gone.
        self._kept: list[Any] = []

    def watch(self) -> list[Any]:
        """Return handles of hooks that follow which module runs."""
        handles = []
        for name, one in self._module.named_modules():
            handles.append(
                one.register_forward_pre_hook(lambda *_, name=name: self._running.append(name), prepend=True)
            )
            handles.append(one.register_forward_hook(lambda *_: self._leave(), always_call=True))
        return handles

    def _leave(self) -> None:
        self._running.pop()

    def record(self, torch: Any, func: Any, args: Sequence[Any], result: Any) -> None:
        """Add what an operator multiplies."""
        namespace, _, plain = func.name().partition("::")
        plain = plain.partition(".")[0]
        tensors = [one for one in args if isinstance(one, torch.Tensor)]
        name = next((one for one in reversed(self._running) if one), plain)
        if tensors and all(map(self._is_weight, tensors)) and isinstance(result, torch.Tensor):
            # Weights that are only prepared, such as scaled or cast, are still weights.
            self._weights.add(_storage(result))
            self._kept.append(result)
            if plain in ("mm", "bmm", "addmm"):
                self._collector.leave_out(f"'{name}': a product of weights only")
            return
        if namespace == "aten" and plain in _HANDLERS:
            _HANDLERS[plain](self, name, args)
        elif namespace != "prim" and not self._is_free(torch, func, namespace, plain):
            self._collector.leave_out(f"'{name}': operator {namespace}::{plain}")

    def _is_free(self, torch: Any, func: Any, namespace: str, plain: str) -> bool:
        view = any(one.alias_info and not one.alias_info.is_write for one in func._schema.returns)
        if view or torch.Tag.pointwise in func.tags:
            return True
        return namespace == "aten" and plain.strip("_") in _NO_MULTIPLICATIONS

    def _is_weight(self, tensor: Any) -> bool:
        return _storage(tensor) in self._weights

    def convolution(self, name: str, args: Sequence[Any]) -> None:
        """Add ``aten::convolution``."""
        inputs, weight, _, stride, padding, dilation, transposed, _, groups = args[:9]
        if transposed or not self._is_weight(weight):
            reason = "a transposed convolution" if transposed else "a convolution with computed weights"
            self._collector.leave_out(f"'{name}': {reason}")
            return
        shape = tuple(map(int, weight.shape))
        axes = len(shape) - 2
        size = tuple(map(int, inputs.shape[-axes:]))
        stride, padding, dilation = (
            tuple(value) * (axes if len(value) == 1 else 1) for value in (stride, padding, dilation)
        )
        self._collector.convolve(
            name, weight=shape, size=size, groups=groups, stride=stride, dilation=dilation, before=padding
        )

    def product(self, name: str, left: Any, right: Any) -> None:
        """Add the product of two matrices, or of two equally long rows of matrices."""
        if self._is_weight(left) and self._is_weight(right):
            self._collector.leave_out(f"'{name}': a product of weights only")
            return
        if self._is_weight(left):
            # W X is (X' W')'.
            left, right = right.transpose(-1, -2), left.transpose(-1, -2)
        rows, inner, columns = int(left.shape[-2]), int(left.shape[-1]), int(right.shape[-1])
        copies = math.prod(map(int, left.shape[:-2]))
        weights = self._is_weight(right)
        if weights and copies > 1 and right.dim() > 2 and right.stride(0) != 0:
            # Separate matrices of weights are layers of their own.
            for _ in range(copies):
                self._collector.multiply(name, rows, inner, columns, weights=True)
        elif weights:
            self._collector.multiply(name, rows * copies, inner, columns, weights=True)
        elif left.dim() == 2:
            # No axis of samples is left: the rows, or what is summed over, hold all of them.
            self._collector.multiply(name, rows, inner, columns, weights=False, copies=self._collector.batch)
            if self._collector.batch > 1:
                self._collector.layers.pop()
                self._collector.leave_out(f"'{name}': a product across samples; import it with a batch of 1")
        else:
            self._collector.multiply(name, rows, inner, columns, weights=False, copies=copies)

    def linear(self, name: str, inputs: Any, weight: Any) -> None:
        """Add ``aten::linear``."""
        self.product(name, inputs.reshape(-1, inputs.shape[-1]), weight.t())


def _storage(tensor: Any) -> Any:
    return tensor.untyped_storage()._cdata


_HANDLERS: dict[str, Any] = {
    "convolution": lambda recorder, name, args: recorder.convolution(name, args),
    "_convolution": lambda recorder, name, args: recorder.convolution(name, args),
    "mm": lambda recorder, name, args: recorder.product(name, args[0], args[1]),
    "bmm": lambda recorder, name, args: recorder.product(name, args[0], args[1]),
    "addmm": lambda recorder, name, args: recorder.product(name, args[1], args[2]),
    "baddbmm": lambda recorder, name, args: recorder.product(name, args[1], args[2]),
    "mv": lambda recorder, name, args: recorder.product(name, args[0], args[1].unsqueeze(-1)),
    "addmv": lambda recorder, name, args: recorder.product(name, args[1], args[2].unsqueeze(-1)),
    "linear": lambda recorder, name, args: recorder.linear(name, args[0], args[1]),
}
