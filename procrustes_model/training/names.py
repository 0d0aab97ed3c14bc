"""How layers are called: like the tensors of a PyTorch module that hold their weights."""

from __future__ import annotations

WEIGHT = "weight"
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""What DataParallel, torch.compile and others put into the path of a module that they wrap."""


def layer_name(place: str, tensor: str) -> str:
    """Return the name of a layer: the path of its weights, without a final ".weight".

    Parameters
    ----------
    place : str
        Path of the module that keeps the weights; empty: the model itself.
    tensor : str
        What the module calls them, such as "weight" or "in_proj_weight".
    """
    if tensor == WEIGHT and place:
        return place
    return f"{place}.{tensor}" if place else tensor


def is_parametrization(place: str) -> bool:
    """Return whether the module of a path computes weights of another one."""
    return "parametrizations" in place.split(".")


def without_wrappers(name: str) -> str:
    """Return a name without what wrappers put into it."""
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    return ".".join(parts) or name
