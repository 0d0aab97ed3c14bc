"""A sweep as a user writes it: what to run, and the values that it is run for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from procrustes_model.spec.schema import Frozen, Name, PartError, Positive, Text, build, keys_of
from procrustes_model.spec.text.changes import Said
from procrustes_model.spec.text.document import Document, open_document, unknown_key
from procrustes_model.spec.text.words import PAIRS, shorten
from procrustes_model.spec.text.yaml_text import Path

RunKind = Literal["search", "evaluate", "network"]
Combine = Literal["grid", "zip"]
RUNS: tuple[RunKind, ...] = ("search", "evaluate", "network")
Paths = Annotated[tuple[Text, ...], Field(min_length=1)]


class SweepAxis(Frozen):
    """Values that points differ in."""

    paths: Paths = Field(
        validation_alias="set",
        description="the paths that get the value; by default the axis' own name is one",
    )
    values: tuple[Any, ...] = Field(min_length=1, description="the values, first to last")


class Sweep(Frozen):
    """What to run, for which values."""

    name: Name = Field(description="what results call it")
    description: Text = Field(default="", description="what it is, for a reader")
    search: dict[Name, Any] | None = Field(default=None, description="options of a search at each point")
    evaluate: dict[Name, Any] | None = Field(
        default=None, description="options of an evaluation at each point"
    )
    network: dict[Name, Any] | None = Field(
        default=None, description="options of a run of a network at each point"
    )
    same: dict[Name, Any] = Field(
        default={}, validation_alias="set", description="values by path that all points share"
    )
    axes: dict[Name, SweepAxis] = Field(
        default={}, description="values by path; or by name: `set` and `values`"
    )
    combine: Combine = Field(
        default="grid",
        description="grid: all combinations, the last axis fastest; zip: first with first, and so on",
    )
    points: tuple[dict[Name, Any], ...] = Field(
        default=(), description="a list of points, values by path, instead of axes"
    )
    where: tuple[Text, ...] = Field(
        default=(), description="conditions; points of which one is false are left out"
    )
    most_area_um2: Positive | None = Field(
        default=None, description="points whose machine takes more area, in um2, are left out"
    )
    pareto: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        default=("energy_pj", "cycles"),
        description="columns that are small at the best; the rows of their front are marked",
    )

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes, or the paths that points state."""
        return tuple(self.axes) or tuple(dict.fromkeys(name for point in self.points for name in point))

    @model_validator(mode="after")
    def _check(self) -> Sweep:
        given = [name for name in RUNS if getattr(self, name) is not None]
        if len(given) != 1:
            message = f"'{given[1]}' and '{given[0]}' are both given" if given else "nothing says what to run"
            raise PartError((given[1],) if given else (), message, f"one of {', '.join(RUNS)}")
        if bool(self.axes) == bool(self.points):
            message = "'axes' and 'points' are both given" if self.axes else "there are no axes"
            raise PartError(("points",) if self.axes else (), message, "write 'axes', or a list 'points'")
        if self.points and "combine" in self.model_fields_set:
            raise PartError(("combine",), "'combine' has no effect on a list of points")
        return self

    @property
    def run(self) -> RunKind:
        """What is run at each point."""
        return next(name for name in RUNS if getattr(self, name) is not None)

    @property
    def options(self) -> dict[str, Any]:
        """Its options, by name."""
        return dict(getattr(self, self.run))


@dataclass(frozen=True)
class WrittenSweep:
    """A sweep, and where its parts are written.

    Attributes
    ----------
    sweep : Sweep
    document : Document
    """

    sweep: Sweep
    document: Document = field(compare=False, repr=False)

    def said(self, *path: str | int, key: bool = False, offset: int | None = None) -> Said:
        """Return where a part of the sweep is written.

        Parameters
        ----------
        *path
            Keys and indices below ``sweep``.
        key : bool
            The key rather than the value.
        offset : int, optional
            A character of a text.
        """
        document, whole = self.document, ("sweep", *path)
        if (changed := document.said(whole)) is not None:
            return changed
        if document.file is None:
            return Said(None)
        return Said(document.file, *document.place(whole, key=key, offset=offset))

    @property
    def folder(self) -> str:
        """Where the sweep's file lies; empty for a sweep of Python."""
        return os.path.dirname(self.document.file or "")  # noqa: PTH120


def load_sweep(
    source: str | os.PathLike[str] | Mapping[str, Any], *, run: RunKind | None = None
) -> WrittenSweep:
    """Return the sweep that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str or mapping
        A YAML file, the name of a sweep that ships, or the parsed content.
    run : str, optional
        What is run, where that and its options are said elsewhere, and not in the sweep.

    Raises
    ------
    SpecError
        With every issue found.
    """
    document = open_document(source, "sweep")
    content = document.section("sweep")
    for key in content:
        if key not in keys_of(Sweep):
            unknown_key(document, ("sweep", key), keys_of(Sweep))
    data = {key: value for key, value in content.items() if key in keys_of(Sweep)}
    if run is not None:
        for key in [one for one in RUNS if one in data]:
            message = f"what is run is said beside this file, not by '{key}'"
            document.complain(("sweep", key), message, "leave it out")
            del data[key]
        data[run] = {}
    if isinstance(data.get("axes"), dict):
        data["axes"] = {name: _axis(name, one, document) for name, one in data["axes"].items()}
    for key in ("where", "pareto"):
        if isinstance(data.get(key), str):
            data[key] = [data[key]]
    sweep = build(Sweep, data, document, ("sweep",))
    document.raise_issues()
    assert sweep is not None
    return WrittenSweep(sweep, document)


def _axis(name: str, written: Any, document: Document) -> SweepAxis | None:
    """Return an axis; a list stands for its values, and its name then for the path."""
    path: Path = ("sweep", "axes", name)
    if isinstance(written, list):
        written = {"values": written}
    elif not isinstance(written, dict):
        document.complain(
            path, f"the axis '{name}' must be a list of values, is {shorten(written)}", f"or {PAIRS}"
        )
        return SweepAxis(paths=(name,), values=(0,))
    data = {"set": [name], **written}
    if isinstance(data["set"], str):
        data["set"] = [data["set"]]
    return build(SweepAxis, data, document, path) or SweepAxis(paths=(name,), values=(0,))
