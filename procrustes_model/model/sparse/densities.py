"""Densities and the masks that they say, to arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.densities import DENSITIES, DensityRule
from procrustes_model.densities.power_law import share_among_rows
from procrustes_model.densities.structured import kept_along
from procrustes_model.errors import SpecError
from procrustes_model.kernels.dense.arrays import ProblemArrays
from procrustes_model.kernels.sparse.arrays import BalanceArrays, DensityArrays
from procrustes_model.kernels.sparse.empty_on_masks import met_density
from procrustes_model.kernels.sparse.masks import MaskArrays
from procrustes_model.kernels.sparse.nested import OF_BLOCKS, OF_REST
from procrustes_model.model.sparse.masks import read_mask, tensor_shape
from procrustes_model.spec.density import Density
from procrustes_model.spec.groups import keeps, ranks_of_groups, settle, side_of
from procrustes_model.spec.sparsity import SparsePhase, Sparsity
from procrustes_model.spec.sparsity_reader import density_of
from procrustes_model.vocabulary import DensityModel

if TYPE_CHECKING:
    from procrustes_model.spec.problem import Problem, Tensor, Term

MOST_IN_BLOCK = 4096
"""Elements of an outermost group of blocks, or through several ranks."""
MOST_ROWS = 1 << 22
"""Rows of a tensor whose rows have nonzeros of their own."""

_TITLES = {
    DensityModel.NESTED: "groups of '{}' through several ranks, of blocks, or summed",
    DensityModel.ROWS: "rows of '{}' of unequal density",
}
"""What tensors are called of which some things are counted on masks only."""


def counts_runs(model: int) -> bool:
    """Say whether zeros that end runs are known of a density model."""
    return model not in _TITLES


def choose_densities(
    phase: SparsePhase, densities: Mapping[str, Any], problem: Problem
) -> dict[str, Density]:
    """Return densities by tensor: the design's, and in their place those that are given beside it."""
    given = {
        name: _density(name, value, phase.densities.get(name), problem) for name, value in densities.items()
    }
    stated = dict(phase.densities) | given
    return {name: settle(density, name, problem) for name, density in stated.items()}


def _density(name: str, value: Any, own: Density | None, problem: Problem) -> Density:
    """Return a density that Python code gives.

    A number that says what the design's own groups keep leaves them; any other replaces them.
    """
    if isinstance(value, Density):
        return value
    is_number = isinstance(value, float | int) and not isinstance(value, bool)
    if own is not None and is_number and keeps(own, name, problem, value):
        return own
    from procrustes_model.spec.load import load_sparsity

    content = {"name": "densities", "densities": {name: density_of(value)}}
    return load_sparsity({"sparsity": content}).forward.densities[name]


def read_placed_mask(source: Any, problem: Problem, name: str, design: Sparsity) -> NDArray[np.bool_]:
    """Return the mask of a tensor, from a file, an array, or a density that says all of it."""
    place = source.rule.place if isinstance(source, Density) else None
    if place is None:
        return read_mask(source, problem, name)
    ranks = next(tensor.ranks for tensor in problem.tensors if tensor.name == name)
    axes = []
    for position, dimension in enumerate(source.diagonal or ()):
        mine = [axis for axis, rank in enumerate(ranks) if any(one.dimension == dimension for one in rank)]
        if not mine or mine[0] in axes:
            own = sorted({term.dimension for rank in ranks for term in rank})
            message = (
                f"tensor '{name}' has no {'other ' if mine else ''}rank of '{dimension}' for its diagonal"
            )
            path = ("densities", name, "diagonal", position)
            raise SpecError(
                design.issue(message, f"its dimensions are {', '.join(own)}", problem.phase, path)
            )
        axes.append(mine[0])
    return place(tensor_shape(problem, name), tuple(axes), source.model_dump())


def _size(problem: Problem, tensor: int) -> int:
    return math.prod(side_of(problem, rank) for rank in problem.tensors[tensor].ranks)


def density_rules(problem: Problem, chosen: dict[str, Density], masks: MaskArrays) -> tuple[DensityRule, ...]:
    """Return the density models of tensors: of a mask where there is one, dense where nothing is said."""
    said = (chosen[tensor.name].model if tensor.name in chosen else "dense" for tensor in problem.tensors)
    rules = [DENSITIES[name] for name in said]
    return tuple(
        DENSITIES["mask"] if masks.known[t] and one.place is None else one for t, one in enumerate(rules)
    )


