"""The verb: find the best mapping of a problem on an architecture."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.cache import is_warm
from procrustes_model.mapper.constraints import Constraints, load_constraints
from procrustes_model.mapper.exhaustive import search_exhaustive
from procrustes_model.mapper.imperfect.search import search_imperfect_space
from procrustes_model.mapper.incumbent import Incumbent, Progress
from procrustes_model.mapper.nothing import explain_limits, explain_nothing
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.random_search import search_random
from procrustes_model.mapper.result import Certificate, SearchResult
from procrustes_model.mapper.space import Space
from procrustes_model.model.evaluate import evaluate
from procrustes_model.model.result import Result
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.objective import OBJECTIVES, Objective, parse_objective
from procrustes_model.processors import count_processors
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_architecture, load_problem, load_sparsity
from procrustes_model.spec.mapping import Mapping as LoopNest
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.zeros import Zeros, find_zeros

METHODS = ("optimal", "random", "exhaustive")
Source = str | os.PathLike[str] | Mapping[str, Any]


_TINY_MACHINE = {
    "architecture": {
        "name": "tiny",
        "levels": [
            {"name": name, "class": "memory", "word_bits": 8, "capacity_words": 64, "mesh_x": mesh}
            | {"energy_pj": {"read": 1, "write": 1}, "source": "only compiles"}
            for name, mesh in (("Far", 1), ("Near", 2))
        ],
        "compute": {"energy_pj": 1, "source": "only compiles"},
    }
}
_TINY_PROBLEM = {"problem": {"name": "tiny", "shape": "matmul", "dimensions": {"M": 2, "K": 2, "N": 2}}}


_TINY_DESIGN = {
    "sparsity": {
        "name": "tiny",
        "densities": {"B": 0.5},
        "formats": {"B": {"*": "bitmask"}},
        "actions": [{"level": "Near", "skip": "A", "on": "B"}],
        "compute": {"skip": "B"},
        "balancing": {"policy": "half_tile", "tensor": "B", "array": "Near"},
        "capacity": {"size": "quantile"},
    }
}


def compile_kernels(*, sparse: bool = False) -> None:
    """Compile what searches need, unless an earlier process has: no time limit should count that."""
    if is_warm("list_candidates" if sparse else "walk"):
        return
    zeros = Zeros(load_sparsity(_TINY_DESIGN)) if sparse else None
    space = make_space(load_architecture(_TINY_MACHINE), load_problem(_TINY_PROBLEM), None, zeros)
    Optimal(space, Incumbent(OBJECTIVES["edp"]), 1).run(0)


def make_space(
    architecture: Architecture,
    problem: Problem,
    constraints: Source | Constraints | None,
    zeros: Zeros | None,
) -> Space:
    """Return the space that constraints leave."""
    rules = load_constraints(constraints, architecture, problem)
    design = None
    if zeros is not None:
        design = lower_sparsity(architecture, problem, zeros.sparsity, zeros.densities, zeros.masks)
    return Space(architecture, problem, rules, design)


def _evaluate(space: Space, mapping: LoopNest, zeros: Zeros | None) -> Result:
    given = {} if zeros is None else zeros.arguments()
    result: Result = evaluate(space.architecture, space.problem, mapping, **given)
    return result


def search(
    architecture: Source | Architecture,
    problem: Source | Problem,
    constraints: Source | Constraints | None = None,
    objective: str | Objective = "edp",
    *,
    sparsity: Source | Sparsity | None = None,
    densities: Mapping[str, Any] | None = None,
    masks: Mapping[str, Any] | None = None,
    method: Literal["optimal", "random", "exhaustive"] = "optimal",
    seconds: float | None = None,
    mappings: int | None = None,
    imperfect: bool = False,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SearchResult:
    """Find the best mapping.

    Parameters
    ----------
    architecture : path, str, mapping or Architecture
    problem : path, str, mapping or Problem
    constraints : path, mapping or Constraints, optional
        What the mapping must obey beyond the architecture.
    objective : str or Objective
        What to minimise: 'energy', 'cycles', 'edp' or another name or product, and limits, such as
        'energy, cycles<=200000'; see `parse_objective`. Of mappings with equal cycles the one with least
        energy is best.
    sparsity : path, str, mapping or Sparsity, optional
        What is zero, and what zeros save: costs are then those of the sparse model.
    densities, masks : mapping, optional
        As `evaluate` takes them; only with `sparsity`.
    method : {'optimal', 'random', 'exhaustive'}
        Proof, seeded walks, or every mapping (small spaces only).
    seconds : float, optional
        Time limit; the best mapping so far is returned, with the remaining gap.
    mappings : int, optional
        Budget of `random`; 1,000,000 where neither a budget nor a time limit is given. With `imperfect`, of
        the walks; 96,000 where neither is given.
    imperfect : bool
        Look at loops with a shorter last pass, too. What is found is never worse; what is proven says
        `search_imperfect_space`.
    seed : int
        The same seed gives the same answer for any number of threads, unless time runs out.
    threads : int, optional
        Default: the processors that may be used.
    progress : callable, optional
        Called with `Progress` when something has changed. A KeyboardInterrupt stops the search, which then
        returns the best mapping so far.

    Returns
    -------
    SearchResult

    Raises
    ------
    SpecError
        When a specification is wrong, or no mapping is valid or within the limits: then with the reason.
    """
    aim = parse_objective(objective)
    architecture, problem = load_architecture(architecture), load_problem(problem)
    zeros = find_zeros(sparsity, densities, masks)
    if zeros is not None and imperfect:
        raise SpecError(
            Issue("shorter last passes are not searched under a sparse design", "leave out one of them")
        )
    if mappings is not None and method != "random" and not imperfect:
        raise SpecError(Issue(f"method '{method}' has no budget of mappings", "method 'random', or seconds"))
    compile_kernels(sparse=zeros is not None)
    space = make_space(architecture, problem, constraints, zeros)
    incumbent = Incumbent(aim, seconds, progress, space.power)
    threads = threads or count_processors()
    certificate, interrupted = None, False
    try:
        if method not in METHODS:
            raise SpecError(Issue(f"unknown method '{method}'", f"one of {', '.join(METHODS)}"))
        if imperfect:
            certificate = search_imperfect_space(
                space, incumbent, method, mappings=mappings, seed=seed, threads=threads
            )
        elif method == "optimal":
            certificate = Optimal(space, incumbent, threads).run(seed)
        elif method == "random":
            budget = 1_000_000 if mappings is None and seconds is None else mappings
            search_random(space, incumbent, mappings=budget, seed=seed, threads=threads)
        else:
            search_exhaustive(space, incumbent)
    except KeyboardInterrupt:
        if incumbent.nests is None:
            raise
        interrupted = True
    if incumbent.nests is None:
        raise SpecError(explain_limits(space, aim) or explain_nothing(space))
    if certificate is None:
        complete = method == "exhaustive" and not interrupted and not incumbent.late
        certificate = Certificate(
            proven=complete,
            complete=complete,
            value=incumbent.value,
            lower_bound=incumbent.value if complete else min(incumbent.lower_bound, incumbent.value),
            mapspace=space.size(),
            measured=incumbent.measured,
        )
    interrupted = interrupted or incumbent.interrupted
    return conclude(space, incumbent, certificate, method, zeros, interrupted=interrupted)


def conclude(
    space: Space,
    incumbent: Incumbent,
    certificate: Certificate,
    method: str,
    zeros: Zeros | None = None,
    *,
    interrupted: bool = False,
) -> SearchResult:
    """Return the best mapping of a search, evaluated anew by the model.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        With a mapping.
    certificate : Certificate
    method : str
    zeros : Zeros, optional
    interrupted : bool

    Returns
    -------
    SearchResult
    """
    if incumbent.nests is None:
        raise ValueError("the search found no mapping")
    mapping = space.to_mapping(incumbent.nests, f"{incumbent.objective.plain_name}_{method}", incumbent.last)
    return SearchResult(
        objective=str(incumbent.objective),
        method=method,
        mapping=mapping,
        result=_evaluate(space, mapping, zeros),
        certificate=certificate,
        history=tuple(incumbent.history),
        seconds=incumbent.elapsed,
        interrupted=interrupted,
    )
