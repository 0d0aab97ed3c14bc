"""What may stand in a network's list of layers: a layer, pooling, or a group that repeats."""

from __future__ import annotations

from functools import cache
from pathlib import Path as FilePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr, model_validator

from procrustes_model.spec.density import Density, Share
from procrustes_model.spec.layer_zeros import LayerZeros, read_layer_zeros
from procrustes_model.spec.network import Padding, Pair
from procrustes_model.spec.network_elementwise import Elements, Elementwise, Tensors
from procrustes_model.spec.network_machines import LinkItem
from procrustes_model.spec.network_problem import find_faults, result_names
from procrustes_model.spec.network_recurrent import RecurrentKeys
from procrustes_model.spec.own_design import read_design
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.problem_reader import CONTENT, read_content
from procrustes_model.spec.schema import (
    LARGEST_BOUND,
    Count,
    Frozen,
    Identifier,
    Name,
    PartError,
    Phases,
    Text,
    build,
    keys_of,
)
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.stays import ENDS, NOWHERE, STARTS, Stays, read_stays
from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.words import PAIRS, closest, did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.widths import NO_BITS, ROLE_TENSORS, Bits, read_bits
from procrustes_model.vocabulary import PHASES, Role

MAX_REPEAT = 1000
Times = Annotated[int, Field(strict=True, ge=1, le=MAX_REPEAT)]


class Item(Frozen):
    """What every item says of itself."""

    other_keys: ClassVar[tuple[str, ...]] = ("kind",)

    name: Name = Field(description="what results call the layer")


class Repeated(Item):
    """An item that may stand for several in a row, named name_1, name_2, ..."""

    repeat: Times = Field(default=1, description="how many of it follow each other")
    first: Times | None = Field(default=None, description="number of the first of them; empty: 1")
    machine: Name | None = Field(
        default=None,
        description="the machine of the network that runs it; empty: that of the group around it, else of "
        "the run",
    )

    @property
    def names(self) -> list[str]:
        """The item's name, with a number where it repeats or a number is asked for."""
        if self.repeat == 1 and self.first is None:
            return [self.name]
        start = self.first or 1
        return [f"{self.name}_{number}" for number in range(start, start + self.repeat)]


_INPUTS_FIRST: Any = Field(
    default=False, strict=True, description="whether a checkpoint keeps its weights as inputs, outputs"
)


class LayerItem(Repeated):
    """An item that is a layer, or several of them."""

    bits: Bits = Field(default=NO_BITS, description="bits of elements by tensor, or by phase and tensor")
    starts: Stays = Field(
        default=NOWHERE, description="operands that are on the chip already: levels by tensor, or by phase"
    )
    ends: Stays = Field(
        default=NOWHERE, description="results that stay on the chip: levels by tensor, or by phase"
    )
    sparsity: Sparsity | None = Field(
        default=None, description="a sparse design of its own: a name, a file, or what it says"
    )
    phases: Phases = Field(default=PHASES, description="phases of training that it takes part in")
    densities: LayerZeros = Field(
        default=(), description="zeros of the layer's own tensors, in place of all else that is said of them"
    )


class SpmmItem(LayerItem):
    """A given sparse matrix, such as a graph's adjacency, times a dense one: Y[m,n] = A[m,k] X[k,n]."""

    m: Count = Field(description="rows of A and Y, such as nodes")
    k: Count = Field(description="what is summed over: columns of A, such as nodes")
    n: Count = Field(description="columns of X and Y, such as features")
    density: Share | None = Field(default=None, description="nonzeros of A / its elements")
    nonzeros: Count | None = Field(default=None, description="nonzeros of A, in place of 'density'")
    adjacency: Text | None = Field(
        default=None,
        description="in their place, A: a .npy file, or an .npz file with one array or one called Weights; "
        "nonzero = there",
    )

    @model_validator(mode="after")
    def _check(self) -> SpmmItem:
        given = [key for key in ("density", "nonzeros", "adjacency") if getattr(self, key) is not None]
        if len(given) != 1:
            named = " and ".join(f"'{key}'" for key in given)
            message = f"{named} are given" if given else "nothing says how many of A are not zero"
            raise PartError((given[-1],) if given else (), message, "one of density, nonzeros, adjacency")
        if self.nonzeros is not None and self.nonzeros > self.m * self.k:
            raise PartError(("nonzeros",), f"A has {self.m * self.k:,} elements, and not {self.nonzeros:,}")
        if Role.WEIGHTS.tensor in dict(self.densities):
            raise PartError(("densities", "Weights"), f"'{given[0]}' says what is zero of A", "leave it out")
        return self

    @property
    def zeros(self) -> LayerZeros:
        """What is zero of A."""
        if self.adjacency is not None:
            return ((Role.WEIGHTS.tensor, Density(model="mask", mask=self.adjacency)),)
        share = self.density if self.nonzeros is None else self.nonzeros / (self.m * self.k)
        return ((Role.WEIGHTS.tensor, Density(model="hypergeometric", density=share)),)


