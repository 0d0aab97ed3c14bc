"""``procrustes validate``: checks files without evaluating them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrustes_model.cli.errors import BAD_INPUT, print_issues, reported_errors
from procrustes_model.cli.inputs import complete_shipped
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem


def _complete_architecture(incomplete: str) -> list[str]:
    return complete_shipped("architecture", incomplete)


def _complete_problem(incomplete: str) -> list[str]:
    return complete_shipped("problem", incomplete)


def validate_command(
    files: Annotated[list[str], typer.Argument(metavar="FILES", help="Files, or names of shipped ones.")],
    arch: Annotated[
        str | None,
        typer.Option(
            metavar="ARCH",
            help="Check mappings and constraints for this architecture.",
            autocompletion=_complete_architecture,
        ),
    ] = None,
    problem: Annotated[
        str | None,
        typer.Option(
            metavar="PROBLEM",
            help="Check mappings, constraints, and what others name for this problem.",
            autocompletion=_complete_problem,
        ),
    ] = None,
) -> None:
    """Check files of any kind without evaluating them.

    A mapping is checked for its form alone, or with --arch and --problem for whether it fits them.
    """
    with reported_errors():
        from procrustes_model.spec.load import load_architecture, load_problem

        target = _Target(
            None if arch is None else load_architecture(arch),
            None if problem is None else load_problem(problem),
        )
        failed = False
        for file in files:
            try:
                say(f"{file}: ok, {target.check(file)}")
            except SpecError as error:
                print_issues(error.issues)
                failed = True
        unused = [option for option, given in (("--arch", arch), ("--problem", problem)) if given is not None]
        unused = [option for option in unused if option not in target.used]
        if unused and not failed:
            raise SpecError(Issue(f"no file is checked for {' and '.join(unused)}", "leave it out"))
    if failed:
        raise typer.Exit(BAD_INPUT)


@dataclass
class _Target:
    """What files are checked for; `used` are the options that have been."""

    architecture: Architecture | None
    problem: Problem | None
    used: set[str] = field(default_factory=set)

    def check(self, file: str) -> str:
        """Load one file and return what it is, such as ``architecture simple``."""
        from procrustes_model.spec.text.document import SECTIONS, read_document

        path = _find(file)
        data = read_document(path).data
        kind = next((key for key in SECTIONS if isinstance(data, dict) and key in data), None)
        if kind is None:
            from procrustes_model.spec.text.words import closest

            first = next(iter(data), "") if isinstance(data, dict) else ""
            near = closest(str(first), SECTIONS)
            hint = f"did you mean '{near}'?" if near else None
            raise SpecError(
                Issue(f"none of the keys {', '.join(SECTIONS)} starts this file", hint, str(path), 1, 1)
            )
        if kind == "mapping":
            return self._mapping(path)
        if kind == "sweep":
            from procrustes_model.sweeps.plan import check_sweep

            return f"sweep {check_sweep(path)}"
        if kind == "constraints":
            from procrustes_model.mapper.constraints import load_constraints

            self.used |= {"--arch", "--problem"}
            return f"constraints {load_constraints(path, self.architecture, self.problem).name}"
        spec = _loader(kind)(path)
        if kind in ("architecture", "sparsity"):
            from procrustes_model.spec.tensors import misspelt_tensors

            self.used.add("--problem")
            if issues := misspelt_tensors(spec, self.problem):
                raise SpecError(issues)
        return f"{kind} {getattr(spec, 'name', '')}".rstrip()

    def _mapping(self, path: Path) -> str:
        from procrustes_model.cli.mapping_alone import check_mapping_alone
        from procrustes_model.spec.load import load_mapping

        self.used |= {"--arch", "--problem"}
        if self.architecture is None and self.problem is None:
            return f"mapping {check_mapping_alone(path)} (form only)"
        if self.architecture is None or self.problem is None:
            raise SpecError("a mapping is checked with both --arch and --problem, or with neither")
        return f"mapping {load_mapping(path, self.architecture, self.problem).name}"


def _loader(kind: str) -> Callable[[Path], Any]:
    """Return what loads files of one kind, mappings and constraints aside."""
    homes = {
        "density": "spec.network_density",
        "shape": "spec.shape",
    }
    module = importlib.import_module(f"procrustes_model.{homes.get(kind, 'spec.load')}")
    loader: Callable[[Path], Any] = getattr(module, f"load_{kind}")
    return loader


def _find(file: str) -> Path:
    """Return the file, or the shipped one of that name; anything else is a file that is missing."""
    from procrustes_model.shipped import KINDS, list_shipped, resolve

    for kind in KINDS:
        if file in list_shipped(kind) and not Path(file).exists():
            return resolve(kind, file)
    return Path(file)
