"""Which of the containers in a checkpoint holds the weights, and what its tensors are called there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import quote
from procrustes_model.spec.text.words import closest
from procrustes_model.training.mask_densities import list_names
from procrustes_model.training.stored import FLOAT, Stored

WHOLE = "."
"""How the whole file is asked for, in place of a container in it."""

_WEIGHTS = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
)
"""Under which keys training scripts keep weights: the first that is there, then the same inside of it."""

_AVERAGED = re.compile(r"(.*_)?(ema|swa|averaged?|teacher|shadow)(_.*)?", re.IGNORECASE)
_TRAINING = re.compile(
    r"((optim|optimizers?|opt)(_\w+)?|lr_?schedulers?|schedulers?|((grad|amp)_?)?scaler|(native_)?amp|callbacks|loops|"
    r"hyper_?parameters|history|metrics|loss|datamodule|((torch|cuda|cpu|numpy)_?)?rng)(_states?)?(_dict)?s?",
    re.IGNORECASE,
)
_MOMENTS = (
    "exp_avg",
    "exp_avg_sq",
    "max_exp_avg_sq",
    "exp_inf",
    "momentum_buffer",
    "square_avg",
    "sum",
    "step",
)
"""What optimizers of PyTorch keep of a parameter, under `state`."""

_MASKS = ("masks", "mask")
_WRAPPERS = re.compile(r"(^|(?<=\.))(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What compiling and wrapping put into names, wherever it stands."""

_PARALLEL = "module."
"""What data parallelism puts in front of all names; inside of one it may be a name that was chosen."""


@dataclass(frozen=True, eq=False)
class Entry:
    """What was chosen of a checkpoint.

    Attributes
    ----------
    name : str
        Keys of the container, with dots between them; `WHOLE` for the file as it is.
    tensors : tuple of (str, Stored)
        With their names in it.
    others : tuple of str
        Containers that hold weights as well and could be chosen.
    beside : tuple of (Stored, str)
        All tensors that are not in it, and why.
    """

    name: str
    tensors: tuple[tuple[str, Stored], ...]
    others: tuple[str, ...]
    beside: tuple[tuple[Stored, str], ...]


def choose_entry(tensors: Sequence[Stored], wanted: str | None, file: str) -> Entry:
    """Return the container that holds the weights.

    From outside to inside: of the keys in `_WEIGHTS` the first that holds tensors; averaged weights, then
    masks, where there is nothing else. Where no such key is, all but the state of the training is meant.

    Parameters
    ----------
    tensors : sequence of Stored
    wanted : str, optional
        The name of the container, in place of that rule.
    file : str
        Named in messages.

    Returns
    -------
    Entry

    Raises
    ------
    SpecError
        When there is no container of the name that is wanted.
    """
    containers: dict[str, tuple[str, ...]] = {WHOLE: ()}
    for tensor in tensors:
        for depth in range(1, len(tensor.keys)):
            containers.setdefault(".".join(tensor.keys[:depth]), tensor.keys[:depth])
    if wanted is not None and wanted not in containers:
        near = closest(wanted, containers)
        inside = list_names([quote(name) for name in containers])
        hint = f"did you mean {quote(near)}?" if near else f"there is {inside}"
        raise SpecError(Issue(f"no entry {quote(wanted)} in this checkpoint", hint, file))
    chosen = _find(tensors, ()) if wanted is None else containers[wanted]
    members: list[Stored] = []
    beside: list[tuple[Stored, str]] = []
    for tensor in tensors:
        why = _why_not(tensor, chosen, by_rule=wanted is None)
        if why is None:
            members.append(tensor)
        else:
            beside.append((tensor, why))
    outside = {tensor.keys[:i] for tensor, _ in beside for i in range(1, len(tensor.keys)) if _big(tensor)}
    others = [
        keys
        for keys in sorted(outside)
        if keys != chosen[: len(keys)]
        and keys[:-1] == chosen[: len(keys) - 1]
        and not _TRAINING.fullmatch(keys[-1])
    ]
    return Entry(
        ".".join(chosen) or WHOLE,
        tuple(_named(members, len(chosen))),
        tuple(".".join(keys) for keys in others),
        tuple(beside),
    )


def _named(members: Sequence[Stored], depth: int) -> Iterator[tuple[str, Stored]]:
    """Find what tensors are called in a container; those of one inside of it have the same wrappers."""
    last: dict[tuple[str, ...], list[str]] = {}
    for tensor in members:
        last.setdefault(tensor.keys[:-1], []).append(tensor.keys[-1])
    names = {keys: iter(strip_wrappers(inside)) for keys, inside in last.items()}
    for tensor in members:
        yield ".".join((*tensor.keys[depth:-1], next(names[tensor.keys[:-1]]))), tensor


def _big(tensor: Stored) -> bool:
    return len(tensor.shape) >= 2


def _find(tensors: Sequence[Stored], keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys of the container that is meant, at or below `keys`."""
    depth = len(keys)
    inside = [tensor for tensor in tensors if tensor.keys[:depth] == keys]
    children = dict.fromkeys(
        tensor.keys[depth] for tensor in inside if len(tensor.keys) > depth + 1 and _big(tensor)
    )
    for word in _WEIGHTS:
        if word in children:
            return _find(tensors, (*keys, word))
    rest = [
        tensor
        for tensor in inside
        if _big(tensor) and not _TRAINING.fullmatch(tensor.keys[depth]) and tensor.kind == FLOAT
    ]
    averaged = [child for child in children if _AVERAGED.fullmatch(child)]
    if averaged and all(tensor.keys[depth] in averaged for tensor in rest):
        return _find(tensors, (*keys, averaged[0]))
    masks = [word for word in _MASKS if word in children]
    return _find(tensors, (*keys, masks[0])) if masks and not rest else keys


def _why_not(tensor: Stored, chosen: tuple[str, ...], *, by_rule: bool) -> str | None:
    """Return why a tensor is none of the container that was chosen; None where it is one."""
    depth = len(chosen)
    within = tensor.keys[:depth] == chosen
    if within and not by_rule:
        return None
    parts = tensor.keys[:-1]
    apart = next((i for i, key in enumerate(parts) if i >= depth or key != chosen[i]), len(parts))
    key = parts[apart] if apart < len(parts) else ""
    if _TRAINING.fullmatch(key) or ("state" in parts and tensor.keys[-1] in _MOMENTS):
        return "state of the training"
    if _AVERAGED.fullmatch(key):
        return "averaged weights"
    return None if within else f"beside {quote('.'.join(chosen))}"


def strip_wrappers(names: Sequence[str]) -> list[str]:
    """Return names of tensors without what compiling and wrapping a model put into them.

    Parameters
    ----------
    names : sequence of str
        All tensors of one container.

    Returns
    -------
    list of str
        `module.` goes from the front where most names have it: counters beside an averaged model have not.
    """
    plain = [_WRAPPERS.sub("", name) for name in names]
    parallel = [name.startswith(_PARALLEL) for name in plain]
    dotted = [has for name, has in zip(plain, parallel, strict=True) if "." in name]
    if dotted and all(dotted):
        plain = [name.removeprefix(_PARALLEL) for name in plain]
    return plain