class WindowItem(LayerItem):
    """A layer whose kernels move over a map."""

    kernel: Pair = Field(description="rows and columns of a kernel: a number, or [rows, columns]")
    stride: Pair = Field(default=(1, 1), description="input rows and columns between outputs")
    padding: Padding = Field(default=(0, 0), description="zeros above and below, left and right")
    dilation: Pair = Field(default=(1, 1), description="input rows and columns between weights")
    input_channels: Count | None = Field(default=None, description="channels, where not those before it")
    input_size: Pair | None = Field(default=None, description="rows and columns, where not those before it")
    branch: bool = Field(
        default=False,
        strict=True,
        description="beside the sequence: the next layer has the same input as this one",
    )


class DepthwiseItem(WindowItem):
    """A convolution of every channel with a kernel of its own."""


class ConvItem(WindowItem):
    """A convolution."""

    channels: Count = Field(description="output channels")
    concatenate: bool = Field(
        default=False, strict=True, description="the next layer takes this one's input and output together"
    )

    @model_validator(mode="after")
    def _check(self) -> ConvItem:
        if self.branch and self.concatenate:
            raise ValueError("'branch' and 'concatenate' exclude each other")
        return self


class GroupedItem(ConvItem):
    """A convolution in groups of channels that share no weights."""

    groups: Count = Field(description="groups of channels")
    inputs_first: bool = _INPUTS_FIRST


class FullyConnectedItem(LayerItem):
    """A fully connected layer; its input is flattened."""

    channels: Count = Field(description="outputs")
    input_channels: Count | None = Field(default=None, description="inputs, where not those before it")
    inputs_first: bool = _INPUTS_FIRST


class MatmulItem(LayerItem):
    """A matrix product Z[m,n] = A[m,k] B[k,n] per sample; B is weights, or activations too."""

    m: Count = Field(description="rows of A and Z per sample, such as tokens")
    k: Count = Field(description="what is summed over")
    n: Count = Field(description="columns of B and Z")
    weights: bool = Field(
        default=True, strict=True, description="whether B is weights, rather than activations"
    )
    count: Count = Field(default=1, description="separate products per sample, such as attention heads")
    inputs_first: bool = _INPUTS_FIRST


class ProblemItem(LayerItem):
    """Any problem, for one sample, as problem files write it: a shape, bounds and coefficients."""

    other_keys: ClassVar[tuple[str, ...]] = ("kind", *CONTENT)

    batch_dimension: Identifier | None = Field(
        default=None, description="the dimension whose bound the batch multiplies; empty: one is added"
    )
    count: Count = Field(default=1, description="separate copies per sample, where there are no weights")
    trained: bool = Field(
        default=True,
        strict=True,
        description="whether its weights are trained; else they are given: no parameters, no weight update",
    )
    sequence: Identifier | None = Field(
        default=None,
        description="a dimension whose steps wait for each other forward and backward: its loop is outermost",
    )
    _problem: Problem | None = PrivateAttr(default=None)

    @property
    def problem(self) -> Problem:
        """What `read_item` read."""
        assert self._problem is not None
        return self._problem


