"""A sparse design, densities and masks to arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from procrustes_model.densities import DensityRule
from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools, MachineArrays
from procrustes_model.kernels.sparse.arrays import (
    SPACED,
    ActionArrays,
    BalanceArrays,
    ChoiceArrays,
    DensityArrays,
    FormatArrays,
    PackArrays,
)
from procrustes_model.kernels.sparse.masks import MaskArrays
from procrustes_model.model.components import working_components
from procrustes_model.model.design import Design, lower_rules
from procrustes_model.model.lower import by_level, lower_bits, lower_machine, lower_metadata, lower_problem
from procrustes_model.model.sparse.actions import lower_actions, lower_pack
from procrustes_model.model.sparse.densities import (
    check_uses,
    choose_densities,
    density_rules,
    lower_densities,
    read_placed_mask,
)
from procrustes_model.model.sparse.effects import idle_on
from procrustes_model.model.sparse.format_ranks import check_masks, lower_ranks, shipped_dimensions
from procrustes_model.model.sparse.formats import is_implied, lower_terms, positions_of
from procrustes_model.model.sparse.masks import check_tables, lower_masks
from procrustes_model.model.sparse.names import Names
from procrustes_model.policies import POLICIES, Policy
from procrustes_model.spec.density import Density
from procrustes_model.spec.groups import settle
from procrustes_model.spec.level_roles import explain_missing, place_levels
from procrustes_model.spec.rules import Rules
from procrustes_model.spec.schema import LARGEST_BOUND
from procrustes_model.spec.sparsity import SparsePhase, Sparsity
from procrustes_model.spec.tensors import named_tensors
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.zeros import zeros_by_tensor
from procrustes_model.vocabulary import PHASES, FormatRanks, Role, Served

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem


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
    densities: Mapping[str, Any] | str | None = None,
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
    densities : mapping or str, optional
        By tensor or its letter, in place of the design's: a number, or the content of a density in a file.
    masks : mapping, optional
        By tensor or its letter: a boolean array with the tensor's ranks, or a .npy or .npz file.
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
    chosen, found = _choose_zeros(
        phase, zeros_by_tensor(densities, problem), zeros_by_tensor(masks, problem), names
    )
    actions = lower_actions(phase, len(problem.tensors), names)
    balance = _lower_balance(phase, len(architecture.levels), names)
    formats = _lower_formats(phase, architecture, problem, balance.array, names)
    if rules.format_ranks != "dimensions":
        check_masks(phase, found, names.complain)
    if own and rules.capacity == "added":
        _check_added(found, names)
    names.issues += _refuse_drains(architecture)
    if not names.issues:
        names.issues += idle_on(architecture, sparsity, phase, problem)
    if names.issues:
        raise SpecError(names.issues)
    check_tables(problem, problem_arrays, found)
    read = {name: read_placed_mask(mask, problem, name, sparsity) for name, mask in found.items()}
    mask_arrays = lower_masks(problem, problem_arrays, read)
    rules_of = density_rules(problem, chosen, mask_arrays)
    density_arrays = lower_densities(problem, problem_arrays, chosen, rules_of, mask_arrays, sparsity)
    density_arrays = density_arrays._replace(library=rules.probabilities == "boost")
    check_uses(phase, density_arrays, balance, sparsity, problem)
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


def _refuse_drains(architecture: Architecture) -> list[Issue]:
    """Return an issue for every level that reads what it sends up, where networks carry what is read."""
    if not any(level.network for level in architecture.levels):
        return []
    return [
        architecture.issue(
            f"{level.name} reads what it sends up, and networks would carry that down",
            "leave out 'drain_read', the networks or the sparse design",
            ("architecture", "levels", index, "drain_read"),
        )
        for index, level in enumerate(architecture.levels)
        if level.drain_read
    ]


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
