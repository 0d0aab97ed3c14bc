"""``procrustes list`` and ``procrustes show``: what ships."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.requests import Changes, change
from procrustes_model.cli.say import say
from procrustes_model.cli.values import word
from procrustes_model.errors import Issue, SpecError


class Kind(StrEnum):
    """The kinds of specification that ship, as `list` takes them."""

    ARCHITECTURES = "architectures"
    PROBLEMS = "problems"
    MAPPINGS = "mappings"
    SHAPES = "shapes"
    SPARSITY = "sparsity"
    CONSTRAINTS = "constraints"
    NETWORKS = "networks"
    DENSITIES = "densities"
    SCHEDULES = "schedules"
    SWEEPS = "sweeps"

    @property
    def singular(self) -> str:
        """The same as `shipped` names it."""
        return {"sparsity": "sparsity", "constraints": "constraints", "densities": "density"}.get(
            self.value, self.value[:-1]
        )


_KIND = word("kind", Kind, list(Kind), sign="KIND")


def list_command(
    kind: Annotated[
        Kind | None,
        typer.Argument(help="Only these, one name per line.", show_default=False, **_KIND),
    ] = None,
) -> None:
    """List what ships: architectures, problems, mappings, and more."""
    with reported_errors():
        from procrustes_model.shipped import list_shipped

        if kind is not None:
            say("\n".join(list_shipped(kind.singular)))
            return
        blocks = [[f"{one}:", *(f"  {name}" for name in list_shipped(one.singular))] for one in Kind]
        say("\n\n".join("\n".join(block) for block in blocks))


def _complete_name(incomplete: str) -> list[str]:
    from procrustes_model.cli.inputs import complete_shipped

    return [name for kind in Kind for name in complete_shipped(kind.singular, incomplete)]


def show_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A name that 'list' shows; with --resolved also a file.",
            autocompletion=_complete_name,
        ),
    ],
    kind: Annotated[
        Kind | None,
        typer.Option(
            help="Where two kinds have the same name, the one to show.",
            show_default=False,
            **_KIND,
        ),
    ] = None,
    resolved: Annotated[
        bool,
        typer.Option(
            "--resolved", help="An architecture with every number in place, and where each comes from."
        ),
    ] = False,
    changes: Changes = None,
) -> None:
    """Print the YAML of something that ships, or all numbers of an architecture."""
    with reported_errors():
        if resolved:
            _show_resolved(name, kind, changes or [])
            return
        if changes:
            raise SpecError(Issue("--set changes what --resolved shows", "add --resolved"))
        from procrustes_model.shipped import list_shipped, resolve
        from procrustes_model.spec.text.words import did_you_mean

        names = {one: list_shipped(one.singular) for one in ([kind] if kind else Kind)}
        found = [one for one in names if name in names[one]]
        if not found:
            known = [known for one in names.values() for known in one]
            ending = [one for one in known if one.endswith(f"/{name}")]
            hint = f"did you mean '{ending[0]}'?" if ending else did_you_mean(name, known)
            raise SpecError(Issue(f"nothing that ships is called '{name}'", hint))
        if len(found) > 1:
            kinds = " and ".join(one.value for one in found)
            raise SpecError(
                Issue(f"'{name}' is among the {kinds}", f"add --kind {found[0]} or another of them")
            )
        say(resolve(found[0].singular, name).read_text(encoding="utf-8"), nl=False)


def _show_resolved(name: str, kind: Kind | None, changes: list[str]) -> None:
    from procrustes_model.report.terminal.resolved import format_resolved
    from procrustes_model.spec.load import load_architecture

    if kind not in (None, Kind.ARCHITECTURES):
        raise SpecError(Issue("--resolved shows architectures", f"leave out --kind {kind}"))
    machine = change({"architecture": name}, changes, {"architecture": "architecture"})["architecture"]
    say(format_resolved(load_architecture(machine)), nl=False)