class ElementwiseItem(Repeated, Elementwise):
    """Work on every element of some tensors, without multiply-accumulates."""

    elements: Elements | None = Field(
        default=None, description="of each tensor; empty: of the map that comes from the layer before"
    )
    per: Literal["sample", "step"] = Field(
        default="sample", description="whether 'elements' are those of a sample, or of a training step"
    )
    weights_of: Literal["all"] | Tensors | None = Field(
        default=None,
        description="in place of 'elements': layers whose weights they are, once in a training step; or all",
    )
    states: Tensors = Field(default=(), description="tensors that are read and written")

    @model_validator(mode="before")
    @classmethod
    def _add_states(cls, written: Any) -> Any:
        states = written.get("states") if isinstance(written, dict) else None
        if not isinstance(states, list | tuple):
            return written
        lists = {key: written.get(key, ()) for key in ("reads", "writes")}
        if not all(isinstance(one, list | tuple) for one in lists.values()):
            return written
        for key, names in lists.items():
            for name in states:
                if name in names:
                    raise PartError(("states",), f"'{name}' stands in '{key}' and in 'states'", "keep one")
        return written | {key: [*names, *states] for key, names in lists.items()}

    @model_validator(mode="after")
    def _check_elements(self) -> ElementwiseItem:
        if self.weights_of is not None and self.elements is not None:
            raise PartError(("weights_of",), "'elements' and 'weights_of' are both given", "keep one")
        if "per" in self.model_fields_set and self.elements is None:
            raise PartError(("per",), "'per' has no effect without 'elements'")
        return self


class RecurrentItem(Repeated, RecurrentKeys):
    """A recurrent cell: three layers, called NAME_input, NAME_state and NAME_gates."""


class UncountedItem(Frozen):
    """Something without multiply-accumulates."""

    other_keys: ClassVar[tuple[str, ...]] = ("kind",)

    name: Name | None = Field(default=None, description="for the reader; no result mentions it")


class PoolItem(UncountedItem):
    """Pooling: no work here, but a smaller map for the next layer."""

    kernel: Pair = Field(description="rows and columns of a window: a number, or [rows, columns]")
    stride: Pair | None = Field(default=None, description="from window to window; empty: as the kernel")
    padding: Padding = Field(default=(0, 0), description="positions above and below, left and right")


class GlobalPoolItem(UncountedItem):
    """Pooling of the whole map to one position."""


class GroupItem(Repeated):
    """Items that stand together; their names start with the group's."""

    other_keys: ClassVar[tuple[str, ...]] = ("layers",)


KINDS: dict[str, type[Frozen]] = {
    "conv": ConvItem,
    "grouped": GroupedItem,
    "depthwise": DepthwiseItem,
    "fully_connected": FullyConnectedItem,
    "matmul": MatmulItem,
    "problem": ProblemItem,
    "spmm": SpmmItem,
    "elementwise": ElementwiseItem,
    "recurrent": RecurrentItem,
    "link": LinkItem,
    "pool": PoolItem,
    "global_pool": GlobalPoolItem,
}
_LAYERS = ("conv", "grouped", "depthwise", "fully_connected", "matmul", "problem", "spmm")
_PAIRS = {"kernel": 1, "stride": 1, "dilation": 1, "padding": 0, "input_size": 1}
_KIND_OF = {
    "channels": ("conv", "grouped", "fully_connected", "recurrent"),
    "groups": ("grouped",),
    "branch": ("conv", "grouped", "depthwise"),
    "concatenate": ("conv", "grouped"),
    "repeat": (*_LAYERS, "elementwise", "recurrent"),
    "first": (*_LAYERS, "elementwise", "recurrent"),
    "machine": (*_LAYERS, "elementwise", "recurrent"),
    "bits": (*_LAYERS, "elementwise", "link"),
    "starts": _LAYERS,
    "ends": _LAYERS,
    "densities": _LAYERS,
    "sparsity": _LAYERS,
    "phases": _LAYERS,
}


