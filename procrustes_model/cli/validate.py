"""``procrustes validate``: checks files without evaluating them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from procrustes_model.cli.errors import BAD_INPUT, print_issues, reported_errors
from procrustes_model.cli.inputs import complete_shipped
from procrustes_model.cli.requests import Changes
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.text.changes import Change


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
    changes: Changes = None,
) -> None:
    """Check files of any kind without evaluating them.

    A mapping is checked for its form alone, or with --arch and --problem for whether it fits them. A change
    with --set is made in every file of its kind, and in those of --arch and --problem.
    """
    with reported_errors():
        from procrustes_model.spec.load import load_architecture, load_problem

        target = _Target(_read_changes(changes or []))
        target.architecture = None if arch is None else load_architecture(target.edit("architecture", arch))
        target.problem = None if problem is None else load_problem(target.edit("problem", problem))
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
        unmade = [one for kind, found in target.changes.items() if kind not in target.used for one in found]
        if unmade and not failed:
            raise SpecError([one.said.issue(f"no {one.head} is checked", "leave it out") for one in unmade])
    if failed:
        raise typer.Exit(BAD_INPUT)


def _read_changes(texts: Sequence[str]) -> dict[str, list[Change]]:
    """Return the changes that ``--set`` asks for, by the kind of file."""
    from procrustes_model.spec.text.changes import parse_setting
    from procrustes_model.spec.text.document import SECTIONS
    from procrustes_model.spec.text.words import did_you_mean

    found: dict[str, list[Change]] = {}
    issues: list[Issue] = []
    for text in texts:
        try:
            one = parse_setting(text)
        except SpecError as error:
            issues += error.issues
            continue
        if one.head not in SECTIONS:
            hint = did_you_mean(one.head, SECTIONS)
            issues.append(one.said.issue(f"no kind of file is called '{one.head[:60]}'", hint))
        found.setdefault(one.head, []).append(one)
    if issues:
        raise SpecError(issues)
    return found


@dataclass
class _Target:
    """What files are checked for, and changed by; `used` are the options and the kinds that have been."""

    changes: Mapping[str, Sequence[Change]]
    architecture: Architecture | None = None
    problem: Problem | None = None
    used: set[str] = field(default_factory=set)

    def edit(self, kind: str, source: str | Path) -> Any:
        """Return a specification of a kind with its changes."""
        from procrustes_model.spec.load import edit

        self.used.add(kind)
        return edit(source, self.changes.get(kind, ()), kind)

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
        path = self.edit(kind, path)
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
            if "mapping" in self.changes:
                raise SpecError(
                    self.changes["mapping"][0].said.issue(
                        "a mapping is changed where it is checked for a machine", "add --arch and --problem"
                    )
                )
            return f"mapping {check_mapping_alone(path)} (form only)"
        if self.architecture is None or self.problem is None:
            raise SpecError("a mapping is checked with both --arch and --problem, or with neither")
        source = self.edit("mapping", path)
        return f"mapping {load_mapping(source, self.architecture, self.problem).name}"


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
