"""A sparse design, densities and masks to arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.densities import DENSITIES, DensityRule
from procrustes_model.densities.power_law import share_among_rows
from procrustes_model.densities.structured import kept_along
from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools, MachineArrays, ProblemArrays
from procrustes_model.kernels.sparse.arrays import (
    SPACED,
    ActionArrays,
    BalanceArrays,
    ChoiceArrays,
    DensityArrays,
    FormatArrays,
    PackArrays,
)
from procrustes_model.kernels.sparse.empty_on_masks import met_density
from procrustes_model.kernels.sparse.masks import MaskArrays
from procrustes_model.kernels.sparse.nested import OF_BLOCKS, OF_REST
from procrustes_model.model.components import working_components
from procrustes_model.model.design import Design, lower_rules
from procrustes_model.model.lower import by_level, lower_bits, lower_machine, lower_metadata, lower_problem
from procrustes_model.model.sparse.actions import lower_actions, lower_pack
from procrustes_model.model.sparse.effects import idle_on
from procrustes_model.model.sparse.format_ranks import check_masks, lower_ranks, shipped_dimensions
from procrustes_model.model.sparse.formats import is_implied, lower_terms, positions_of
from procrustes_model.model.sparse.masks import check_tables, lower_masks, read_mask, tensor_shape
from procrustes_model.model.sparse.names import Names
from procrustes_model.policies import POLICIES, Policy
from procrustes_model.spec.groups import keeps, ranks_of_groups, settle, side_of
from procrustes_model.spec.level_roles import explain_missing, place_levels
from procrustes_model.spec.rules import Rules
from procrustes_model.spec.schema import LARGEST_BOUND
from procrustes_model.spec.sparsity import Density, SparsePhase, Sparsity
from procrustes_model.spec.sparsity_reader import density_of
from procrustes_model.spec.tensors import named_tensors
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.vocabulary import PHASES, DensityModel, FormatRanks, Role, Served

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
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


@dataclass(frozen=True, slots=True)
class SparseDesign(Design):
    """A problem on an architecture under a sparse design.

    Attributes
    ----------
    name : str
        Of the sparse design.
    densities : DensityArrays
    density_rules : tuple of DensityRule
        The density models of tensors.
    actions : ActionArrays
    formats : FormatArrays
    balance : BalanceArrays
    policy : Policy
        Of balancing.
    masks : MaskArrays
    compressed : bool[L, T]
    counting : Rules
        How is counted; what kernels need of it while they run stands in arrays.
    pack : PackArrays
    roomy : MachineArrays
        The machine, with any fan-out below levels where instances are left out: what is left is checked.
    capacity_size, overflow : str
        As the design says.
    adds_sizes : bool
        Whether what has to fit is found tensor by tensor, also where several masks are known.
    share : float
        Of the tiles that must fit; 1: all that can occur.
    deviations : float
        Standard deviations that this share of a normal distribution lies above its mean.
    choices : ChoiceArrays, optional
        Formats that a search chooses; each tile then costs no more than in any of them.
    """

    name: str
    densities: DensityArrays
    density_rules: tuple[DensityRule, ...]
    actions: ActionArrays
    formats: FormatArrays
    balance: BalanceArrays
    policy: Policy
    masks: MaskArrays
    compressed: Bools
    counting: Rules
    pack: PackArrays
    roomy: MachineArrays
    capacity_size: str
    overflow: str
    adds_sizes: bool
    share: float
    deviations: float
    choices: ChoiceArrays | None = None

    @property
    def has_loop_ranks(self) -> bool:
        """Whether there is a format whose ranks are loops."""
        ranks = self.formats.ranks
        return ranks.are != FormatRanks.DIMENSIONS and bool(ranks.listed.any())

    @property
    def is_counted(self) -> bool:
        """Whether the balanced tensor has a mask, so that work is counted rather than expected."""
        return self.balance.tensor >= 0 and bool(self.masks.known[self.balance.tensor])

    @property
    def counted_together(self) -> Bools:
        """Tensors whose masks together say what work is, bool[T]; none where one mask or none does."""
        chosen = self.masks.known & self.actions.skip_compute
        several = chosen.sum() > 1 and self.is_counted and bool(chosen[self.balance.tensor])
        return chosen if several else np.zeros_like(chosen)

    @property
    def saved_at(self) -> list[tuple[int, int]]:
        """Levels and tensors whose accesses are saved."""
        mine = self.actions.kind != SPACED
        pairs = zip(self.actions.level[mine].tolist(), self.actions.target[mine].tolist(), strict=True)
        return list(pairs)

    @property
    def packs(self) -> bool:
        """Whether zeros make room: instances are left out, or positions chosen."""
        return bool(self.pack.spaced.any()) or len(self.pack.level) > 0

    def works(self, keep: Bools) -> Bools:
        """Return whether all that the design states has an effect, given what levels keep.

        A level that saves accesses of a tensor keeps it, and operands whose zeros are skipped arrive
        compressed. The output's do not arrive. Positions are chosen among those that something knows.

        Parameters
        ----------
        keep : bool[..., L, T]

        Returns
        -------
        bool[...]
        """
        works = np.ones(keep.shape[:-2], np.bool_)
        for level, target in self.saved_at:
            works &= keep[..., level, target]
        last = self.compressed.shape[0] - 1
        for level, tensor in zip(self.pack.level.tolist(), self.pack.target.tolist(), strict=True):
            server = level - np.argmax(keep[..., level::-1, tensor], axis=-1)
            works &= self.compressed[server, tensor] | bool(self.densities.average[tensor] == 1)
        for tensor in np.flatnonzero(self.actions.skip_compute).tolist():
            if tensor != self.problem.output:
                innermost = last - np.argmax(keep[..., ::-1, tensor], axis=-1)
                works &= self.compressed[innermost, tensor]
        return works


def lower_sparsity(
    architecture: Architecture,
    problem: Problem,
    sparsity: Sparsity,
    densities: Mapping[str, Any] | None = None,
    masks: Mapping[str, Any] | None = None,
    rules: Rules | None = None,
) -> SparseDesign:
    """Return a sparse design as arrays.

    Parameters
    ----------
    architecture : Architecture
    problem : Problem
        Its phase selects the part of the design.
    sparsity : Sparsity
    densities : mapping, optional
        By tensor, in place of the design's: a number, or the content of a density in a file.
    masks : mapping, optional
        By tensor: a boolean array with the tensor's ranks, or a .npy or .npz file.
    rules : Rules, optional
        In place of the design's.

    Returns
    -------
    SparseDesign

    Raises
    ------
    SpecError
        When a tensor, level or dimension that is named does not exist, a mask does not fit its tensor, or
        `densities` and `masks` both say what is zero in one.
    """
    sparsity, missing = place_levels(sparsity, architecture, problem)
    phase = sparsity.phase(problem.phase)
    own = rules is None
    rules = phase.rules if rules is None else rules
    unknown = [one.issue for one in missing if one.tensor is None]
    unknown += explain_missing([one for one in missing if one.tensor is not None], sparsity, architecture)
    names = Names(architecture, problem, sparsity, rules, unknown)
    problem_arrays = lower_problem(problem)
    chosen, found = _choose_zeros(phase, densities or {}, masks or {}, names)
    actions = lower_actions(phase, len(problem.tensors), names)
    balance = _lower_balance(phase, len(architecture.levels), names)
    formats = _lower_formats(phase, architecture, problem, balance.array, names)
    if rules.format_ranks != "dimensions":
        check_masks(phase, found, names.complain)
    if own and rules.capacity == "added":
        _check_added(found, names)
    if not names.issues:
        names.issues += idle_on(architecture, sparsity, phase, problem)
    if names.issues:
        raise SpecError(names.issues)
    check_tables(problem, problem_arrays, found)
    read = {name: _read_mask(mask, problem, name, sparsity) for name, mask in found.items()}
    mask_arrays = lower_masks(problem, problem_arrays, read)
    rules_of = _density_rules(problem, chosen, mask_arrays)
    density_arrays = _lower_densities(problem, problem_arrays, chosen, rules_of, mask_arrays, sparsity)
    _check_uses(phase, density_arrays, balance, sparsity, problem)
    share = 1.0 if phase.capacity.size == "maximum" else float(phase.capacity.quantile)
    components = working_components(
        architecture,
        problem,
        _served(sparsity, problem, chosen, found),
        [tensor.name for t, tensor in enumerate(problem.tensors) if formats.compressed[:, t].any()],
    )
    machine = lower_machine(architecture, problem, components, phase.compute.gated_energy)
    if rules.metadata_ports == "shared":
        words = machine.metadata.bits / np.array([level.word_bits for level in architecture.levels])
        machine = machine._replace(metadata=machine.metadata._replace(scale=words))
    pack = lower_pack(phase, machine, names)
    wide = np.where(pack.spaced[:, None], LARGEST_BOUND, machine.fanout)
    return SparseDesign(
        name=sparsity.name,
        problem=problem_arrays,
        machine=machine,
        pack=pack,
        roomy=machine._replace(fanout=wide),
        rules=lower_rules(rules),
        components=components,
        densities=density_arrays,
        density_rules=rules_of,
        actions=actions,
        formats=formats,
        balance=balance,
        policy=POLICIES[phase.balancing.policy],
        masks=mask_arrays,
        compressed=formats.compressed,
        counting=rules,
        capacity_size=phase.capacity.size,
        overflow=phase.capacity.overflow,
        adds_sizes=rules.capacity == "added",
        share=share,
        deviations=NormalDist().inv_cdf(share) if share < 1 else math.inf,
    )


def _choose_zeros(
    phase: SparsePhase, densities: Mapping[str, Any], masks: Mapping[str, Any], names: Names
) -> tuple[dict[str, Density], dict[str, Any]]:
    """Return densities and masks by tensor: the design's, and in their place what is given beside it."""
    chosen = choose_densities(phase, densities, names.problem)
    for name in phase.densities:
        names.tensor(name, "densities", name)
    for name in {**densities, **masks}:
        names.tensor(name)
    names.issues += [
        Issue(
            f"tensor '{name}' is given both a density and a mask", "a mask says its density: give one of them"
        )
        for name in densities
        if name in masks
    ]
    useful = named_tensors(names.design)
    if any(one.when == Served.PRUNING for one in names.components):
        useful.add(names.problem.roles.get(Role.WEIGHTS, ""))
    names.issues += [
        Issue(
            f"{names.design.name} has no use for zeros of '{name}', in any phase",
            "leave out what is said of it, or let the design compress, skip, gate or balance the tensor",
        )
        for name in {**densities, **masks}
        if name not in useful and any(tensor.name == name for tensor in names.problem.tensors)
    ]
    found = dict(masks)
    for name, density in chosen.items():
        if density.is_mask and name not in found:
            found[name] = density.mask or density
    return chosen, found


