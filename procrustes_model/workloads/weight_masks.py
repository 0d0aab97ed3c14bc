"""The mask of a layer, as a file keeps it, with the ranks of a problem's weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network_problem import groups_of_channels, leading_groups
from procrustes_model.spec.problem import Problem
from procrustes_model.vocabulary import Role


def weights_mask(mask: NDArray[np.bool_], problem: Problem, file: str | None = None) -> NDArray[np.bool_]:
    """Return a layer's mask with the ranks of a problem's weights.

    Parameters
    ----------
    mask : bool[K, C, R, S] or bool[K, C]
        As PyTorch keeps weights. Of grouped convolutions K counts the outputs of all groups, of depthwise
        ones C is 1; of transposed ones C stands first, and counts the inputs of all groups.
    problem : Problem
        With a tensor of that role.
    file : str, optional
        Named in messages.

    Returns
    -------
    bool[ranks]
        Of the weights.

    Raises
    ------
    SpecError
        When the problem has no such tensor or its shape is another one.
    """
    weights = problem.roles.get(Role.WEIGHTS)
    if weights is None:
        names = ", ".join(tensor.name for tensor in problem.tensors)
        message = f"{problem.name} has no weights to be masked, its tensors are {names}"
        raise SpecError(Issue(message, f"one of them needs the role {Role.WEIGHTS}", file))
    wanted = _lengths(problem)
    fits = _fits(mask.shape, problem)
    if mask.ndim == len(wanted) and inputs_first(problem):
        mask = np.ascontiguousarray(mask.swapaxes(0, 1))
    shape = mask.shape
    if not fits:
        ranks: Any = next(tensor.ranks for tensor in problem.tensors if tensor.name == weights)
        order = ", ".join("+".join(term.dimension for term in rank) for rank in ranks)
        message = f"the masks have shape {list(shape)}, the weights of {problem.name} {list(wanted)}"
        raise SpecError(Issue(message, f"their ranks are [{order}]", file))
    return mask.reshape(wanted)


def _lengths(problem: Problem) -> tuple[int, ...]:
    """Return the lengths of the ranks of a problem's weights."""
    name = problem.roles[Role.WEIGHTS]
    return next(problem.lengths(tensor) for tensor in problem.tensors if tensor.name == name)


def _fits(shape: tuple[int, ...], problem: Problem) -> bool:
    """Return whether a file's shape is that of a problem's weights."""
    wanted = _lengths(problem)
    if len(shape) == len(wanted) and inputs_first(problem):
        shape = (shape[1], shape[0], *shape[2:])
    first, rest = wanted[:1], wanted[1:]
    if _core(shape) == _core(wanted):
        return True
    if groups_of_channels(problem):
        return shape == (first[0] * rest[0], *rest[1:])
    return leading_groups(problem) and shape == (*first, 1, *rest)


def inputs_first(problem: Problem) -> bool:
    """Return whether a problem's weights have inputs in the first rank and outputs in the second, a file not.

    Inputs are what the input's indices share with them, outputs what those of the output do. The weights of
    a transposed convolution, whose kernel moves over the output, have inputs first in files too.
    """
    roles = {role: name for role, name in problem.roles.items() if role != Role.WEIGHTS}
    ranks = {tensor.name: tensor.ranks for tensor in problem.tensors}

    def partners(rank: int) -> set[Role]:
        mine = {term.dimension for term in ranks[problem.roles[Role.WEIGHTS]][rank]}
        return {
            role
            for role, name in roles.items()
            if mine & {term.dimension for other in ranks[name] for term in other}
        }

    weights = ranks[problem.roles[Role.WEIGHTS]]
    taps = {term.dimension for rank in weights for term in rank}
    written = ranks.get(roles.get(Role.OUTPUT, ""), ())
    transposed = any(len(rank) > 1 and taps & {term.dimension for term in rank} for rank in written)
    return (
        len(weights) > 1 and not transposed and partners(0) == {Role.INPUT} and partners(1) == {Role.OUTPUT}
    )


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of weights without kernels of one row and column."""
    return shape[:2] if shape[2:] and set(shape[2:]) == {1} else shape
