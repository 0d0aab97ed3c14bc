"""Names of layers from an ONNX file: those of the parameters that a model's checkpoint has."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

_GENERATED = re.compile(
    r"|\d+|/.*|onnx::.*|.*_output_\d+(_.*)?|const_fold_opt_.*|_(param|tensor)_constant\d+"
    r"|[_/]*(val|v|const|constant|initializer|tmp|tensor|node)[_:/]*\d+"
)
"""Names that exporters make up for what they fold, instead of a parameter's."""
_QUANTISED = re.compile(
    r"(_(quantized|DequantizeLinear|QuantizeLinear|transposed|Q4|Q8|Q4G\d*|int8|uint8|bnb4|cast\w*))+$",
    re.IGNORECASE,
)
"""What quantising tools add to a parameter's name."""
_PREPARED = re.compile(r"(^|\.)(parametrizations\.)?weight(_orig|_mask|_v|_g|\.original\d*)$")
"""Parts of which PyTorch's pruning and parametrisations make a weight."""
_BIAS = re.compile(r"bias(?!.*bias)")
_TARGET = re.compile(r"^\s*(\w+): (?:PARAMETER|BUFFER|CONSTANT_TENSOR) target='([^']*)'", re.MULTILINE)
_SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
_SCOPES = "pkg.torch.onnx.name_scopes"
_JOINT = "in_proj_weight"
"""What PyTorch's attention calls the weights of queries, keys and values together."""
_CODE = "pkg.torch.onnx.fx_node"


