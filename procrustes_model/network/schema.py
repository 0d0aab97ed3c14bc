"""What the files of a run hold: the types of all that their readers rely on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from procrustes_model.printable import cut
from procrustes_model.vocabulary import Phase

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=1)]


KEY_PATTERN = r"^[0-9a-f]{16,64}$"
"""What the key of a case looks like; it is part of the name of a file."""


class _Open(BaseModel):
    """Has what is named here, and may have more."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Problem(_Open):
    name: str
    shape: str
    phase: str | None
    dimensions: dict[str, Whole]
    bits: dict[str, Whole] = {}
    starts: dict[str, str] = {}
    ends: dict[str, str] = {}


class _Compute(_Open):
    computes: Amount
    instances: Whole


class _Imbalance(_Open):
    before: Amount
    after: Amount


class _Result(_Open):
    energy_pj: Amount
    cycles: Annotated[int, Field(ge=0)]
    edp_j_cycles: Amount
    utilization: Amount
    array_utilization: Amount
    bottleneck: str
    compute: _Compute
    densities: dict[str, Amount] = {}
    imbalance: _Imbalance | None = None
    bits: dict[str, Whole] = {}


class _Row(_Open):
    model_config = ConfigDict(extra="forbid")

    level: str
    tensor: str
    action: str
    count: Amount
    instances: Whole
    energy_pj: Amount


class _Case(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    key: Annotated[str, Field(pattern=KEY_PATTERN)]
    problem: _Problem
    objective: str
    mapping: dict[str, Any]
    result: _Result
    rows: list[_Row]
    energy_by_level: dict[str, Amount]
    proven: bool
    gap: Annotated[float, Field(ge=0, le=1)] | None
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    layer: str
    kind: str
    phase: Annotated[Phase, Field(strict=False)]
    design: str
    problem: dict[str, Any]
    key: Annotated[str, Field(pattern=KEY_PATTERN)]
    densities: dict[str, Amount]
    assumed: bool
    note: str
    own: str = ""
    machine: str = ""


class _Link(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    phase: Annotated[Phase, Field(strict=False)]
    elements: Whole
    bits_per_element: Whole
    bits: Whole
    energy_pj: Amount
    seconds: Amount | None


class _Run(_Open):
    architecture: str
    network: str
    batch: Whole
    phases: list[Annotated[Phase, Field(strict=False)]]
    designs: Annotated[list[str], Field(min_length=1)]
    objective: str
    inputs: dict[str, Any]
    rows: list[_Entry]
    links: list[_Link] = []


def check_case(content: Mapping[str, Any]) -> None:
    """Raise where the content of a file, without format, version and checksum, is no `CaseRecord`'s.

    Raises
    ------
    ValueError
        With the place of what is wrong and what should stand there.
    """
    _check(_Case, content)


def check_run(content: Mapping[str, Any]) -> None:
    """Raise where the content of a file is none that `NetworkResult.to_run_json` writes.

    Raises
    ------
    ValueError
        As `check_case` does.
    """
    _check(_Run, content)


def _check(model: type[BaseModel], content: Mapping[str, Any]) -> None:
    try:
        model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = cut(".".join(map(str, first["loc"])), 100)
        raise ValueError(f"{place}: {first['msg'].lower()}") from None
