"""The sparse training that makes the masks: algorithms on arrays, an optimizer for PyTorch, files of masks.

Everything but optimizers, layers and the recorder works on NumPy arrays alone. Names are loaded when they are
first used: torch is imported with optimizers, operands and the recorder only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from procrustes_model.training.balancer import Balanced, balance_half_tiles
    from procrustes_model.training.blocks import CompressedBlocks, decode, encode
    from procrustes_model.training.blocks_traversal import traverse, traverse_backward
    from procrustes_model.training.checkpoints import masks_from_checkpoint
    from procrustes_model.training.initial import Initial, decay_further, initial_values
    from procrustes_model.training.mask_densities import MaskDensities
    from procrustes_model.training.mask_schedules import Alternate, Partitions, Ramp, Rewire
    from procrustes_model.training.masked import MaskedSGD as MaskedSGD
    from procrustes_model.training.masks import (
        LayerMasks,
        MaskFile,
        load_mask,
        load_mask_densities,
        load_masks,
        save_masks,
    )
    from procrustes_model.training.operand_masks import OperandMasks
    from procrustes_model.training.operands import Bits as Bits
    from procrustes_model.training.operands import Operands as Operands
    from procrustes_model.training.optimizer import ProcrustesSGD as ProcrustesSGD
    from procrustes_model.training.patterns import NM, TopK
    from procrustes_model.training.quantile import Quantile, Streamed, select_by_quantile, select_exactly
    from procrustes_model.training.recorded_operands import load_operands
    from procrustes_model.training.recorder import Recorder as Recorder
    from procrustes_model.training.series import Decomposed, decompose
    from procrustes_model.training.sparse_layers import OperandSchedule as OperandSchedule
    from procrustes_model.training.sparse_layers import use_operands as use_operands
    from procrustes_model.training.tracking import (
        Tracked,
        accumulated_gradients,
        compute_density,
        storage_density,
        track,
    )

_HOMES = {
    "Alternate": "mask_schedules",
    "Balanced": "balancer",
    "Bits": "operands",
    "CompressedBlocks": "blocks",
    "Decomposed": "series",
    "Initial": "initial",
    "LayerMasks": "masks",
    "MaskDensities": "mask_densities",
    "MaskFile": "masks",
    "MaskedSGD": "masked",
    "NM": "patterns",
    "OperandMasks": "operand_masks",
    "OperandSchedule": "sparse_layers",
    "Operands": "operands",
    "Partitions": "mask_schedules",
    "ProcrustesSGD": "optimizer",
    "Quantile": "quantile",
    "Ramp": "mask_schedules",
    "Recorder": "recorder",
    "Rewire": "mask_schedules",
    "Streamed": "quantile",
    "TopK": "patterns",
    "Tracked": "tracking",
    "accumulated_gradients": "tracking",
    "balance_half_tiles": "balancer",
    "compute_density": "tracking",
    "decay_further": "initial",
    "decode": "blocks",
    "decompose": "series",
    "encode": "blocks",
    "initial_values": "initial",
    "load_mask": "masks",
    "load_mask_densities": "masks",
    "load_masks": "masks",
    "load_operands": "recorded_operands",
    "masks_from_checkpoint": "checkpoints",
    "save_masks": "masks",
    "select_by_quantile": "quantile",
    "select_exactly": "quantile",
    "storage_density": "tracking",
    "track": "tracking",
    "traverse": "blocks_traversal",
    "traverse_backward": "blocks_traversal",
    "use_operands": "sparse_layers",
}

# Without what needs torch, so that everything can be imported where it is not installed.
__all__ = [
    "NM",
    "Alternate",
    "Balanced",
    "CompressedBlocks",
    "Decomposed",
    "Initial",
    "LayerMasks",
    "MaskDensities",
    "MaskFile",
    "OperandMasks",
    "Partitions",
    "Quantile",
    "Ramp",
    "Rewire",
    "Streamed",
    "TopK",
    "Tracked",
    "accumulated_gradients",
    "balance_half_tiles",
    "compute_density",
    "decay_further",
    "decode",
    "decompose",
    "encode",
    "initial_values",
    "load_mask",
    "load_mask_densities",
    "load_masks",
    "load_operands",
    "masks_from_checkpoint",
    "save_masks",
    "select_by_quantile",
    "select_exactly",
    "storage_density",
    "track",
    "traverse",
    "traverse_backward",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
