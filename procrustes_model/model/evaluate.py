"""The verbs: evaluate one mapping, or many as arrays."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from typing import Any, overload

from numpy.typing import ArrayLike

from procrustes_model.model.batch import BatchResult
from procrustes_model.model.evaluator import Evaluator, Source
from procrustes_model.model.result import Result
from procrustes_model.model.sparse.result import SparseResult
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.rules import Rules
from procrustes_model.spec.sparsity import Sparsity


@overload
def evaluate(
    architecture: Source | Architecture,
    problem: Source | Problem,
    mapping: Source | Mapping,
    *,
    check_capacity: bool = ...,
    rules: Source | Rules | None = ...,
) -> Result: ...


@overload
def evaluate(
    architecture: Source | Architecture,
    problem: Source | Problem,
    mapping: Source | Mapping,
    *,
    check_capacity: bool = ...,
    rules: Source | Rules | None = ...,
    sparsity: Source | Sparsity,
    densities: AbstractMapping[str, Any] | str | None = ...,
    masks: AbstractMapping[str, Any] | None = ...,
) -> SparseResult: ...


def evaluate(
    architecture: Source | Architecture,
    problem: Source | Problem,
    mapping: Source | Mapping,
    *,
    check_capacity: bool = True,
    rules: Source | Rules | None = None,
    sparsity: Source | Sparsity | None = None,
    densities: AbstractMapping[str, Any] | str | None = None,
    masks: AbstractMapping[str, Any] | None = None,
) -> Result:
    """Count accesses, energy and cycles of one mapping; see `Evaluator`, which this is one use of.

    Parameters
    ----------
    architecture, problem, rules, sparsity, densities, masks
        As `Evaluator` takes them.
    mapping : path, str, mapping or Mapping
    check_capacity : bool
        Whether tiles that do not fit are an error.

    Returns
    -------
    Result
        With `sparsity` a `SparseResult`.

    Raises
    ------
    SpecError
        When a specification is wrong, tiles exceed a level's capacity, a count exceeds 2^62, densities or
        masks come without a sparse design or do not fit the problem, or a sparse design does not fit the
        architecture.
    """
    evaluator = Evaluator(
        architecture, problem, sparsity=sparsity, densities=densities, masks=masks, rules=rules
    )
    return evaluator.evaluate(mapping, check_capacity=check_capacity)


def evaluate_batch(
    architecture: Source | Architecture,
    problem: Source | Problem,
    temporal: ArrayLike,
    order: ArrayLike,
    spatial: ArrayLike,
    keep: ArrayLike,
    *,
    last: ArrayLike | None = None,
    threads: int = 1,
    **options: Any,
) -> BatchResult:
    """Evaluate N mappings given as arrays; see `Evaluator.evaluate_batch`, which this is one use of.

    Parameters
    ----------
    architecture, problem
        As `Evaluator` takes them.
    temporal, order, spatial, keep, last, threads
        As `Evaluator.evaluate_batch` takes them.
    **options
        Of `Evaluator`: `sparsity`, `densities`, `masks`, `rules`.

    Returns
    -------
    BatchResult

    Raises
    ------
    ValueError, SpecError
        As `Evaluator` and `Evaluator.evaluate_batch` do.
    """
    evaluator = Evaluator(architecture, problem, **options)
    return evaluator.evaluate_batch(temporal, order, spatial, keep, last=last, threads=threads)
