"""One evaluator: a problem on an architecture, for one mapping or arrays of them, dense or sparse."""

from __future__ import annotations

import os
from collections.abc import Mapping as AbstractMapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from procrustes_model.errors import SpecError
from procrustes_model.kernels.dense.buffers import make_costs, make_room
from procrustes_model.kernels.imbalance.memo import make_memo
from procrustes_model.kernels.imperfect.instances import find_unequal
from procrustes_model.kernels.imperfect.unequal import Manner, evaluate_unequal, make_totals
from procrustes_model.kernels.jit import once
from procrustes_model.kernels.pipeline import Scope, evaluate_nests
from procrustes_model.kernels.sparse.fullest import make_found
from procrustes_model.model.batch import EQUAL_ONLY, EVEN_ONLY, WHOLE_ONLY, BatchEvaluator, BatchResult
from procrustes_model.model.design import OWN_RULES, Design, lower_dense
from procrustes_model.model.lift import check_fit, check_status, lift_dense
from procrustes_model.model.lower import lower_last_passes, lower_mapping
from procrustes_model.model.passes import read_last
from procrustes_model.model.sparse.buffers import Memo, make_buffers
from procrustes_model.model.sparse.effects import check_effects
from procrustes_model.model.sparse.lift import lift_sparse
from procrustes_model.model.sparse.lower import SparseDesign, lower_sparsity
from procrustes_model.model.sparse.steps import evaluate_block
from procrustes_model.model.uneven import fold_costs, fold_counts, refuse_uneven, unfold_machine
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.level_roles import place_levels
from procrustes_model.spec.load import (
    load_architecture,
    load_mapping,
    load_problem,
    load_rules,
    load_sparsity,
)
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.rules import Rules
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.uneven import find_entries
from procrustes_model.spec.zeros import check_zeros

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from procrustes_model.kernels.dense.arrays import Ints
    from procrustes_model.model.result import Result

Source = str | os.PathLike[str] | AbstractMapping[str, Any]
"""A file, the name of something that ships, or the parsed content."""

_ANY_SIZE = Scope(known=False, fit=False)


