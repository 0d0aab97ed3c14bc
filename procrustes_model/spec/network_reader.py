"""From a network as written, with repetition and shapes left out, to a `Network`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from procrustes_model.spec.network import InputShape, Layer, Network, NetworkLayer, taken_input
from procrustes_model.spec.network_checkpointing import Checkpointing
from procrustes_model.spec.network_elementwise import Elementwise, ElementwiseLayer
from procrustes_model.spec.network_items import (
    ConvItem,
    DepthwiseItem,
    ElementwiseItem,
    FullyConnectedItem,
    GlobalPoolItem,
    GroupedItem,
    GroupItem,
    LayerItem,
    MatmulItem,
    PoolItem,
    ProblemItem,
    RecurrentItem,
    Repeated,
    SpmmItem,
    UncountedItem,
    WindowItem,
    read_item,
)
from procrustes_model.spec.network_machines import Crossing, Link, LinkItem, read_machines
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.spec.network_recurrent import recurrent_layers
from procrustes_model.spec.problem_reader import read_content
from procrustes_model.spec.schema import Frozen, build
from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.words import did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.widths import read_bits
from procrustes_model.vocabulary import Phase

MAX_LAYERS = 10_000
_TITLE = [
    *("name", "description", "source", "dataset", "input", "batch", "bits", "other_tensors", "tied_tensors"),
    *("machines", "link", "replicas", "checkpointing"),
]
_LATER = ("machines", "link", "replicas", "checkpointing")
"""Keys that are checked with all layers known."""
_TOP_KEYS = [*_TITLE, "layers"]
_TRAINED = ("bits", "starts", "ends", "sparsity", "phases")
_USE, _PART = re.compile(r"(.+)_[0-9]+"), re.compile(r"(.+)\[[0-9:]+\]")
_EXAMPLE = "such as [{name: conv1, kind: conv, channels: 64, kernel: 3, padding: 1}]"


@dataclass(frozen=True)
class _Map:
    """What flows from layer to layer; None where nothing says it."""

    channels: int | None = None
    size: tuple[int, int] | None = None


class _Flow:
    """Notes what shapes the input of layers to come, until one takes it or what flows is replaced.

    That are the network's `input`, and `branch` and `concatenate` of a layer, which groups may repeat.
    """

    def __init__(self) -> None:
        self.stated: dict[Path, str] = {}
        self.used: set[Path] = set()
        self._waiting: set[Path] = set()
        self._sizes: set[Path] = set()

    def state(self, path: Path, message: str, *, size: bool = False) -> None:
        """Note what stands at a path, and what to say where it has no effect; a size is not always taken."""
        self.stated[path] = message
        (self._sizes if size else self._waiting).add(path)

    def pass_on(self, item: Frozen) -> None:
        """Note that an item runs on what flows; pooling passes it on."""
        if isinstance(item, UncountedItem):
            if isinstance(item, GlobalPoolItem):
                self._sizes.clear()
            return
        if _takes_size(item):
            self.used |= self._sizes
        if _takes_input(item):
            self.used |= self._waiting
        elif getattr(item, "branch", False):
            return
        self._waiting.clear()
        self._sizes.clear()

    def complain(self, document: Document) -> None:
        """Note what had no effect; of what has none as a whole, not every part."""
        idle = [path for path in self.stated if path not in self.used]
        for path, message in self.stated.items():
            if path in idle and path[:-1] not in idle:
                document.complain(path, message, key=True)


def _takes_input(item: Frozen) -> bool:
    """Say whether a layer takes channels or a size from what stands before it."""
    if isinstance(item, WindowItem):
        return item.input_channels is None or item.input_size is None
    return isinstance(item, FullyConnectedItem) and item.input_channels is None


def _takes_size(item: Frozen) -> bool:
    """Say whether a layer takes rows and columns from what stands before it."""
    if isinstance(item, WindowItem):
        return item.input_size is None
    return isinstance(item, FullyConnectedItem) and item.input_channels is None


def _check_tied(network: Network, document: Document) -> None:
    """Note tied tensors of no layer: the uses of one layer, and the parts of one tensor, share its name."""
    names = {layer.name for layer in network.layers}
    names |= {found[1] for name in names if (found := _PART.fullmatch(name))}
    names |= {found[1] for name in names if (found := _USE.fullmatch(name))}
    for index, (_, layer) in enumerate(network.tied_tensors):
        if layer not in names:
            path = ("network", "tied_tensors", index, 1)
            hint = did_you_mean(layer, [one.name for one in network.layers])
            document.complain(path, f"no layer is called {shorten(layer)}", hint)


@dataclass(frozen=True)
class _Step:
    """One item that runs: a layer of its final name, or pooling."""

    item: Frozen
    name: str
    path: Path
    machine: str | None = None


def read_network(document: Document) -> Network:
    """Return the network that a document describes.

    Parameters
    ----------
    document : Document
        With the one top-level key `network`.

    Returns
    -------
    Network

    Raises
    ------
    SpecError
        With every issue found.
    """
    content = document.section("network")
    path: Path = ("network",)
    for key in content:
        if key not in _TOP_KEYS:
            unknown_key(document, (*path, key), _TOP_KEYS)
    title = {key: content[key] for key in _TITLE if key in content}
    if "bits" in title:
        title["bits"] = read_bits(title["bits"], (*path, "bits"), document)
    if "machines" in title:
        title["machines"] = read_machines(title["machines"], (*path, "machines"), document)
    blank = NetworkLayer(name="-", kind="fully_connected", in_channels=1, out_channels=1)
    plain = {key: value for key, value in title.items() if key in Network.model_fields and key not in _LATER}
    head = build(Network, {**plain, "layers": (blank,)}, document, path)
    link = build(Link, title["link"], document, (*path, "link")) if "link" in title else None
    if "checkpointing" in title:
        kept = build(Checkpointing, title["checkpointing"], document, (*path, "checkpointing"))
        title["checkpointing"] = kept
    steps = _steps(content, document)
    document.raise_issues()
    assert head is not None
    layers, works, crossings = _layers(steps, head.input, link, document)
    document.raise_issues()
    if head.input is not None and layers:
        # Pooling before the first layer is not kept: what it leaves, that layer states.
        title["input"] = taken_input(layers[0], head.input)
    elementwise = [one for work in works if (one := _finished(work, layers, document)) is not None]
    document.raise_issues()
    branches = [step.name for step in steps if getattr(step.item, "branch", False)]
    title |= {"layers": layers, "elementwise": elementwise, "crossings": crossings, "branches": branches}
    network = build(Network, title, document, path)
    if network is not None:
        _check_tied(network, document)
    document.raise_issues()
    assert network is not None
    return network


def _steps(content: dict[str, Any], document: Document) -> list[_Step]:
    path: Path = ("network", "layers")
    written = content.get("layers")
    if "layers" not in content:
        missing_key(document, path, content, _TOP_KEYS, _EXAMPLE)
        return []
    steps = _expand(written, path, document)
    if not document.issues and not any(_is_layer(step.item) for step in steps):
        document.complain(path, "there is no layer with work in it", _EXAMPLE)
    return steps


def _expand(written: Any, path: Path, document: Document) -> list[_Step]:
    """Return the steps of a list of items, every repetition written out."""
    if not isinstance(written, list) or not written:
        document.complain(path, f"'layers' must be a list of layers, is {shorten(written)}", _EXAMPLE)
        return []
    steps: list[_Step] = []
    for index, one in enumerate(written):
        place = (*path, index)
        known = len(document.issues)
        item = read_item(one, place, document)
        assert item is not None or len(document.issues) > known, "no layer is left out without a word"
        if isinstance(item, GroupItem):
            # Read once, so that a group that repeats says an issue once.
            once = _expand(one["layers"], (*place, "layers"), document)
            if not _fits(len(steps) + item.repeat * len(once), place, document):
                return []
            for name in item.names:
                steps += [
                    replace(step, name=f"{name}_{step.name}", machine=step.machine or item.machine)
                    for step in once
                ]
        elif isinstance(item, RecurrentItem):
            for name in item.names:
                for ending, written_one in recurrent_layers(item):
                    part = read_item({"name": f"{name}_{ending}", **written_one}, place, document)
                    if part is not None:
                        steps.append(_Step(part, f"{name}_{ending}", place, item.machine))
            if not _fits(len(steps), place, document):
                return []
        elif item is not None:
            names = item.names if isinstance(item, Repeated) else ["-"]
            if not _fits(len(steps) + len(names), place, document):
                return []
            steps += [_Step(item, name, place, getattr(item, "machine", None)) for name in names]
    return steps


def _fits(steps: int, path: Path, document: Document) -> bool:
    if steps > MAX_LAYERS:
        document.complain(path, f"the network has more than {MAX_LAYERS} layers", "repeat less", key=True)
    return steps <= MAX_LAYERS


def _is_layer(item: Frozen) -> bool:
    return not isinstance(item, UncountedItem | LinkItem)


@dataclass(frozen=True)
class _Work:
    """An elementwise item, what flows in, and how many layers with multiply-accumulates stand before it."""

    step: _Step
    flow: _Map
    after: int


def _finished(work: _Work, layers: list[Layer], document: Document) -> ElementwiseLayer | None:
    """Return an elementwise layer; None where there is an issue."""
    item, path = work.step.item, work.step.path
    assert isinstance(item, ElementwiseItem)
    elements, per = item.elements, item.per
    if item.weights_of is not None:
        elements, per = _weights_of(item.weights_of, layers, (*path, "weights_of"), document), "step"
    elif elements is None:
        elements = _flattened(work.flow)
        if elements is None:
            _unknown(work.step, ["elements"], document)
    if elements is None:
        return None
    shared = {key: getattr(item, key) for key in Elementwise.model_fields}
    own = {"name": work.step.name, "elements": elements, "per": per, "after": work.after}
    own |= {"machine": work.step.machine}
    return build(ElementwiseLayer, {**shared, **own}, document, path)


def _weights_of(
    named: str | tuple[str, ...], layers: list[Layer], path: Path, document: Document
) -> int | None:
    """Return the number of weights of some layers, or of all that are trained; None: there is an issue."""
    weighted = {layer.name: layer.weights for layer in layers if layer.weights}
    trained = [layer.name for layer in layers if Phase.WEIGHT_UPDATE in layer.phases]
    names = tuple(name for name in weighted if name in trained) if named == "all" else named
    for index, name in enumerate(names):
        if name not in weighted:
            hint = did_you_mean(name, weighted)
            document.complain((*path, index), f"no layer with weights is called {shorten(name)}", hint)
    if not names:
        document.complain(path, "there are no weights")
    return None if document.issues else sum(weighted[name] for name in names)


def _layers(
    steps: list[_Step], shape: InputShape | None, link: Link | None, document: Document
) -> tuple[list[Layer], list[_Work], list[Crossing]]:
    """Return the layers with their shapes; after the first that has none, nothing more can be said."""
    flow = _Map(shape.channels, (shape.height, shape.width)) if shape else _Map()
    layers: list[Layer] = []
    works: list[_Work] = []
    route = _Route(link, document)
    taken: set[str] = set()
    passed = _Flow()
    if shape:
        passed.state(("network", "input"), "'input' has no effect: every layer states its own")
        for key in sorted({"height", "width"} & set(document.section("network")["input"])):
            message = f"'{key}' has no effect: of this input only channels are taken"
            passed.state(("network", "input", key), message, size=True)
    for step in steps:
        before = len(document.issues)
        if isinstance(step.item, LinkItem):
            route.link_here(step.item, step.path, flow)
            continue
        if _is_layer(step.item) and not isinstance(step.item, ElementwiseItem):
            route.reach(step, flow, layers)
        if isinstance(step.item, ElementwiseItem):
            works.append(_Work(step, flow, len(layers)))
            _take_name(step.name, step.path, taken, document)
            continue
        passed.pass_on(step.item)
        data, after = _run(step, flow, document)
        if data and isinstance(step.item, LayerItem):
            data |= {key: getattr(step.item, key) for key in _TRAINED}
            data |= {"machine": step.machine}
            data |= {"densities": (*data.get("densities", ()), *step.item.densities)}
        layer = _build(data, step.path, document)
        if len(document.issues) > before:
            break
        if layer is not None:
            _take_name(layer.name, step.path, taken, document)
            if isinstance(layer, NetworkLayer) and isinstance(step.item, WindowItem):
                if getattr(step.item, "concatenate", False) and layer.output_size != layer.input_size:
                    message = f"the output of '{layer.name}' has another size than its input"
                    document.complain(
                        (*step.path, "concatenate"), message, "only maps of one size can be concatenated"
                    )
                after = replace(after, size=layer.output_size)
            layers.append(layer)
        for key in ("branch", "concatenate"):
            if getattr(step.item, key, False):
                message = f"'{key}' has no effect: no layer takes its input from here"
                passed.state((*step.path, key), message)
        flow = flow if isinstance(step.item, WindowItem) and step.item.branch else after
    else:
        passed.complain(document)
        route.end()
    return layers, works, route.crossings


class _Route:
    """Follows samples from machine to machine, and notes what crosses."""

    def __init__(self, link: Link | None, document: Document) -> None:
        self.crossings: list[Crossing] = []
        self._link, self._document = link, document
        self._waiting: tuple[LinkItem, Path, _Map] | None = None

    def link_here(self, item: LinkItem, path: Path, flow: _Map) -> None:
        """Note an item that says what crosses: what flows there, before any pooling that follows."""
        self.end()
        self._waiting = (item, path, flow)

    def reach(self, step: _Step, flow: _Map, layers: list[Layer]) -> None:
        """Note a layer that is about to run, after others, on what flows in."""
        if not layers or layers[-1].machine == step.machine:
            self.end()
            return
        item, path, there = self._waiting or (LinkItem(), step.path, flow)
        self._waiting = None
        elements = item.elements or _flattened(there)
        if elements is None:
            message = (
                f"what goes to another machine before '{step.name}' is not known from what stands before"
            )
            hint = "put an item before it: {kind: link, elements: ...}"
            self._document.complain(step.path, message, hint)
            return
        bits = item.bits or (None if self._link is None else self._link.bits)
        if self._link is None:
            message = f"'{step.name}' runs on another machine than '{layers[-1].name}': a 'link' is missing"
            hint = "link: {energy_pj_per_bit: 3200, bits: 8} beside 'machines'"
            self._document.complain(path, message, hint)
            return
        data = {"after": len(layers), "elements": elements, "bits": bits}
        self.crossings.append(Crossing(**data, source=layers[-1].machine, target=step.machine))

    def end(self) -> None:
        """Complain of an item after which no other machine comes."""
        if self._waiting is not None:
            message = "nothing crosses here: the layers before and after it run on one machine"
            self._document.complain(self._waiting[1], message, "give a layer after it another 'machine'")
        self._waiting = None


def _take_name(name: str, path: Path, taken: set[str], document: Document) -> None:
    if name in taken:
        message = f"the name '{name}' is taken by an earlier layer"
        document.complain((*path, "name"), message, "give every layer a name of its own")
    taken.add(name)


def _build(data: dict[str, Any], path: Path, document: Document) -> Layer | None:
    """Return a layer; None of pooling, and where there is an issue."""
    if not data:
        return None
    if data["kind"] in ("problem", "spmm"):
        return build(ProblemLayer, data, document, path)
    return build(NetworkLayer, data, document, path)


def _run(step: _Step, flow: _Map, document: Document) -> tuple[dict[str, Any], _Map]:
    """Return what a step makes a layer of, nothing for pooling, and what flows on but for its size."""
    item = step.item
    if isinstance(item, PoolItem):
        return {}, _Map(flow.channels, _pooled(item, flow, step.path, document))
    if isinstance(item, GlobalPoolItem):
        return {}, _Map(flow.channels, (1, 1))
    if isinstance(item, MatmulItem):
        data = {"in_channels": item.k, "out_channels": item.n, "rows": item.m, "has_weights": item.weights}
        data |= {"inputs_first": item.inputs_first}
        return {"name": step.name, "kind": "matmul", "count": item.count, **data}, _Map()
    if isinstance(item, ProblemItem):
        kept = {"problem": item.problem, "batch_dimension": item.batch_dimension, "count": item.count}
        kept |= {"trained": item.trained, "sequence": item.sequence}
        return {"name": step.name, "kind": "problem", **kept}, _Map()
    if isinstance(item, SpmmItem):
        bounds = {"C": item.k, "K": item.m, "N": item.n}
        content = {"shape": "fully_connected", "dimensions": bounds}
        problem = read_content("-", content, step.path, document)
        given = {"batch_dimension": "N", "densities": item.zeros, "trained": False}
        return {"name": step.name, "kind": "spmm", "problem": problem, **given}, _Map()
    if isinstance(item, FullyConnectedItem):
        inputs = item.input_channels or _flattened(flow)
        if inputs is None:
            _unknown(step, ["input_channels"], document)
        data = {"in_channels": inputs or 1, "out_channels": item.channels, "inputs_first": item.inputs_first}
        return {"name": step.name, "kind": "fully_connected", **data}, _Map(item.channels, (1, 1))
    assert isinstance(item, WindowItem)
    return _window(step, item, flow, document)


def _window(step: _Step, item: WindowItem, flow: _Map, document: Document) -> tuple[dict[str, Any], _Map]:
    channels, size = item.input_channels or flow.channels, item.input_size or flow.size
    unknown = [key for key, value in (("input_channels", channels), ("input_size", size)) if value is None]
    if unknown:
        _unknown(step, unknown, document)
        return {}, flow
    assert channels is not None
    kind = "conv"
    outputs, groups = channels, 1
    if isinstance(item, DepthwiseItem):
        kind, groups = "depthwise", channels
    elif isinstance(item, ConvItem):
        outputs = item.channels
    if isinstance(item, GroupedItem):
        kind, groups = "grouped", item.groups
    first = isinstance(item, GroupedItem) and item.inputs_first
    data: dict[str, Any] = {
        "in_channels": channels,
        "out_channels": outputs,
        "groups": groups,
        "input_size": size,
        "inputs_first": first,
    }
    data |= {key: getattr(item, key) for key in ("kernel", "stride", "padding", "dilation")}
    together = isinstance(item, ConvItem) and item.concatenate
    return {"name": step.name, "kind": kind, **data}, _Map(outputs + channels if together else outputs)


def _flattened(flow: _Map) -> int | None:
    if flow.channels is None or flow.size is None:
        return None
    return flow.channels * flow.size[0] * flow.size[1]


def _unknown(step: _Step, keys: list[str], document: Document) -> None:
    missing = " and ".join(f"'{key}'" for key in keys)
    message = f"the input of '{step.name}' is not known from what stands before it"
    document.complain(step.path, message, f"give {missing} here, or the network's 'input'")


def _pooled(item: PoolItem, flow: _Map, path: Path, document: Document) -> tuple[int, int] | None:
    if flow.size is None:
        return None
    sizes = []
    for size, kernel, stride, padding in zip(
        flow.size, item.kernel, item.stride or item.kernel, item.padding, strict=True
    ):
        if kernel > size + 2 * padding:
            message = f"the window spans {kernel}, more than its padded input of {size + 2 * padding}"
            document.complain(path, message, key=True)
            return None
        sizes.append((size + 2 * padding - kernel) // stride + 1)
    return sizes[0], sizes[1]
