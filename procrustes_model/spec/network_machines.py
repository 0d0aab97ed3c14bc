"""Several machines in one network: where layers run, and the link over which maps and gradients go."""

from __future__ import annotations

import pathlib
from typing import Any, ClassVar

from pydantic import Field

from procrustes_model.errors import SpecError
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.architecture_reader import read_architecture
from procrustes_model.spec.network_elementwise import Elements
from procrustes_model.spec.schema import Count, Frozen, Name, NonNegative, Positive, Text
from procrustes_model.spec.text.document import Document, open_document
from procrustes_model.spec.text.words import PAIRS, is_name, shorten
from procrustes_model.spec.text.yaml_text import Path

Machines = dict[Name, Architecture]


class Link(Frozen):
    """What connects machines."""

    energy_pj_per_bit: NonNegative = Field(description="pJ per bit that crosses")
    bits: Count = Field(
        description="bits of an element that crosses, unless an item of kind link says others"
    )
    bits_per_second: Positive | None = Field(
        default=None, description="bits that cross in a second; empty: no time is told"
    )
    source: Text = Field(default="", description="where the numbers come from")


class Crossing(Frozen):
    """A map that goes from one machine to another, and its gradient, which comes back."""

    after: int = Field(ge=0, description="how many layers with multiply-accumulates stand before it")
    elements: Elements = Field(description="of one sample")
    bits: Count = Field(description="of an element that crosses")
    source: Name | None = Field(description="the machine before it; empty: that of the run")
    target: Name | None = Field(description="the machine after it; empty: that of the run")


class LinkItem(Frozen):
    """Where the next layer runs on another machine: what crosses."""

    other_keys: ClassVar[tuple[str, ...]] = ("kind",)

    name: Name | None = Field(default=None, description="for the reader; no result mentions it")
    bits: Count | None = Field(
        default=None, description="bits of an element; empty: those of the network's link"
    )
    elements: Elements | None = Field(
        default=None, description="that cross, of one sample; empty: the map that comes from the layer before"
    )


def read_machines(written: Any, path: Path, document: Document) -> Machines:
    """Return the machines that stand at a path of a document, none where there is an issue.

    Parameters
    ----------
    written : Any
        By name a file, beside the document, or the name of a machine that ships, or what a file holds.
    path : tuple
        Where it stands.
    document : Document
        Gets every issue.
    """
    if not isinstance(written, dict) or not written:
        example = "such as {edge: eyeriss_v1, cloud: tpu_like}"
        document.complain(path, f"'machines' must be {PAIRS}, is {shorten(written)}", example)
        return {}
    found = {}
    for name, value in written.items():
        place = (*path, name)
        if not is_name(name):
            document.complain(place, "the name of a machine must be 1 to 100 printable characters", key=True)
        elif not isinstance(value, str | dict):
            message = f"'{name}' must be a file, a name or {PAIRS}, is {shorten(value)}"
            document.complain(place, message)
        else:
            machine = _read_machine(value, place, document)
            if machine is not None:
                found[name] = machine
    return found


def _read_machine(value: str | dict[str, Any], path: Path, document: Document) -> Architecture | None:
    if isinstance(value, dict):
        source: Any = value if "architecture" in value else {"architecture": value}
    else:
        beside = pathlib.Path(document.file or "").parent / value
        is_file = value.endswith((".yaml", ".yml")) and len(value) < 1000 and beside.is_file()
        source = str(beside) if is_file else value
    try:
        return read_architecture(open_document(source, "architecture"))
    except SpecError as error:
        for issue in error.issues:
            if issue.file is None:
                document.complain(path, issue.message, issue.hint)
            else:
                document.issues.append(issue)
    return None