class Evaluator:
    """A problem on an architecture, ready to evaluate mappings.

    Everything that does not depend on the mapping is prepared once.

    Parameters
    ----------
    architecture : path, str, mapping or Architecture
    problem : path, str, mapping or Problem
    sparsity : path, str, mapping or Sparsity, optional
        What is zero, how it is stored, and what that saves; None: nothing is zero.
    densities : mapping or str, optional
        In place of the sparse design's, by tensor or its letter (W weights, X input, Y output): nonzeros /
        elements, or what a density in its file holds. Also as text: ``"W=0.1,X=0.5"``.
    masks : mapping, optional
        By tensor or its letter, in place of its density: a boolean array with the tensor's ranks, or a file,
        .npy or .npz. What masks decide is then counted and not expected.
    rules : path, mapping or Rules, optional
        Where counting follows a published model; the sparse design's, or this model's own, by default.

    Raises
    ------
    SpecError
        When a specification is wrong, densities or masks come without a sparse design or do not fit the
        problem, or a sparse design does not fit the architecture.

    Examples
    --------
    >>> evaluator = Evaluator("procrustes_16x16", "vgg_s/conv3_2", sparsity="procrustes")
    >>> result = evaluator.evaluate("procrustes_16x16/vgg_s_conv3_2_kn")
    """

    def __init__(
        self,
        architecture: Source | Architecture,
        problem: Source | Problem,
        *,
        sparsity: Source | Sparsity | None = None,
        densities: AbstractMapping[str, Any] | str | None = None,
        masks: AbstractMapping[str, Any] | None = None,
        rules: Source | Rules | None = None,
    ) -> None:
        check_zeros(sparsity, densities, masks)
        self.architecture = load_architecture(architecture)
        self.problem = load_problem(problem)
        self.sparsity = None
        if sparsity is not None:
            # What is missing on the machine lower_sparsity says.
            self.sparsity, _ = place_levels(load_sparsity(sparsity), self.architecture, self.problem)
        chosen = None if rules is None else load_rules(rules)
        self.design: Design
        if self.sparsity is None:
            self.design = lower_dense(self.architecture, self.problem, chosen or OWN_RULES)
        else:
            design = self.sparsity
            self.design = once(
                lambda: lower_sparsity(self.architecture, self.problem, design, densities, masks, chosen)
            )
        self._batches = BatchEvaluator(self.design)

    def read(self, mapping: Source | Mapping) -> Mapping:
        """Return a mapping for this architecture, problem and sparse design.

        Raises
        ------
        SpecError
            When the mapping is wrong.
        """
        roomy = () if self.sparsity is None else self.sparsity.phase(self.problem.phase).roomy
        return load_mapping(mapping, self.architecture, self.problem, roomy)

    def evaluate(self, mapping: Source | Mapping, *, check_capacity: bool = True) -> Result:
        """Count accesses, energy and cycles of one mapping.

        Parameters
        ----------
        mapping : path, str, mapping or Mapping
            For this architecture and problem.
        check_capacity : bool
            Whether tiles that do not fit are an error.

        Returns
        -------
        Result
            Under a sparse design a `SparseResult`.

        Raises
        ------
        SpecError
            When the mapping is wrong, tiles exceed a level's capacity, a count exceeds 2^62, last passes
            are shorter under a sparse design or under ``overlap: innermost``, or the mapping is uneven
            under a sparse design.
        """
        schedule, design = self.read(mapping), self.design
        if isinstance(design, SparseDesign):
            return once(lambda: self._evaluate_sparse(design, schedule, check_capacity))
        return once(lambda: self._evaluate_dense(design, schedule, check_capacity))

    def _evaluate_dense(self, design: Design, schedule: Mapping, check: bool) -> Result:
        if schedule.imperfect and design.rules.forgetful:
            raise SpecError(schedule.issue(WHOLE_ONLY))
        nest = lower_mapping(self.problem, schedule)
        last = None
        if schedule.imperfect:
            last = read_last(nest, lower_last_passes(self.problem, schedule))
        entries = find_entries(self.architecture, schedule)
        machine = unfold_machine(design.machine, entries, nest.keep[0]) if schedule.uneven else design.machine
        _, levels, dimensions = nest.temporal.shape
        tensors = len(self.problem.tensors)
        room, costs = make_room(1, levels, dimensions, tensors), make_costs(1, machine)
        problem, rules, counts = design.problem, design.rules, room.counts
        if last is not None and find_unequal(nest, last.temporal, last.filled)[0]:
            if rules.dearest:
                raise SpecError(schedule.issue(EQUAL_ONLY))
            if schedule.uneven:
                raise SpecError(schedule.issue(EVEN_ONLY))
            totals, manner = make_totals(1, levels, tensors), Manner(_ANY_SIZE.fit, rules.all_fills)
            evaluate_unequal(problem, machine, nest, last, manner, room, totals, costs)
            counts = counts._replace(accesses=cast("Ints", totals.words))
        else:
            temporal = None if last is None else last.temporal
            evaluate_nests(problem, machine, rules, _ANY_SIZE, nest, temporal, room, costs)
        check_status(int(room.status[0]), schedule)
        if schedule.uneven:
            counts, costs = fold_counts(counts, nest.keep, entries), fold_costs(costs, entries)
        result = lift_dense(self.architecture, self.problem, schedule, design, counts, costs)
        if check:
            check_fit(result.levels, schedule)
        return result

    def _evaluate_sparse(self, design: SparseDesign, mapping: Mapping, check: bool) -> Result:
        refuse_uneven(mapping)
        if mapping.imperfect:
            raise SpecError(mapping.issue("sparse evaluation takes loops that divide their bounds"))
        buffers = make_buffers(design, 1)
        nest = lower_mapping(self.problem, mapping)
        evaluate_block(design, nest, buffers, Memo(make_memo(64), make_found(64)), before=True, check=check)
        assert self.sparsity is not None
        phase = self.sparsity.phase(self.problem.phase)
        check_effects(phase, design.name, self.problem, mapping)
        check_status(int(buffers.status[0]), mapping)
        return lift_sparse(self.architecture, self.problem, mapping, design, phase, buffers)

    def evaluate_batch(
        self,
        temporal: ArrayLike,
        order: ArrayLike,
        spatial: ArrayLike,
        keep: ArrayLike,
        *,
        last: ArrayLike | None = None,
        threads: int = 1,
    ) -> BatchResult:
        """Evaluate N mappings given as arrays, of L levels, D dimensions and T tensors in the specs' order.

        One batch at a time. Expected work of tiles and memory are kept from batch to batch.

        Parameters
        ----------
        temporal : int[N, L, D]
            Temporal factors.
        order : int[N, L, D]
            Indices of the dimensions of each level's temporal loops, outermost first: a permutation.
        spatial : int[N, L, 2, D]
            Factors on x and y over the instances below the level.
        keep : bool[N, L, T]
            Which tensors each level keeps.
        last : int[N, L, D] or int[N, L, 3, D], optional
            Factors in the last pass over their dimension: temporal ones, or temporal, on x and on y; None
            where all passes are whole, as they must be under a sparse design.
        threads : int
            Threads to share the work; the result does not depend on it.

        Returns
        -------
        BatchResult

        Raises
        ------
        ValueError
            When the arrays' shapes disagree, factors are not positive, an order is not a permutation, a last
            pass is longer than the others, there are last passes under a sparse design, or a level has loops
            that another lies beside.
        """
        for index, level in enumerate(self.architecture.levels):
            if level.beside and any(_has_loops(factors, index - 1) for factors in (temporal, spatial)):
                raise ValueError(f"{level.name} lies beside the level before, which has no loops of its own")
        return self._batches.evaluate(temporal, order, spatial, keep, last=last, threads=threads)


def _has_loops(factors: ArrayLike, level: int) -> bool:
    """Say whether any mapping has loops at a level; of other shapes than those of factors, no."""
    table = np.asarray(factors)
    return table.ndim > 2 and bool((table[:, level] != 1).any())
