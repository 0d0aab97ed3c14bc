"""The accesses of one tensor at one level, derived as closed forms in the loop bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sympy

from procrustes_model.errors import Issue, SpecError
from procrustes_model.explanation.closed_forms import Part, SymbolicNest, product, total
from procrustes_model.explanation.closed_transfers import (
    compute_steps,
    find_sharing,
    find_touched,
    find_transfers,
)
from procrustes_model.explanation.explanation import Explanation
from procrustes_model.forms import Source
from procrustes_model.spec.load import load_architecture, load_mapping, load_problem
from procrustes_model.spec.text.words import did_you_mean

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem, Tensor


def explain(
    architecture: Source | Architecture,
    problem: Source | Problem,
    mapping: Source | Mapping,
    level: str,
    tensor: str,
) -> Explanation:
    """Derive the accesses of `tensor` at `level` symbolically.

    Parameters
    ----------
    architecture, problem, mapping : path, str, mapping or object
    level : str
        Name of a storage level that keeps the tensor.
    tensor : str

    Returns
    -------
    Explanation
        Its values equal those of `evaluate`; they are found without the kernels.

    Raises
    ------
    SpecError
        When there is no such level or tensor, or the level does not keep the tensor; or where a loop is
        shorter in its last pass: the closed forms hold for whole passes.
    """
    architecture, problem = load_architecture(architecture), load_problem(problem)
    mapping = load_mapping(mapping, architecture, problem)
    _refuse_short_passes(mapping)
    index, spec = _find(architecture, problem, mapping, level, tensor)
    nest = SymbolicNest(problem, mapping)
    keepers = [i for i, one in enumerate(mapping.levels) if tensor in one.keep]
    outer = [i for i in keepers if i < index]
    child = next((i for i in keepers if i > index), len(mapping.levels))
    names = [one.level for one in mapping.levels] + [architecture.compute.name]

    instances = nest.part(
        f"instances_{level}",
        product(o.symbol for o in nest.loops if o.level < index and o.axis != "temporal"),
    )
    extents = tuple(nest.part(f"extent_{level}", extent) for extent in nest.extents(spec, nest.below(index)))
    arrivals = find_transfers(nest, spec, index, level)
    served = (
        compute_steps(nest, names[-1])
        if child == len(mapping.levels)
        else (find_transfers(nest, spec, child, names[child]))
    )
    sharing = tuple(find_sharing(nest, spec, i, names) for i in range(index, child) if nest.fanout(i))
    uses = [served.words, *(one.distinct for one in sharing)]
    departures = nest.part(f"departures_{level}", product(one.symbol for one in uses), uses)
    touched = find_touched(nest, spec, index, child, level) if spec.is_output else None
    covered = find_touched(nest, spec, index, index, f"{level}_fills") if spec.is_output else None
    if touched and covered and touched.value == covered.value:
        covered = touched
    storage = next(one for one in architecture.levels if one.name == level)
    loads = storage.loaded and not outer and not spec.is_output
    come = arrivals.words if outer or loads else None
    drained = arrivals.words if outer and spec.is_output and storage.drain_read else None
    reads, fills, updates = _actions(nest, come, departures, touched, covered, drained)
    return Explanation(
        architecture=architecture.name,
        problem=problem.name,
        mapping=mapping.name,
        level=level,
        tensor=spec,
        bounds=nest.bounds,
        place=_place(nest, mapping, index),
        instances=instances,
        extents=extents,
        tile=arrivals.tile,
        above=names[outer[-1]] if outer else None,
        arrivals=arrivals if outer else None,
        served=served,
        sharing=sharing,
        departures=departures,
        touched=touched,
        covered=covered if outer else touched,
        reads=reads,
        fills=fills,
        updates=updates,
    )


def _place(nest: SymbolicNest, mapping: Mapping, index: int) -> str:
    """Say where a tile stands among the loops of its level, where that has several entries."""
    entries = [i for i, one in enumerate(mapping.levels) if one.level == mapping.levels[index].level]
    if len(entries) == 1:
        return ""
    own = [loop for loop in nest.loops if loop.level in entries]
    outside = ", ".join(str(loop.symbol) for loop in own if loop.level < index)
    inside = ", ".join(str(loop.symbol) for loop in own if loop.level >= index)
    return f"outside of {inside or 'no loop'}, inside {outside or 'no loop'}"


def _refuse_short_passes(mapping: Mapping) -> None:
    """Raise where a loop is shorter in its last pass, with every such loop."""
    issues = [
        Issue(
            f"cannot explain {loop} of level '{level.level}', which is shorter in its last pass",
            "the closed forms hold for factors that divide the bounds; `evaluate` counts the others",
            file=mapping.name,
        )
        for level in mapping.levels
        for loop in level.loops
        if loop.last is not None
    ]
    if issues:
        raise SpecError(issues)


def _find(
    architecture: Architecture, problem: Problem, mapping: Mapping, level: str, tensor: str
) -> tuple[int, Tensor]:
    """Return the index of `level` and the tensor; SpecError where either is not there, or not kept."""
    issues = []
    levels = [one.level for one in mapping.levels]
    tensors = {one.name: one for one in problem.tensors}
    if level == architecture.compute.name:
        issues.append(
            Issue(f"'{level}' computes and stores nothing", f"storage levels are {', '.join(levels)}")
        )
    elif level not in levels:
        issues.append(
            Issue(f"architecture '{architecture.name}' has no level '{level}'", did_you_mean(level, levels))
        )
    if tensor not in tensors:
        issues.append(
            Issue(f"problem '{problem.name}' has no tensor '{tensor}'", did_you_mean(tensor, tensors))
        )
    if issues:
        raise SpecError(issues)
    index = next(
        (i for i, one in enumerate(mapping.levels) if one.level == level and tensor in one.keep), None
    )
    if index is None:
        keepers = [one.level for one in mapping.levels if tensor in one.keep]
        raise SpecError(
            Issue(f"level '{level}' does not keep tensor '{tensor}'", f"it is kept at {', '.join(keepers)}")
        )
    return index, tensors[tensor]


def _actions(
    nest: SymbolicNest,
    arrivals: Part | None,
    departures: Part,
    touched: Part | None,
    covered: Part | None,
    drained: Part | None,
) -> tuple[Part, Part, Part]:
    """Return reads, fills and updates; an output skips the first read and fill of every word it touches.

    What is `drained` is read once more on its way up.
    """
    zero = sympy.Integer(0)
    if touched is None or covered is None:
        fills = nest.part("fills", arrivals.symbol, [arrivals]) if arrivals else nest.part("fills", zero)
        return nest.part("reads", departures.symbol, [departures]), fills, nest.part("updates", zero)
    reads = _beyond_first(nest, "reads", departures, touched, [drained] if drained else [])
    fills = _beyond_first(nest, "fills", arrivals, covered) if arrivals else nest.part("fills", zero)
    return reads, fills, nest.part("updates", departures.symbol, [departures])


def _beyond_first(
    nest: SymbolicNest, name: str, words: Part, touched: Part, more: Sequence[Part] = ()
) -> Part:
    """Return the words that are not the first of an element, none where more are touched; and some more."""
    first = [] if words.value < touched.value else [words.symbol, -touched.symbol]
    terms = [*first, *(one.symbol for one in more)]
    if not terms:
        return nest.part(name, sympy.Integer(0))
    return nest.part(name, total(terms), [*([words, touched] if first else []), *more])