def choose_densities(
    phase: SparsePhase, densities: Mapping[str, Any], problem: Problem
) -> dict[str, Density]:
    """Return densities by tensor: the design's, and in their place those that are given beside it."""
    given = {
        name: _density(name, value, phase.densities.get(name), problem) for name, value in densities.items()
    }
    stated = dict(phase.densities) | given
    return {name: settle(density, name, problem) for name, density in stated.items()}


def _check_added(found: Mapping[str, Any], names: Names) -> None:
    """Complain of sizes that are added up where no phase has several masks, and so any to add."""
    stated = [names.design.phase(phase).densities.values() for phase in PHASES]
    most = max(sum(density.is_mask for density in one) for one in stated)
    if max(len(found), most) < 2:
        message = "'capacity: added' has no effect on fewer than two masks"
        names.complain(message, "give a mask of another tensor, or take the rule out", ("rules", "capacity"))


def _served(
    sparsity: Sparsity, problem: Problem, densities: Mapping[str, Density], masks: Mapping[str, Any]
) -> set[Served]:
    """Return what a design does in a problem's phase, beside compressing, that components may serve.

    It balances where the tensor has zeros, and prunes where it states zeros of the weights, in whatever
    phase: what keeps track of gradients works in the weight update for zeros that are met in the forward
    phase.
    """
    served = set()
    balancing = sparsity.phase(problem.phase).balancing
    if balancing.tensor is not None and POLICIES[balancing.policy].balances:
        uneven = densities.get(balancing.tensor)
        if balancing.tensor in masks or (uneven is not None and uneven.average != 1):
            served.add(Served.BALANCING)
    weights = problem.roles.get(Role.WEIGHTS, "")
    stated = [densities, *(sparsity.phase(phase).densities for phase in PHASES)]
    settled = [settle(one[weights], weights, problem) for one in stated if weights in one]
    if weights in masks or any(density.average != 1 for density in settled):
        served.add(Served.PRUNING)
    return served


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


