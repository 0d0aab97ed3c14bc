"""How many computations remain under a design: counted without a search, since no mapping changes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.plan import EntryRow

if TYPE_CHECKING:
    from procrustes_model.network.case import Case
    from procrustes_model.network.plan import Plan
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping as LoopNest
    from procrustes_model.spec.problem import Problem


@dataclass(frozen=True)
class Computations:
    """Computations of one layer in one phase, or of several.

    Attributes
    ----------
    dense : int
        If nothing were zero.
    done : int or float
        An expected value where something is zero.
    bit_operations : int or float or None
        Those done, each times the bits of one operand and those of the other; None: somewhere there are not
        two operands.
    """

    dense: int
    done: int | float
    bit_operations: int | float | None


@dataclass(frozen=True)
class CountedRow(EntryRow):
    """One layer in one phase on one design, with its computations alone.

    Attributes
    ----------
    computations : Computations
    """

    computations: Computations


def sum_of(rows: Iterable[CountedRow]) -> Computations:
    """Return the computations of rows together."""
    counts = [row.computations for row in rows]
    bits = [one.bit_operations for one in counts]
    known = [one for one in bits if one is not None]
    return Computations(
        sum(one.dense for one in counts),
        sum(one.done for one in counts),
        sum(known) if len(known) == len(bits) else None,
    )


def count_computations(plan: Plan) -> dict[str, Computations]:
    """Return the computations of every case of a plan, by key.

    They are those of the plainest mapping, in which the outermost level has all loops and each tile is one
    element: the zeros of single elements are then all that saves computations.

    Raises
    ------
    SpecError
        Where a design does not fit, with the layer.
    """
    from procrustes_model.model.evaluator import Evaluator

    counts, issues = {}, {}
    for key, case in plan.cases.items():
        ask: dict[str, Any] = {} if case.zeros is None else case.zeros.arguments()
        try:
            evaluator = Evaluator(case.architecture, case.problem, **ask)
            result = evaluator.evaluate(plain_mapping(case.architecture, case.problem))
        except SpecError as error:
            issues[key] = error.issues
            continue
        counts[key] = computations_of(case, result.compute.computes)
    if issues:
        raise SpecError([_at_layer(plan, key, issue) for key, several in issues.items() for issue in several])
    return counts


def computations_of(case: Case, done: float) -> Computations:
    """Return the computations of a case of which so many are done."""
    from procrustes_model.model.computing import operand_bits

    bits = operand_bits(case.architecture, case.problem)
    operations = None if bits is None else done * bits[0] * bits[1]
    return Computations(case.problem.computes, done, operations)


def counted_rows(plan: Plan, counts: Mapping[str, Computations]) -> tuple[CountedRow, ...]:
    """Return the rows of a plan with what was counted of their cases; elementwise layers have none."""
    return tuple(CountedRow(entry, counts[entry.key]) for entry in plan.entries if entry.key in counts)


def plain_mapping(architecture: Architecture, problem: Problem) -> LoopNest:
    """Return the mapping of which the outermost level has all loops, one after the other on one unit."""
    from procrustes_model.spec.load import load_mapping

    loops = " ".join(f"{name}={bound}" for name, bound in problem.dimensions.items())
    outermost, *inner = (level.name for level in architecture.levels)
    levels = [{"level": outermost, "temporal": loops}, *({"level": name} for name in inner)]
    return load_mapping({"mapping": {"levels": levels}}, architecture, problem)


def _at_layer(plan: Plan, key: str, issue: Issue) -> Issue:
    entry = next(entry for entry in plan.entries if entry.key == key)
    message = f"{entry.layer} ({entry.phase}, {entry.own or entry.design}): {issue.message}"
    return Issue(message, issue.hint, issue.file, issue.line, issue.column)
