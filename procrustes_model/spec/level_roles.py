"""From roles of levels, which any machine has, to the levels of one machine.

What a role means stands in `vocabulary.LevelRole`. A level that is called like a role comes before the role.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from procrustes_model.errors import Issue
from procrustes_model.spec.architecture import Architecture, StorageLevel
from procrustes_model.spec.homes import may_keep
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.schema import Origin
from procrustes_model.spec.sparsity import (
    EVERY_LEVEL,
    Action,
    Balancing,
    Format,
    Sparsity,
    find_twice,
)
from procrustes_model.spec.tensors import stated_bits
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.text.yaml_text import Path, Place
from procrustes_model.vocabulary import LevelRole, Phase

ROLES = tuple(role.value for role in LevelRole)


def array_begins(architecture: Architecture) -> int:
    """Return the index of the outermost level of the array; see `LevelRole.ARRAY`."""
    levels = architecture.levels
    innermost = max(index for index, level in enumerate(levels) if level.stores)
    meshes = [i for i in range(innermost + 1) if levels[i].mesh_x * levels[i].mesh_y > 1]
    if meshes:
        return next(index for index in range(meshes[-1], innermost + 1) if levels[index].stores)
    while levels[innermost].beside:
        innermost -= 1
    return innermost


def levels_of(role: LevelRole, architecture: Architecture, problem: Problem, tensor: str) -> list[int]:
    """Return the levels that have a role for a tensor of a problem, outermost first.

    They may keep it, and have room for an element of it: of an output, for a partial sum.

    Parameters
    ----------
    role : LevelRole
    architecture : Architecture
    problem : Problem
    tensor : str
    """
    outermost, array = architecture.outermost, array_begins(architecture)
    keepers = [
        i
        for i, level in enumerate(architecture.levels)
        if may_keep(architecture, problem, i, tensor) and _has_room(level, architecture, problem, tensor)
    ]
    match role:
        case LevelRole.OFF_CHIP:
            return [i for i in keepers if i == outermost < array]
        case LevelRole.SHARED:
            return [i for i in keepers if outermost < i < array]
        case LevelRole.ARRAY:
            return [i for i in keepers if i >= array]
        case LevelRole.INNERMOST:
            return keepers[-1:]


def _has_room(level: StorageLevel, architecture: Architecture, problem: Problem, tensor: str) -> bool:
    """Say whether one element of a tensor fits into a level, with nothing else there."""
    bits = stated_bits(architecture, problem).get(tensor, level.word_bits)
    if tensor == problem.output.name:
        bits = max(bits, architecture.sum_bits or 0)
    return level.usable_words is None or level.usable_words * level.word_bits >= bits


@dataclass(frozen=True)
class Missing:
    """A name or a role that stands in a design and is no level of a machine.

    Attributes
    ----------
    word : str
    tensor : str or None
        For which it should be one; None for a name.
    issue : Issue
        At its place.
    """

    word: str
    tensor: str | None
    issue: Issue


def place_levels(
    sparsity: Sparsity, architecture: Architecture, problem: Problem
) -> tuple[Sparsity, list[Missing]]:
    """Return a design that names levels of a machine in the problem's phase, and what is none of them.

    Parameters
    ----------
    sparsity : Sparsity
        What it says of tensors that the problem lacks stays as it is.
    architecture : Architecture
    problem : Problem

    Returns
    -------
    Sparsity
        The same where it names no roles. Issues of its parts point at where they are written.
    list of Missing
        These stay as they are.
    """
    phase = sparsity.phase(problem.phase)
    placing = _Placing(sparsity, architecture, problem)
    changed = {
        "formats": placing.formats(phase.formats),
        "actions": placing.actions(phase.actions),
        "balancing": placing.balancing(phase.balancing),
    }
    if all(getattr(phase, key) == value for key, value in changed.items()):
        return sparsity, placing.missing
    name = problem.phase or Phase.FORWARD
    placed = sparsity.model_copy(update={name.value: phase.model_copy(update=changed)})
    return placed.read_from(placing.origin(name)), placing.missing


def explain_missing(
    missing: Sequence[Missing], sparsity: Sparsity, architecture: Architecture
) -> list[Issue]:
    """Return one issue for all names that are no levels, and one for all roles that no level has.

    Parameters
    ----------
    missing : sequence of Missing
        Of any problems and phases.
    sparsity : Sparsity
    architecture : Architecture
    """
    issues = []
    for by_name in (True, False):
        some = [one for one in missing if (one.tensor is None) == by_name]
        if not some:
            continue
        first = some[0].issue
        words = list(dict.fromkeys((one.word, one.tensor) for one in some))
        message, hint = first.message, first.hint
        if len(words) > 1 and by_name:
            message = (
                f"the architecture {architecture.name} has no levels {_listed(word for word, _ in words)}"
            )
            hint = f"its levels are {', '.join(level.name for level in architecture.levels)}"
        elif len(words) > 1:
            message += "; so " + ", ".join(f"{word} for '{tensor}'" for word, tensor in words[1:])
        if by_name:
            hint = f"{hint} Roles that fit any machine: {', '.join(ROLES)}"
        issues.append(Issue(f"{sparsity.name}: {message}", hint, first.file, first.line, first.column))
    return issues


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


class _Placing:
    """One design in one phase on one machine: collects what is missing, and where parts come from."""

    def __init__(self, sparsity: Sparsity, architecture: Architecture, problem: Problem) -> None:
        self.sparsity, self.architecture, self.problem = sparsity, architecture, problem
        self.names = [level.name for level in architecture.levels]
        self.tensors = [tensor.name for tensor in problem.tensors]
        self.missing: list[Missing] = []
        self.written: dict[Path, Path] = {}
        """By path of a part of the placed design, where it stands in the design as written."""

    def levels(self, word: str, tensor: str) -> list[str]:
        """Return the levels that a name or a role means for a tensor: none where it means nothing.

        What a role means for a tensor that does not exist nobody knows: it is left.
        """
        if word in self.names or (word in ROLES and tensor not in self.tensors):
            return [word]
        if word not in ROLES:
            return []
        found = levels_of(LevelRole(word), self.architecture, self.problem, tensor)
        return [self.names[index] for index in found]

    def miss(self, word: str, tensor: str, path: Path) -> None:
        """Note a name or a role that means nothing for a tensor."""
        machine = self.architecture.name
        if word in ROLES:
            message = f"no level of {machine} that may keep '{tensor}' has the role '{word}'"
            hint: str | None = f"{word}: {LevelRole(word).rule}"
        else:
            message = f"the architecture {machine} has no level '{word}'"
            hint = did_you_mean(word, self.names)
        issue = self.sparsity.issue(message, hint, self.problem.phase, path)
        self.missing.append(Missing(word, tensor if word in ROLES else None, issue))

    def formats(self, formats: dict[str, dict[str, Format]]) -> dict[str, dict[str, Format]]:
        """Return formats by tensor and level. A role that a tensor has no level for says nothing of it.

        Only where that is so of all of a design, it is missing.
        """
        placed = {tensor: self._formats_of(tensor, of_levels) for tensor, of_levels in formats.items()}
        if not any(placed.values()):
            for tensor, of_levels in formats.items():
                placed[tensor] = of_levels
                for word in of_levels:
                    self.miss(word, tensor, ("formats", tensor, word))
        return placed

    def _formats_of(self, tensor: str, of_levels: dict[str, Format]) -> dict[str, Format]:
        """Return formats by level: what is said of a level by name, then as innermost one, comes first."""
        named = {word: one for word, one in of_levels.items() if word in self.names or word == EVERY_LEVEL}
        roles = {word: one for word, one in of_levels.items() if word in ROLES and word not in named}
        left = {word: one for word, one in of_levels.items() if word not in named and word not in roles}
        placed: dict[str, Format] = {}
        for word in sorted(roles, key=lambda word: word == LevelRole.INNERMOST):
            for level in self.levels(word, tensor):
                placed[level] = roles[word]
                self.written["formats", tensor, level] = ("formats", tensor, word)
        for word in left:
            self.miss(word, tensor, ("formats", tensor, word))
        for level in named:
            self.written.pop(("formats", tensor, level), None)
        return placed | named | left

    def actions(self, actions: Sequence[Action]) -> tuple[Action, ...]:
        """Return actions at levels; one at a role is one at each of its levels."""
        placed: list[Action] = []
        for number, action in enumerate(actions):
            levels = self.levels(action.level, action.target)
            if not levels:
                self.miss(action.level, action.target, ("actions", number, "level"))
            for level in levels or [action.level]:
                self.written["actions", len(placed)] = ("actions", number)
                placed.append(action.model_copy(update={"level": level}))
        if not self.missing and (twice := find_twice(placed)):
            number, message = twice
            issue = self.sparsity.issue(
                message, "keep one of them", self.problem.phase, self.written["actions", number]
            )
            self.missing.append(Missing(placed[number].level, placed[number].target, issue))
        return tuple(placed)

    def balancing(self, balancing: Balancing) -> Balancing:
        """Return balancing with levels: elements wait with all that the array holds, its outermost level."""
        tensor = balancing.tensor or ""
        changed: dict[str, str | tuple[str, ...]] = {}
        if (word := balancing.array) is not None:
            if word == LevelRole.ARRAY and word not in self.names:
                changed["array"] = self.names[array_begins(self.architecture)]
            elif levels := self.levels(word, tensor):
                changed["array"] = levels[-1]
            else:
                self.miss(word, tensor, ("balancing", "array"))
        if words := balancing.pointer_level:
            levels = next((found for word in words if (found := self.levels(word, tensor))), [])
            if levels:
                changed["pointer_level"] = (levels[-1],)
            else:
                self.miss(words[0], tensor, ("balancing", "pointer_level"))
        return balancing.model_copy(update=changed)

    def origin(self, phase: Phase) -> Origin:
        """Return where the parts of the placed design stand in the file."""
        origin = self.sparsity.origin
        by_path: dict[Path, Place] = {}
        for start in (("sparsity", "phases", phase.value), ("sparsity",)):
            moved: dict[Path, Place] = {}
            for new, old in self.written.items():
                before = (*start, *old)
                for path, place in origin.by_path.items():
                    if path[: len(before)] == before:
                        moved[(*start, *new, *path[len(before) :])] = place
            by_path |= moved
        kept = {path: place for path, place in origin.by_path.items() if not _is_action(path)}
        return Origin(origin.file, origin.places, kept | by_path)


def _is_action(path: Path) -> bool:
    """Say whether a part of a design's file is an action or a part of one: these get other numbers."""
    return any(key == "actions" and len(path) > at + 1 for at, key in enumerate(path[:4]) if at in (1, 3))
