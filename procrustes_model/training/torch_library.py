"""The optional dependency torch, or a message that says how to get it."""

from __future__ import annotations

try:
    import torch
except ImportError as error:
    message = "training in PyTorch needs torch: pip install 'procrustes-model[torch]'"
    raise ImportError(message, name="torch") from error

__all__ = ["torch"]