class Namer:
    """Names layers like the parameters that they multiply by.

    An exporter that folds a parameter (a transposed matrix, batch normalisation) names it anew. The name is
    then the bias's, or that of the module whose code the node comes from, as PyTorch's exporters note it.

    Parameters
    ----------
    model : onnx.ModelProto
    """

    def __init__(self, model: Any) -> None:
        signature = "".join(
            one.value for one in (*model.metadata_props, *model.graph.metadata_props) if one.key == _SIGNATURE
        )
        self._targets = dict(_TARGET.findall(signature))
        self._parameters = set(self._targets.values())
        self._known: dict[str, list[str]] = {}
        self._attention = {
            module
            for one in (*model.graph.initializer, *model.graph.input)
            if (module := one.name.rpartition(".out_proj.")[0])
        }
        self._parts: dict[str, str] = {}
        self._projected: Counter[str] = Counter()
        self._cells: Counter[str] = Counter()

    def weights(self, node: Any, prefix: str, source: str, bias: str, size: tuple[int, int]) -> str:
        """Return the name of a layer with weights.

        Parameters
        ----------
        node : onnx.NodeProto
        prefix : str
            Of nodes in this function or branch.
        source : str
            Name of the initializer that its weights are made of, or empty.
        bias : str
            That of its bias, or empty.
        size : (int, int)
            Outputs and inputs.
        """
        if source in self._parts:
            return self._parts[source]
        name = self.parameter(source) or self._of_attention(node, source, bias, size)
        name = name or self._of_code(node) or self._of_module(node, bias) or self.node(node, prefix)
        known = self._known.setdefault(source, [name] if source else [])
        if source and name not in known:
            # A module that runs again has a number in its path.
            plain = re.sub(r"_\d+(?=\.|$)", "", name)
            if plain in known:
                return plain
            known.append(name)
        return name

    def _of_attention(self, node: Any, source: str, bias: str, size: tuple[int, int]) -> str:
        """Return the part of PyTorch's joint projection of attention that weights are, or nothing."""
        name = self._of_code(node) or self._of_module(node, bias)
        if name in self._attention:
            name = f"{name}.{_JOINT}"
        outputs, inputs = size
        if not name.endswith(_JOINT) or outputs >= 3 * inputs:
            return name if name.endswith(_JOINT) else ""
        first = self._projected[name]
        self._projected[name] += outputs
        self._parts[source] = f"{name}[{first}:{first + outputs}]"
        return self._parts[source]

    def _of_code(self, node: Any) -> str:
        """Return the one parameter, but for biases, that the code reads of which the node is made."""
        code = next((one.value for one in node.metadata_props if one.key == _CODE), "")
        read = {self._targets[one] for one in re.findall(r"%(\w+)", code) if one in self._targets}
        matrices = [one for one in read if not _is_bias(one)]
        return _without_weight(matrices[0]) if len(matrices) == 1 else ""

    def _of_module(self, node: Any, bias: str) -> str:
        """Return what the bias, or the module that a node comes from, says of the name of its weights."""
        module, plain = _module(node), self._original(bias)
        beside = _without_weight(_BIAS.sub("weight", plain)) if "bias" in plain else ""
        if _scopes(node) and module and not f"{beside}.".startswith(f"{module}."):
            # Equal biases may be one; where the module is said in full, it is right.
            return module
        return beside or module

    @property
    def parameters(self) -> list[str]:
        """What the exporter says that training has, as layers would be called, but for biases."""
        return [_without_weight(one) for one in sorted(self._parameters) if not _is_bias(one)]

    @property
    def tied(self) -> list[tuple[str, str]]:
        """Pairs of names that layers with the same weights have: each may be the other's in a checkpoint."""
        return [
            (one, other) for known in self._known.values() for one in known for other in known if one != other
        ]

    def node(self, node: Any, prefix: str) -> str:
        """Return the name of a layer without weights: of its node, after the module it comes from."""
        scopes = _scopes(node)
        if len(scopes) > 1:
            return ".".join(one for one in scopes[-2:] if one)
        own = str(node.name or next(filter(None, node.output), "") or node.op_type)
        if own.startswith("/"):
            own = ".".join(filter(None, (_joined(own.split("/")[:-1]), own.rpartition("/")[2])))
        return f"{prefix}{own}"

    def module(self, node: Any) -> str:
        """Return the module that a node comes from, or nothing where it is not known."""
        return _module(node)

    def recurrent(self, node: Any, prefix: str) -> tuple[str, str]:
        """Return the names that PyTorch gives the two weights of a recurrent cell, where they have none."""
        module = _module(node)
        if not module:
            name = self.node(node, prefix)
            return f"{name}.weight_ih", f"{name}.weight_hh"
        layer = self._cells[module]
        self._cells[module] += 1
        return f"{module}.weight_ih_l{layer}", f"{module}.weight_hh_l{layer}"

    def parameter(self, source: str) -> str:
        """Return the name of layers with an initializer's weights; empty where an exporter made it up."""
        return _without_weight(self._original(source))

    def keeps_order(self, source: str) -> bool:
        """Return whether an initializer has a parameter's own name, and so its order of axes."""
        return bool(self._original(source)) and "transposed" not in source.lower()

    def _original(self, source: str) -> str:
        """Return a parameter's name in training, or nothing where an exporter made it up."""
        plain = _QUANTISED.sub("", source).removesuffix("/ReadVariableOp:0")
        if self._parameters and not {source, plain} & self._parameters:
            # The exporter lists all parameters: others are its own, unless a later tool brought them.
            return plain if "." in plain and not _GENERATED.fullmatch(plain) else ""
        return "" if _GENERATED.fullmatch(plain) else plain


def _is_bias(name: str) -> bool:
    return re.fullmatch(r"(.*_)?bias(_[ih]h.*)?", name.rpartition(".")[2]) is not None


def _without_weight(name: str) -> str:
    plain = _PREPARED.sub(r"\1weight", name)
    return plain.removesuffix(".weight")


def _scopes(node: Any) -> list[str]:
    """Return the modules that a node comes from, outermost first, and then its function."""
    for one in node.metadata_props:
        if one.key == _SCOPES:
            return re.findall(r"'([^']*)'", one.value)
    for one in node.metadata_props:
        if one.key == "namespace":
            return [part.partition(":")[0].strip() for part in one.value.split("/")]
    return []


def _module(node: Any) -> str:
    scopes = _scopes(node)
    if len(scopes) > 1:
        return scopes[-2]
    return _joined(node.name.split("/")[:-1]) if node.name.startswith("/") else ""


def _joined(parts: list[str]) -> str:
    """Return the path of nested modules; one in a container has the container's name before its own."""
    path: list[str] = []
    for part in filter(None, parts):
        if path and part.startswith(f"{path[-1]}."):
            path.pop()
        path.append(part)
    return ".".join(path)
