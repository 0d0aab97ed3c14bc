"""Names of tensors and levels that a sparse design states, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue
from procrustes_model.spec.text.words import did_you_mean
from procrustes_model.spec.text.yaml_text import Path

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.rules import Rules
    from procrustes_model.spec.sparsity import Sparsity


class Names:
    """Looks up names of tensors and levels, and collects tensors that do not exist, beside issues so far."""

    def __init__(
        self,
        architecture: Architecture,
        problem: Problem,
        design: Sparsity,
        rules: Rules,
        issues: Iterable[Issue] = (),
    ) -> None:
        self.tensors = {tensor.name: i for i, tensor in enumerate(problem.tensors)}
        self.levels = {level.name: i for i, level in enumerate(architecture.levels)}
        self.problem = problem
        self.machine, self.components = architecture.name, architecture.components
        self.design = design
        self.rules = rules
        self.issues: list[Issue] = list(issues)

    def tensor(self, name: str, *path: str | int) -> int:
        """Return the index of a tensor that the design names at `path`, or that is given beside it."""
        return self._find(name, self.tensors, f"the problem {self.problem.name} has no tensor", path)

    def level(self, name: str) -> int:
        """Return the index of a level that the design names; `place_levels` has noted what is none."""
        return self.levels.get(name, 0)

    def complain(self, message: str, hint: str | None, path: Path) -> None:
        """Note an issue that points at a part of the design."""
        self.issues.append(self.design.issue(message, hint, self.problem.phase, path))

    def _find(self, name: str, known: dict[str, int], what: str, path: Path) -> int:
        if name in known:
            return known[name]
        message, hint = f"{what} '{name}'", did_you_mean(name, known)
        if path:
            self.complain(message, hint, path)
        else:
            self.issues.append(Issue(message, hint))
        return 0
