"""What a request is about: the space to search, and the model that says what its best mapping costs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from procrustes_model.kernels.cache import COMPILED
from procrustes_model.kernels.sparse.arrays import ChoiceArrays
from procrustes_model.mapper.constraints import load_constraints
from procrustes_model.mapper.deadline import Deadline
from procrustes_model.mapper.imperfect.passes import PassPaths
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.optimal.roads import is_special
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.request import MapperRequest
from procrustes_model.mapper.result import Certificate, SearchResult
from procrustes_model.mapper.space import Space
from procrustes_model.model.design import OWN_RULES
from procrustes_model.model.evaluator import Evaluator
from procrustes_model.model.sparse.dense import does_nothing
from procrustes_model.model.sparse.lower import SparseDesign, lower_sparsity
from procrustes_model.objective import OBJECTIVES
from procrustes_model.processors import count_processors
from procrustes_model.spec.load import load_architecture, load_problem, load_rules, load_sparsity


def _tiny_machine(special: bool) -> dict[str, object]:
    common = {"class": "memory", "word_bits": 8, "capacity_words": 64, "energy_pj": {"read": 1, "write": 1}}
    near = {"name": "Near", "mesh_x": 2, "drain_read": special}
    return {
        "architecture": {
            "name": "tiny",
            "levels": [common | level | {"source": "only compiles"} for level in ({"name": "Far"}, near)],
            "compute": {"energy_pj": 1, "source": "only compiles"},
        }
    }


_TINY_PROBLEM = {"problem": {"name": "tiny", "shape": "matmul", "dimensions": {"M": 2, "K": 2, "N": 2}}}
_TINY_DESIGN = {
    "sparsity": {
        "name": "tiny",
        "densities": {"B": 0.5},
        "formats": {"B": {"Far": "run_length", "*": "bitmask"}},
        "actions": [{"level": "Near", "skip": "A", "on": "B"}],
        "compute": {"skip": "B"},
        "balancing": {"policy": "half_tile", "tensor": "B", "array": "Near"},
        "capacity": {"size": "quantile"},
    }
}
_NO_ZEROS = {"sparsity": {"name": "dense"}}


_TINY_MASK = np.array([[True, False], [False, True]])


Run = Callable[[Space, Incumbent], object]
"""Searches a space."""


def _prove(space: Space, incumbent: Incumbent) -> None:
    Optimal(space, incumbent, 1).run(0)


def _tiny_space(*, sparse: bool = False, masks: bool = False, special: bool = False) -> Space:
    machine, problem = load_architecture(_tiny_machine(special)), load_problem(_TINY_PROBLEM)
    constraints, design = load_constraints(None, machine, problem), None
    if sparse:
        given = {"B": _TINY_MASK} if masks else None
        rules = load_rules({"rules": {"overlap": "innermost"}}) if special else None
        design = lower_sparsity(machine, problem, load_sparsity(_TINY_DESIGN), masks=given, rules=rules)
    return Space(machine, problem, constraints, design)


@functools.cache
def compile_kernels(
    *, sparse: bool = False, masks: bool = False, special: bool = False, run: Run = _prove
) -> None:
    """Compile what searches need, or load what an earlier process has compiled: no time limit counts that.

    Parameters
    ----------
    sparse, masks : bool
        Whether something is zero, and masks say what.
    special : bool
        Whether paths need what most do without; see `mapper.optimal.roads.is_special`.
    run : callable
        What searches.
    """
    if not COMPILED:
        return
    run(_tiny_space(sparse=sparse, masks=masks, special=special), Incumbent(OBJECTIVES["edp"]))


@functools.cache
def compile_labels(sparse: bool = False) -> None:
    """Compile what growing labels takes: most searches do without.

    `sparse`: where something is zero.
    """
    if COMPILED:
        Optimal(_tiny_space(sparse=sparse), Incumbent(OBJECTIVES["edp"]), paths=False).run()


@functools.cache
def compile_passes() -> None:
    """Compile what shortest paths over numbers of passes take: only `imperfect` searches walk them."""
    if COMPILED:
        PassPaths(_tiny_space(), Incumbent(OBJECTIVES["edp"])).decide()


@dataclass(frozen=True)
class Task:
    """A space, and the model of what is reported.

    Attributes
    ----------
    space : Space
    evaluator : Evaluator
    threads : int
    """

    space: Space
    evaluator: Evaluator
    threads: int

    def conclude(
        self, incumbent: Incumbent, certificate: Certificate, method: str, *, interrupted: bool = False
    ) -> SearchResult:
        """Return the best mapping of a search, evaluated anew by the model.

        Parameters
        ----------
        incumbent : Incumbent
            With a mapping.
        certificate : Certificate
        method : str
        interrupted : bool

        Returns
        -------
        SearchResult
        """
        if incumbent.nests is None:
            raise ValueError("the search found no mapping")
        name = f"{incumbent.objective.plain_name}_{'optimal' if certificate.proven else 'best_found'}"
        mapping = self.space.to_mapping(incumbent.nests, name, incumbent.last)
        return SearchResult(
            objective=str(incumbent.objective),
            method=method,
            mapping=mapping,
            result=self.evaluator.evaluate(mapping),
            certificate=certificate,
            history=tuple(incumbent.history),
            seconds=incumbent.elapsed,
            interrupted=interrupted,
            stopped="" if certificate.proven or certificate.complete else self.space.deadline.over,
        )


def make_task(request: MapperRequest, run: Run = _prove, choices: ChoiceArrays | None = None) -> Task:
    """Return what a request is about, with kernels compiled; its time limit begins now.

    Parameters
    ----------
    request : MapperRequest
    run : callable
        As `compile_kernels` takes it.
    choices : ChoiceArrays, optional
        Formats of the sparse design that are open.

    Raises
    ------
    SpecError
        When a specification is wrong, or they do not fit each other.
    """
    deadline = Deadline(request.limit, effort=request.effort)
    rules = None if request.rules is None else load_rules(request.rules)
    with deadline.suspended():
        sparse = request.sparsity is not None or rules not in (None, OWN_RULES)
        compile_kernels(sparse=sparse, masks=request.masks is not None, run=run)
    evaluator = Evaluator(
        request.architecture,
        request.problem,
        sparsity=request.sparsity,
        densities=request.densities,
        masks=request.masks,
        rules=rules,
    )
    machine, problem = evaluator.architecture, evaluator.problem
    design = evaluator.design if isinstance(evaluator.design, SparseDesign) else None
    if design is not None and choices is not None:
        design = replace(design, choices=choices)
    if design is None and rules not in (None, OWN_RULES):
        # Bounds of the dense search hold by this model's own rules; those under a design by any.
        design = lower_sparsity(machine, problem, load_sparsity(_NO_ZEROS), rules=rules)
    if design is not None and does_nothing(design, machine, problem):
        design = None  # the dense search finds the same, and proves more
    constraints = load_constraints(request.constraints, machine, problem)
    space = Space(machine, problem, constraints, design, deadline)
    if is_special(space) and is_eligible(space):
        with deadline.suspended():
            compile_kernels(sparse=space.cost is not None, special=True)
    return Task(space, evaluator, request.threads or count_processors())
