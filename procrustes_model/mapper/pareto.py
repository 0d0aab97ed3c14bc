"""The Pareto front of energy against cycles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from procrustes_model.mapper.constraints import Constraints
from procrustes_model.mapper.incumbent import Incumbent, Progress
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.result import SearchResult
from procrustes_model.mapper.search import Source, compile_kernels, conclude, make_space
from procrustes_model.objective import OBJECTIVES
from procrustes_model.processors import count_processors
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_architecture, load_problem
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.zeros import find_zeros


def find_pareto_front(
    architecture: Source | Architecture,
    problem: Source | Problem,
    constraints: Source | Constraints | None = None,
    *,
    sparsity: Source | Sparsity | None = None,
    densities: Mapping[str, Any] | None = None,
    masks: Mapping[str, Any] | None = None,
    points: int = 100,
    seconds: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[SearchResult, ...]:
    """Find all mappings to which no other is preferable in both energy and cycles, one for each pair.

    Parameters
    ----------
    architecture : path, str, mapping or Architecture
    problem : path, str, mapping or Problem
    constraints : path, mapping or Constraints, optional
    sparsity, densities, masks
        What is zero; see `search`.
    points : int
        Most points to find, from least energy on.
    seconds : float, optional
        Time limit of all searches together; the front is cut short where it is over.
    seed : int
    threads : int, optional
        Default: the processors that may be used.
    progress : callable, optional
        Called with `Progress` when something has changed.

    Returns
    -------
    tuple of SearchResult
        From least energy to fewest cycles; empty where no mapping is valid.

    Notes
    -----
    Each point has the least energy of all mappings that take fewer cycles than the point before.
    """
    architecture, problem = load_architecture(architecture), load_problem(problem)
    zeros = find_zeros(sparsity, densities, masks)
    compile_kernels(sparse=zeros is not None)
    space = make_space(architecture, problem, constraints, zeros)
    threads = threads or count_processors()
    front: list[SearchResult] = []
    objective, spent = OBJECTIVES["energy"], 0.0
    while len(front) < points and (seconds is None or spent < seconds):
        left = None if seconds is None else seconds - spent
        incumbent = Incumbent(objective, left, progress, space.power)
        certificate = Optimal(space, incumbent, threads).run(seed)
        spent += incumbent.elapsed
        if incumbent.nests is None:
            break
        found = conclude(space, incumbent, certificate, "optimal", zeros)
        if front and front[-1].result.energy_pj >= found.result.energy_pj:
            front.pop()
        front.append(found)
        objective = replace(objective, most_cycles=incumbent.cycles - 1)
    return tuple(front)