def read_item(written: Any, path: Path, document: Document) -> Frozen | None:
    """Return one item of a list of layers, the layers of a group aside.

    Parameters
    ----------
    written : Any
        What stands in the file.
    path : tuple of str and int
        Where it stands.
    document : Document
        Gets the issues.

    Returns
    -------
    Frozen or None
        One of the models in `KINDS`, or a `GroupItem`; None where there is an issue.
    """
    if not isinstance(written, dict):
        example = "such as {name: conv1, kind: conv, channels: 64, kernel: 3, padding: 1}"
        document.complain(path, f"a layer must be {PAIRS}, is {shorten(written)}", example)
        return None
    if "layers" in written and "kind" not in written:
        return build(GroupItem, _without(written, "layers"), document, path)
    kind = written.get("kind")
    if "kind" not in written:
        _check_without_kind(written, path, document)
        return None
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(kind, KINDS) if isinstance(kind, str) else f"one of {', '.join(KINDS)}"
        document.complain((*path, "kind"), f"unknown kind of layer {shorten(kind)}", hint)
        return None
    data = _without(written, "kind")
    before = len(document.issues)
    for key in [key for key in data if key in _KIND_OF and kind not in _KIND_OF[key]]:
        document.complain(
            (*path, key), f"a layer of kind {kind} takes no '{key}'", _advice(kind, key), key=True
        )
        del data[key]
    if kind == "problem":
        return read_problem_item(data, path, document)
    if kind in ("elementwise", "link", "recurrent"):
        return build(KINDS[kind], data, document, path)
    for key, least in _PAIRS.items():
        if key in data:
            data[key] = _pair(data[key], least, (*path, key), document)
    if "bits" in data:
        data["bits"] = read_bits(data["bits"], (*path, "bits"), document)
    _read_shared(data, path, document)
    if "densities" in data:
        data["densities"] = read_layer_zeros(data["densities"], (*path, "densities"), document)
    if isinstance(data.get("adjacency"), str) and document.file:
        data["adjacency"] = str(FilePath(document.file).parent / data["adjacency"])
    item = build(KINDS[kind], data, document, path)
    return item if len(document.issues) == before else None


def read_problem_item(written: dict[str, Any], path: Path, document: Document) -> ProblemItem | None:
    """Return an item that is a problem.

    Parameters
    ----------
    written : dict
        Its keys but for its kind.
    path, document
        As `read_item` takes them.

    Returns
    -------
    ProblemItem or None
        None where there is an issue.
    """
    before = len(document.issues)
    problem = read_content("-", written, path, document)
    own = {key: value for key, value in written.items() if key not in CONTENT}
    names = ROLE_TENSORS
    if problem is not None:
        names = tuple(result_names(problem).values())
    if "bits" in own:
        own["bits"] = read_bits(own["bits"], (*path, "bits"), document, names)
    if "densities" in own:
        own["densities"] = read_layer_zeros(own["densities"], (*path, "densities"), document, names)
    _read_shared(own, path, document)
    item = build(ProblemItem, own, document, path)
    if item is None or problem is None:
        return None
    for fault in find_faults(problem, item.batch_dimension, item.count, item.sequence):
        document.complain((*path, fault.key), fault.message, fault.hint)
    item._problem = problem
    return item if len(document.issues) == before else None


def _read_shared(data: dict[str, Any], path: Path, document: Document) -> None:
    """Read where tensors start and end, and the layer's own design, where that is said."""
    if "sparsity" in data:
        data["sparsity"] = read_design(data["sparsity"], (*path, "sparsity"), document)
    for key in (STARTS, ENDS):
        if key in data:
            data[key] = read_stays(data[key], (*path, key), document)


def _check_without_kind(written: dict[str, Any], path: Path, document: Document) -> None:
    """Note what is wrong with an item that is neither a layer nor a group: as a rule, a misspelt key."""
    keys = _all_keys()
    for key in written:
        if key not in keys:
            unknown_key(document, (*path, key), keys)
    if not any(closest(key, keys) == "layers" for key in written if key not in keys):
        missing_key(document, (*path, "kind"), written, keys, f"one of {', '.join(KINDS)}")


def _without(written: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in written.items() if name != key}


@cache
def _all_keys() -> list[str]:
    models: list[type[Frozen]] = [*KINDS.values(), GroupItem]
    return sorted({key for model in models for key in keys_of(model)})


def _advice(kind: str, key: str) -> str:
    if kind == "depthwise" and key == "channels":
        return "it has as many outputs as inputs; with more, it is grouped"
    return f"it belongs to {' and '.join(_KIND_OF[key])}"


def _pair(value: Any, least: int, path: Path, document: Document) -> tuple[int, int]:
    """Return a number, or a list of two, as (height, width)."""
    values = value if isinstance(value, list) and len(value) == 2 else [value, value]
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in values)
    if whole and all(least <= one <= LARGEST_BOUND for one in values):
        return values[0], values[1]
    wanted = f"a whole number of at least {least}, or [height, width]"
    document.complain(path, f"'{path[-1]}' must be {wanted}, is {shorten(value)}")
    return least, least
