"""A network as text that `load_network` reads back to an equal one."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from procrustes_model.errors import SpecError
from procrustes_model.spec.network import Network, NetworkLayer
from procrustes_model.versions import KEY, VERSIONS

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null"})


def network_text(network: Network) -> str:
    """Return a network as YAML: a line per layer, inputs only where they do not follow from the layer before.

    Parameters
    ----------
    network : Network

    Returns
    -------
    str

    Raises
    ------
    SpecError
        When a layer is none that a file can describe, such as a convolution with several rows.
    """
    lines = [f"{KEY}: {VERSIONS['network']}", "network:", f"  name: {_scalar(network.name)}"]
    texts = {key: getattr(network, key) for key in ("description", "source", "dataset")}
    lines += [f"  {key}: {json.dumps(text, ensure_ascii=False)}" for key, text in texts.items() if text]
    flow: tuple[int, int, int] | None = None
    if network.input is not None:
        shape = network.input
        flow = (shape.channels, shape.height, shape.width)
        lines.append(f"  input: {{channels: {shape.channels}, height: {shape.height}, width: {shape.width}}}")
    lines += [f"  batch: {network.batch}", "  layers:"]
    for layer in network.layers:
        item, flow = _item(layer, flow)
        lines.append("    - {" + ", ".join(f"{key}: {_value(value)}" for key, value in item.items()) + "}")
    return "\n".join(lines) + "\n"


def _item(
    layer: NetworkLayer, flow: tuple[int, int, int] | None
) -> tuple[dict[str, Any], tuple[int, int, int] | None]:
    """Return a layer as a file writes it, and the channels, rows and columns that flow on."""
    written = {"name": layer.name, "kind": layer.kind}
    if layer.kind == "matmul":
        item = {**written, "m": layer.rows, "k": layer.in_channels, "n": layer.out_channels}
        if not layer.has_weights:
            item |= {"weights": False, "count": layer.count}
        _check(layer, NetworkLayer(**{**_core(layer), "rows": layer.rows, "count": layer.count}))
        return item, None
    if layer.kind == "fully_connected":
        _check(layer, NetworkLayer(**_core(layer)))
        item = {**written, "channels": layer.out_channels}
        if flow is None or math.prod(flow) != layer.in_channels:
            item["input_channels"] = layer.in_channels
        return item, (layer.out_channels, 1, 1)
    window = ("kernel", "stride", "padding", "dilation", "input_size")
    _check(layer, NetworkLayer(**{**_core(layer), **{key: getattr(layer, key) for key in window}}))
    if (layer.kind == "conv") != (layer.groups == 1) and layer.kind != "depthwise":
        raise SpecError(f"layer '{layer.name}' of kind {layer.kind} has {layer.groups} groups")
    item = dict(written)
    if layer.kind != "depthwise":
        item["channels"] = layer.out_channels
    if layer.kind == "grouped":
        item["groups"] = layer.groups
    item["kernel"] = layer.kernel
    defaults = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    item |= {key: getattr(layer, key) for key, usual in defaults.items() if getattr(layer, key) != usual}
    if flow is None or flow[0] != layer.in_channels:
        item["input_channels"] = layer.in_channels
    if flow is None or flow[1:] != layer.input_size:
        item["input_size"] = layer.input_size
    return item, (layer.out_channels, *layer.output_size)


def _core(layer: NetworkLayer) -> dict[str, Any]:
    keys = ("name", "kind", "in_channels", "out_channels", "groups", "has_weights")
    return {key: getattr(layer, key) for key in keys}


def _check(layer: NetworkLayer, as_written: NetworkLayer) -> None:
    if layer != as_written:
        message = f"layer '{layer.name}' of kind {layer.kind} has properties that a file cannot give it"
        raise SpecError(message)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return str(value[0]) if value[0] == value[1] else f"[{value[0]}, {value[1]}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _scalar(value) if isinstance(value, str) else str(value)


def _scalar(text: str) -> str:
    """Return text as a YAML scalar, in quotes where it could be read as something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=False)
