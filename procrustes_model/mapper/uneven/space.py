"""The space of uneven mappings: that of a machine with an entry for each tensor that a level may keep.

Every uneven mapping has a *layout*: what levels keep, and in which order their tensors stand. Tensors that
stand at the same place are one after the other without a loop between, so that orders of single tensors are
enough, and even mappings are among them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools, Ints, NestArrays
from procrustes_model.mapper.level_rules import Constraints, LevelRules, LoopRules
from procrustes_model.mapper.space import Space
from procrustes_model.model.design import Design, lower_dense
from procrustes_model.model.uneven import unfold_design
from procrustes_model.spec.mapping import LevelMapping, Mapping
from procrustes_model.spec.uneven import is_last, unfold


@dataclass
class UnevenSpace(Space):
    """All mappings, even and uneven, of a problem on an architecture that constraints allow.

    Its levels are entries. Of a level's entries those that keep a tensor are the last ones, one tensor each;
    the others have no loops.

    Attributes
    ----------
    even : Space
        Of mappings in which all tensors of a level stand at one place.
    entries : tuple of int
        Index of the level of each entry.
    """

    even: Space | None = None
    entries: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        # Of two partial mappings the better one may not leave room for what fits beside the other.
        self.model = self.model._replace(exact=False)

    def _lower(self) -> Design:
        assert self.even is not None
        return unfold_design(lower_dense(self.even.architecture, self.problem), self.entries)

    def orders_of(self, keep: Bools) -> Iterator[Bools]:
        """Yield the layouts of what levels keep, bool[L, T], as what entries keep."""
        rows: list[list[int]] = [[] for _ in keep]
        for position, index in enumerate(self.entries):
            rows[index].append(position)
        options: list[list[tuple[int, ...]]] = []
        for level, kept in enumerate(keep):
            mine = np.flatnonzero(kept).tolist()
            single = len(rows[level]) == 1
            options.append([tuple(mine)] if single else list(itertools.permutations(mine)))
        for chosen in itertools.product(*options):
            laid = np.zeros((len(self.entries), keep.shape[1]), np.bool_)
            for level, tensors in enumerate(chosen):
                if len(rows[level]) == 1:
                    laid[rows[level][0], list(tensors)] = True
                for row, tensor in zip(rows[level][len(rows[level]) - len(tensors) :], tensors, strict=False):
                    laid[row, tensor] = True
            yield laid

    def numbered_patterns(self, *, inside_first: bool = False) -> Iterator[tuple[int, Bools]]:
        """Yield every layout with a number, from 0."""
        assert self.even is not None
        number = 0
        for _, keep in self.even.numbered_patterns(inside_first=inside_first):
            for laid in self.orders_of(keep):
                yield number, laid
                number += 1

    def idle(self, laid: Bools) -> Bools:
        """Return the entries of a layout that keep nothing and have no loops, bool[L]."""
        last = np.array([is_last(self.entries, position) for position in range(len(self.entries))])
        return np.asarray(~laid.any(axis=1) & ~last)

    def spread_out(self, nests: NestArrays) -> NestArrays:
        """Return even mappings as mappings of this space, with all that a level does at its last entry.

        All of its tensors are kept there: that is no layout, and costs the same.
        """
        last = [p for p in range(len(self.entries)) if is_last(self.entries, p)]
        found = self.nests(len(nests.temporal))
        found.keep[:] = False
        for level, position in enumerate(last):
            found.temporal[:, position] = nests.temporal[:, level]
            found.order[:, position] = nests.order[:, level]
            found.spatial[:, position] = nests.spatial[:, level]
            found.keep[:, position] = nests.keep[:, level]
        return found

    def to_mapping(self, nests: NestArrays, name: str, last: Ints | None = None) -> Mapping:
        """Return a batch of one as users read and write it: entries with no loop between them are one."""
        assert self.even is not None
        written: list[LevelMapping] = []
        entries = super().to_mapping(nests, name, last).levels
        for position, entry in enumerate(entries):
            level = self.even.architecture.levels[self.entries[position]].name
            above = written[-1] if written and written[-1].level == level else None
            if above is not None and not above.temporal:
                kept = {*above.keep, *entry.keep}
                keep = tuple(one.name for one in self.problem.tensors if one.name in kept)
                written[-1] = entry.model_copy(update={"level": level, "keep": keep})
            elif above is not None and not entry.keep and _are_apart(above, entry):
                loops = {"spatial_x": entry.spatial_x, "spatial_y": entry.spatial_y}
                written[-1] = above.model_copy(update={"temporal": above.temporal + entry.temporal, **loops})
            else:
                written.append(entry.model_copy(update={"level": level}))
        return Mapping(name=name, levels=tuple(written))


def _are_apart(outer: LevelMapping, inner: LevelMapping) -> bool:
    """Say whether no dimension has a temporal loop in both."""
    return not {loop.dimension for loop in outer.temporal} & {loop.dimension for loop in inner.temporal}


def unfold_space(space: Space) -> UnevenSpace:
    """Return the space with uneven mappings.

    Raises
    ------
    SpecError
        When constraints speak of temporal loops of a level with several entries.
    """
    machine = space.architecture
    entries: list[int] = []
    for index, level in enumerate(machine.levels):
        aside = level.beside or any(one.beside for one in machine.levels[index + 1 : index + 2])
        aside = aside or index in space.model.machine.home  # where a tensor begins
        several = 1 if aside else int((space.rules.keep[index] != 0).sum())
        entries += [index] * max(1, several)
    unfolded = unfold(machine, entries)
    names = [f"{level.name} {position}" for position, level in enumerate(unfolded.levels)]
    levels = tuple(
        level.model_copy(update={"name": name}) for level, name in zip(unfolded.levels, names, strict=True)
    )
    constraints = _unfold_constraints(space, entries, names)
    return UnevenSpace(
        unfolded.model_copy(update={"levels": levels}),
        space.problem,
        constraints,
        None,
        space.deadline,
        even=space,
        entries=tuple(entries),
    )


def _unfold_constraints(space: Space, entries: list[int], names: list[str]) -> Constraints:
    """Return constraints on entries; what levels keep is left to layouts."""
    rules = []
    index = {level.name: i for i, level in enumerate(space.architecture.levels)}
    for one in space.constraints.levels:
        rows = [position for position, level in enumerate(entries) if level == index[one.level]]
        for kind, loops in one.loops.items():
            if kind != "temporal" or len(rows) == 1:
                rules.append(LevelRules(names[rows[-1]], {kind: loops}))
                continue
            if loops.factors or loops.order:
                message = f"temporal loops of {one.level} are constrained, and may stand at several places"
                hint = "'dimensions' may be given; leave out 'factors' and 'order', or --uneven"
                raise SpecError(Issue(message, hint, space.constraints.name))
            rules += [LevelRules(names[row], {kind: LoopRules(dimensions=loops.dimensions)}) for row in rows]
    return Constraints(tuple(rules), space.constraints.min_utilization, space.constraints.name)