def lower_densities(
    problem: Problem,
    arrays: ProblemArrays,
    chosen: dict[str, Density],
    rules: tuple[DensityRule, ...],
    masks: MaskArrays,
    design: Sparsity,
) -> DensityArrays:
    """Return densities as kernels take them.

    Parameters
    ----------
    problem : Problem
    arrays : ProblemArrays
    chosen : dict of str to Density
        By tensor; others are dense.
    rules : tuple of DensityRule
        By tensor.
    masks : MaskArrays
        Before densities, where there are any.
    design : Sparsity
        For messages.

    Raises
    ------
    SpecError
        When groups, rows or terms do not fit their tensor.
    """
    count = len(problem.tensors)
    lowered = DensityArrays(
        model=np.array([rule.code for rule in rules], np.int64),
        known_total=np.array([rule.known_total for rule in rules], np.bool_),
        varies=np.array([rule.varies for rule in rules], np.bool_),
        size=np.array([_size(problem, t) for t in range(count)], np.int64),
        nonzeros=np.zeros(count, np.int64),
        average=np.ones(count),
        met=np.ones(count),
        group=np.full((count, 3), -1, np.int64),
        nest=np.zeros((count, max([1, *(len(one.levels) for one in chosen.values())]), 3), np.int64),
        flat=np.full((count, max(len(tensor.ranks) for tensor in problem.tensors)), -1, np.int64),
        run_start=np.zeros(count + 1, np.int64),
        runs=np.zeros((0, 2), np.int64),
        library=False,
    )
    for t, tensor in enumerate(problem.tensors):
        size = int(lowered.size[t])
        density = chosen.get(tensor.name)
        lowered.nonzeros[t] = size
        if masks.known[t]:
            first = int(masks.bit_start[t])
            lowered.nonzeros[t] = np.count_nonzero(masks.bits[first : first + size])
            lowered.average[t] = lowered.nonzeros[t] / size
            lowered.met[t] = met_density(arrays, masks, t) if arrays.sliding[t] else lowered.average[t]
        elif density is not None:
            average = 1.0 if density.average is None else density.average
            lowered.nonzeros[t] = math.ceil(average * size)
            exact = lowered.nonzeros[t] / size if rules[t].known_total else average
            lowered.average[t] = lowered.met[t] = exact
            if density.along is not None:
                _lower_groups(problem, arrays, t, density, design, lowered)
            if density.rows is not None:
                lowered = _lower_rows(problem, arrays, t, density, design, lowered)
        lowered.run_start[t + 1] = len(lowered.runs)
    return lowered


