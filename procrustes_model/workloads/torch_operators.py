"""Which operators of PyTorch multiply nothing that could be a layer."""

from __future__ import annotations

from typing import Any

from procrustes_model.training.torch_library import torch

_WITHOUT_MULTIPLICATIONS = """
adaptive_max_pool2d adaptive_max_pool3d add_relu aminmax as_strided_scatter batch_norm_elemt
batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_no_update batch_norm_update_stats
batch_norm_with_update batch_norm_with_update_functional bernoulli binary_cross_entropy bincount binomial
block_diag bucketize cat channel_shuffle chunk_cat coalesce complex convert_indices_from_csr_to_coo copy
copy_from copy_from_and_resize cosine_similarity cross ctc_loss cudnn_batch_norm cudnn_ctc_loss
cummax_helper cummin_helper diagonal_scatter dist embedding embedding_bag embedding_bag_forward_only
embedding_renorm equal fake_quantize_learnable_per_channel_affine fake_quantize_learnable_per_tensor_affine
fake_quantize_per_channel_affine fake_quantize_per_channel_affine_cachemask fake_quantize_per_tensor_affine
fake_quantize_per_tensor_affine_cachemask fake_quantize_per_tensor_affine_cachemask_tensor_qparams fill
fractional_max_pool2d fractional_max_pool3d functional_assert_async fused_moving_avg_obs_fake_quant
fused_moving_avg_obs_fq_helper fused_moving_avg_obs_fq_helper_functional fused_rms_norm gather glu_jvp
grid_sampler_2d grid_sampler_2d_cpu_fallback grid_sampler_3d has_same_storage_numel histogram histogramdd
histogramdd_bin_edges histogramdd_from_bin_cts histogramdd_from_bin_tensors huber_loss index index_add
index_copy index_fill index_put index_put_impl index_reduce index_select instance_norm is_same_size isin
jagged_to_padded_dense_forward layer_norm lerp linalg_check_errors linalg_cross linspace logspace
make_per_channel_quantized_tensor make_per_tensor_quantized_tensor masked_fill masked_scale masked_scatter
masked_select masked_softmax max_unpool2d max_unpool3d miopen_batch_norm mse_loss native_batch_norm
native_batch_norm_legit native_batch_norm_legit_functional native_batch_norm_legit_no_training
native_group_norm native_layer_norm nested_from_padded nested_from_padded_tensor nested_tensor_from_mask
nested_tensor_from_tensor_list nested_tensor_softmax_with_shape new_zeros_with_same_feature_meta
nll_loss2d_forward nll_loss_forward nonzero_static norm normal pack_padded_sequence pack_sequence
pad_packed_sequence padded_dense_to_jagged_forward pairwise_distance polar prelu_kernel put
quantize_per_channel quantize_per_tensor randint_like repeat_interleave reshape_from_tensor resize_as
result_type rms_norm rrelu_with_noise scatter scatter_add scatter_reduce searchsorted segment_reduce
select_scatter set slice_scatter smooth_l1_loss sort sparse_compressed_tensor_unsafe
sparse_coo_tensor_unsafe sparse_coo_tensor_with_dims_and_tensors sparse_csr_tensor_unsafe sparse_mask
spdiags stack take take_along_dim thnn_fused_gru_cell thnn_fused_lstm_cell transform_bias_rescale_qkv
type_as unsafe_index unsafe_index_put unsafe_masked_index unsafe_masked_index_put_accumulate weight_norm
weight_norm_interface where
"""
_NO_MULTIPLICATIONS = frozenset(_WITHOUT_MULTIPLICATIONS.split())
"""ATen's operators of several tensors that neither multiply matrices nor convolve."""

_OF_ONE_TENSOR = ("linalg_", "fft_", "cholesky", "matrix_", "pdist", "qr", "svd", "lu_", "geqrf", "inverse")
_PRODUCTS_OF_ONE_TENSOR = frozenset({"compute_linear_combination", "cov", "corrcoef", "pinverse", "stft"})
_NORMS = frozenset({"linalg_vector_norm", "linalg_norm", "linalg_matrix_norm", "linalg_powsum"})
_FREE_NAMESPACES = frozenset({"prim", "prims", "profiler", "debugprims", "c10d", "_c10d_functional"})
_FREE_ELSEWHERE = frozenset(
    f"torchvision::{name}" for name in ("nms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool")
)


def multiplies_nothing(function: Any) -> bool:
    """Return whether an operator needs no layer: it is known to multiply at most element by element.

    Views and pointwise operators are, as PyTorch marks them, and those of one tensor but for factorisations
    and transforms: nothing else is there that it could be multiplied with.

    Parameters
    ----------
    function : torch._ops.OpOverload
    """
    namespace, _, name = function.name().partition("::")
    schema = function._schema
    view = any(one.alias_info and not one.alias_info.is_write for one in schema.returns)
    if view or torch.Tag.pointwise in function.tags or namespace in _FREE_NAMESPACES:
        return True
    plain = name.partition(".")[0].strip("_")
    if namespace != "aten":
        return f"{namespace}::{plain}" in _FREE_ELSEWHERE
    if plain in _NO_MULTIPLICATIONS or plain in _NORMS or _is_pointwise(name.partition(".")[0]):
        return True
    read = [str(one.type) for one in schema.arguments if "Tensor" in str(one.type) and not one.is_out]
    several = len(read) > 1 or any("List" in one for one in read)
    return not (several or plain.startswith(_OF_ONE_TENSOR) or plain in _PRODUCTS_OF_ONE_TENSOR)


def _is_pointwise(name: str) -> bool:
    """Return whether an operator is one that PyTorch marks as pointwise where it does not work in place."""
    if name.startswith("_foreach_"):
        return name != "_foreach_mm"
    packet = getattr(torch.ops.aten, name.removesuffix("_"), None) if name.endswith("_") else None
    return packet is not None and any(
        torch.Tag.pointwise in getattr(packet, overload).tags for overload in packet.overloads()
    )
