"""The optional dependency torch, or a message that says how to get it."""

from __future__ import annotations

from procrustes_model.version import how_to_install

try:
    import torch
except ImportError as error:
    message = f"training in PyTorch needs torch: {how_to_install('torch')}"
    raise ImportError(message, name="torch") from error

__all__ = ["torch"]