def _read_mask(source: Any, problem: Problem, name: str, design: Sparsity) -> NDArray[np.bool_]:
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


def _density_rules(
    problem: Problem, chosen: dict[str, Density], masks: MaskArrays
) -> tuple[DensityRule, ...]:
    """Return the density models of tensors: of a mask where there is one, dense where nothing is said."""
    said = (chosen[tensor.name].model if tensor.name in chosen else "dense" for tensor in problem.tensors)
    rules = [DENSITIES[name] for name in said]
    return tuple(
        DENSITIES["mask"] if masks.known[t] and one.place is None else one for t, one in enumerate(rules)
    )


def _lower_densities(
    problem: Problem,
    arrays: ProblemArrays,
    chosen: dict[str, Density],
    rules: tuple[DensityRule, ...],
    masks: MaskArrays,
    design: Sparsity,
) -> DensityArrays:
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


def _check_uses(
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


def _lower_formats(
    phase: SparsePhase, architecture: Architecture, problem: Problem, array: int, names: Names
) -> FormatArrays:
    for name, formats in phase.formats.items():
        names.tensor(name, "formats", name)
        for level_name, chosen in formats.items():
            if isinstance(chosen.block, tuple):
                _check_block(chosen.block, names, ("formats", name, level_name, "block"))
    stored = [
        [phase.format_of(tensor.name, level.name) for tensor in problem.tensors]
        for level in architecture.levels
    ]
    ranks = lower_ranks(stored, problem, names.rules, phase, names.complain)
    terms = lower_terms(stored, [len(tensor.ranks) for tensor in problem.tensors])
    runs = np.array([[one.stores_runs for one in row] for row in stored], np.bool_)
    implied = np.array([[is_implied(one) for one in row] for row in stored], np.bool_)
    bits = lower_bits(architecture, problem)
    word_bits = by_level([level.word_bits for level in architecture.levels], problem)
    metadata = lower_metadata(architecture)
    return FormatArrays(
        terms=terms,
        ranks=ranks,
        compressed=np.array([[one.leaves_out(names.rules) for one in row] for row in stored], np.bool_),
        padded=runs & (names.rules.stored_zeros == "stored"),
        implied=implied & (bits == 1),
        block=np.array([[positions_of(one.block, problem) for one in row] for row in stored], np.int64),
        array=array,
        dropped=np.array([[one.partial_blocks == "dropped" for one in row] for row in stored], np.bool_),
        bits=metadata.bits,
        room=metadata.room,
        scale=bits / word_bits,
    )


def _check_block(block: tuple[str, ...], names: Names, path: Path) -> None:
    """Complain of dimensions that are neither the problem's nor those of any shape that ships.

    One that only other shapes have counts as 1: blocks of R x S are one weight in a fully connected layer.
    """
    own = names.problem.dimensions
    for dimension in block:
        if dimension not in own and dimension not in shipped_dimensions():
            message = f"the problem {names.problem.name} has no dimension '{dimension}' for blocks"
            names.complain(message, did_you_mean(dimension, own), path)


def _lower_balance(phase: SparsePhase, levels: int, names: Names) -> BalanceArrays:
    balancing, policy = phase.balancing, POLICIES[phase.balancing.policy]
    reads = balancing.pointer_reads * balancing.pointer_share
    return BalanceArrays(
        tensor=-1 if balancing.tensor is None else names.tensor(balancing.tensor, "balancing", "tensor"),
        array=levels - 1 if balancing.array is None else names.level(balancing.array),
        pieces=policy.pieces,
        assignment=int(policy.assignment),
        pointer_level=names.level(balancing.pointer_level[0]) if balancing.pointer_level else -1,
        pointer_reads=float(reads),
        pointer_energy=float(balancing.pointer_energy),
    )
