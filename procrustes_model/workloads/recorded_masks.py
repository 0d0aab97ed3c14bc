"""What a phase's product received, as a file of masks has it, with the ranks of a problem's tensors."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.vocabulary import Phase, Role
from procrustes_model.workloads.weight_masks import weights_mask

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem

Bools = NDArray[np.bool_]
_KINDS = {Role.INPUT: "inputs", Role.OUTPUT: "gradients"}


def masks_in_phase(
    path: str, layer: str, step: int, problem: Problem, leave_out: Collection[str] = ()
) -> dict[str, Bools]:
    """Return the masks of a problem's tensors, as far as a file of masks knows them.

    Parameters
    ----------
    path : str
        A file of masks.
    layer : str
    step : int
    problem : Problem
        In any training phase; one that states none is forward. Weights that are backward's own are in the
        backward phase.
    leave_out : collection of str
        Tensors beside the weights that are not asked for.

    Returns
    -------
    dict of str to bool[ranks]
        By tensor: weights, and of inputs and gradients of outputs what is read in this phase and recorded.

    Raises
    ------
    SpecError
        When the file is broken or has no such layer or step, or a mask is not that of the problem's tensor.
    """
    from procrustes_model.training.masks import load_mask
    from procrustes_model.training.recorded_operands import load_operands

    phase = problem.phase or Phase.FORWARD
    found = load_operands(path, layer, step, phase=phase)
    weights = found["weights"] if "weights" in found else load_mask(path, layer, step)
    masks = {problem.roles.get(Role.WEIGHTS, ""): weights_mask(weights, problem, path)}
    for role, kind in _KINDS.items():
        name = problem.roles.get(role)
        if name is None or name == problem.output.name or name in leave_out:
            continue
        if kind in found:
            masks[name] = _fitted(found[kind], problem, name, path)
    return masks


def _fitted(mask: Bools, problem: Problem, name: str, file: str) -> Bools:
    """Return the mask of an operand with a tensor's ranks.

    Batch and channels are the tensor's; what no window of a map reaches is cut off its end.
    """
    tensor: Any = next(one for one in problem.tensors if one.name == name)
    wanted = problem.lengths(tensor)
    maps = mask.ndim - 2
    first, last = wanted[: len(wanted) - maps], wanted[len(wanted) - maps :]
    fits = len(wanted) >= mask.ndim and first[0] == mask.shape[0] and np.prod(first[1:]) == mask.shape[1]
    if not fits or any(have < want for have, want in zip(mask.shape[2:], last, strict=True)):
        order = ", ".join("+".join(term.dimension for term in rank) for rank in tensor.ranks)
        message = f"the mask of '{name}' has shape {list(mask.shape)}, the tensor {list(wanted)}"
        hint = f"its ranks are [{order}]; take the recorded batch, or say --density of it"
        raise SpecError(Issue(message, hint, file))
    cut = mask[(slice(None), slice(None), *(slice(want) for want in last))]
    return np.ascontiguousarray(cut.reshape(wanted))