def _lower_rows(
    problem: Problem,
    arrays: ProblemArrays,
    t: int,
    density: Density,
    design: Sparsity,
    lowered: DensityArrays,
) -> DensityArrays:
    """Return the same arrays with the rows of a tensor added."""
    tensor, path = problem.tensors[t], ("densities", problem.tensors[t].name, "rows")
    mine = [k for k, rank in enumerate(tensor.ranks) if any(one.dimension == density.rows for one in rank)]
    message = hint = ""
    if not mine:
        own = sorted({term.dimension for rank in tensor.ranks for term in rank})
        message = f"tensor '{tensor.name}' has no dimension '{density.rows}' for its rows"
        hint = f"its dimensions are {', '.join(own)}"
    elif _moves_in_steps(problem, tensor.ranks[mine[0]]):
        message = f"rows of '{tensor.name}' lie along a rank that '{density.rows}' does not move alone"
        hint = "name a dimension that moves a rank alone, step by step, or give a mask"
    elif side_of(problem, tensor.ranks[mine[0]]) > MOST_ROWS:
        message, hint = f"'{tensor.name}' has more than {MOST_ROWS:,} rows", "give another density"
    if message:
        raise SpecError(design.issue(message, hint, problem.phase, path))
    rows, size = side_of(problem, tensor.ranks[mine[0]]), int(lowered.size[t])
    nonzeros = math.ceil((density.density or 0.0) * size)
    found = share_among_rows(rows, size // rows, nonzeros, density.exponent or 0.0)
    begins = np.flatnonzero(np.diff(found, prepend=-1))
    runs = np.stack([found[begins], np.diff(begins, append=rows)], axis=1)
    lowered.flat[t, 0] = int(arrays.rank_start[t]) + mine[0]
    lowered.nonzeros[t] = nonzeros
    lowered.average[t] = lowered.met[t] = nonzeros / size
    return lowered._replace(runs=np.concatenate([lowered.runs, runs]))


def _lower_groups(
    problem: Problem,
    arrays: ProblemArrays,
    t: int,
    density: Density,
    design: Sparsity,
    lowered: DensityArrays,
) -> None:
    """Fill in what is known of a tensor of n:m groups, of which the last along a dimension may be shorter."""
    n, m = density.levels[0]
    tensor = problem.tensors[t]
    ranks = ranks_of_groups(problem, tensor.name, density)
    path = ("densities", tensor.name, "along")
    if not ranks:
        own = sorted({term.dimension for one in tensor.ranks for term in one})
        names = density.along if isinstance(density.along, tuple) else (density.along,)
        absent = next(name for name in names if name not in own)
        where = f"tensor '{tensor.name}' has no dimension '{absent}' for its groups"
        raise SpecError(design.issue(where, f"its dimensions are {', '.join(own)}", problem.phase, path))
    length = math.prod(side_of(problem, rank) for rank in ranks)
    kept = kept_along(n, m, length)
    if density.is_nested:
        _check_nested(problem, tensor, density, ranks, length, design)
        lowered.model[t] = DensityModel.NESTED
        lowered.nest[t, : len(density.levels), :2] = density.levels
        lowered.nest[t, : len(density.levels), 2] = OF_BLOCKS if density.terms is None else OF_REST
        first = int(arrays.rank_start[t])
        lowered.flat[t, : len(ranks)] = [first + tensor.ranks.index(rank) for rank in ranks]
        kept = round((density.average or 0.0) * length) if len(density.levels) > 1 else kept
        lowered.met[t] = kept / length
    else:
        lowered.group[t] = n, m, list(problem.dimensions).index(str(density.along))
        lowered.met[t] = _met_along(problem, ranks[0], n, m)
    lowered.nonzeros[t] = int(lowered.size[t]) // length * kept
    lowered.average[t] = kept / length


def _check_nested(
    problem: Problem,
    tensor: Tensor,
    density: Density,
    ranks: tuple[tuple[Term, ...], ...],
    length: int,
    design: Sparsity,
) -> None:
    """Raise a SpecError where groups through several ranks, or of blocks, cannot be counted."""
    path, block = ("densities", tensor.name), math.prod(m for _, m in density.levels)
    message = hint = ""
    summed = [rank for rank in ranks if _moves_in_steps(problem, rank)]
    if summed:
        names = " and ".join(term.dimension for term in summed[0])
        message = f"groups of '{tensor.name}' run through a rank that {names} move"
        hint = "name dimensions that move a rank alone, step by step, or give a mask"
    elif len(set(ranks)) < len(ranks):
        message, hint = (
            f"groups of '{tensor.name}' run through a rank twice",
            "name one dimension of each rank",
        )
    elif block > MOST_IN_BLOCK:
        message = f"groups of '{tensor.name}' have {block:,} elements"
        hint = f"at most {MOST_IN_BLOCK:,} can be counted; give a mask"
    elif len(density.levels) > 1 and length % block:
        message = (
            f"groups of {block} elements do not divide the {length} of '{tensor.name}' that they run through"
        )
        hint = "give a mask" if density.terms else "say 'short_groups: dense', or give a mask"
    if message:
        raise SpecError(design.issue(message, hint, problem.phase, path))


def _moves_in_steps(problem: Problem, rank: tuple[Term, ...]) -> bool:
    """Say whether a rank is moved by several dimensions, or by one in larger steps."""
    moving = [term for term in rank if problem.dimensions[term.dimension] > 1]
    return len(moving) > 1 or any(term.coefficient > 1 for term in moving)


def check_uses(
    phase: SparsePhase, densities: DensityArrays, balance: BalanceArrays, design: Sparsity, problem: Problem
) -> None:
    """Raise a SpecError where something is asked of a density that is counted on masks only."""
    issues = []
    for t, tensor in enumerate(problem.tensors):
        if densities.model[t] not in _TITLES:
            continue
        title, hint = _TITLES[DensityModel(int(densities.model[t]))].format(tensor.name), "give a mask"
        if balance.tensor == t:
            message = f"{title} are not followed over the array"
            issues.append(design.issue(message, hint, problem.phase, ("balancing", "tensor")))
        for level, stored in phase.formats.get(tensor.name, {}).items():
            path = ("formats", tensor.name, level)
            if stored.stores_runs:
                message = f"runs of zeros in {title} are not counted"
                issues.append(design.issue(message, f"{hint}, or take another format", problem.phase, path))
            elif stored.ranks and phase.rules.format_ranks != "dimensions":
                message = f"{title} are not known to formats whose ranks are loops"
                issues.append(design.issue(message, "take the rule 'format_ranks' out", problem.phase, path))
    if issues:
        raise SpecError(issues)


def _met_along(problem: Problem, rank: tuple[Term, ...], n: int, m: int) -> float:
    """Return the share of computations that meet a nonzero of n:m groups along a rank, on average."""
    length = side_of(problem, rank)
    rest = length % m
    bounds = [(term.coefficient, problem.dimensions[term.dimension]) for term in rank]
    if rest in (0, length) or length in (bound for _, bound in bounds):
        return kept_along(n, m, length) / length
    # Counted from the end, where the shorter group is: in how many ways do indices add up to each element?
    ways = np.zeros(rest)
    ways[0] = 1.0
    for step, bound in bounds:
        reached = np.zeros(rest)
        for i in range(min(bound, (rest - 1) // step + 1)):
            reached[i * step :] += ways[: rest - i * step]
        ways = reached
    last = float(ways.sum()) / math.prod(bound for _, bound in bounds)
    return n / m * (1 - last) + min(n, rest) / rest * last
