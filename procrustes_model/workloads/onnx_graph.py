"""A walk over the nodes of an ONNX graph: what each computes, and the layers that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.printable import cut, quote
from procrustes_model.workloads.imports import Collector
from procrustes_model.workloads.onnx_call import Call, UnfitError
from procrustes_model.workloads.onnx_control import Control
from procrustes_model.workloads.onnx_elementwise import WITHOUT_PRODUCTS
from procrustes_model.workloads.onnx_names import Namer
from procrustes_model.workloads.onnx_operators import Operators
from procrustes_model.workloads.onnx_values import STANDARD, UNKNOWN, Inference, Value, read_shape

_NODES = 100_000
"""The most nodes that are read, those of functions and branches each time that they are."""
_CONTROL = ("If", "Loop", "Scan")
_DEPTH = 64
"""The most functions that call one another."""
_ABSENT = Value(why="it is left out")
_ADDS = frozenset({"Add", "Sum", "BiasAdd", "BiasGelu", "FastGelu", "QLinearAdd"})
_BETWEEN = frozenset({"Cast", "Identity", "QuantizeLinear", "DequantizeLinear", "Reshape"})
"""What may stand between a product and the addition of its bias."""


@dataclass
class Scope:
    """The values that nodes of one graph, branch or function see.

    Attributes
    ----------
    nodes : sequence of onnx.NodeProto
    inference : Inference
        For the versions of operators that hold here.
    values : dict of str to Value
    outer : Scope, optional
        Around a branch; functions see none.
    prefix : str
        Of names of nodes.
    stated : mapping of str to Value
        What the file says of values' shapes.
    """

    nodes: Sequence[Any]
    inference: Inference
    values: dict[str, Value] = field(default_factory=dict)
    outer: Scope | None = None
    prefix: str = ""
    stated: Mapping[str, Value] = field(default_factory=dict)
    users: dict[str, list[Any]] = field(default_factory=dict)
    makers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
            for name in node.output:
                self.makers[name] = node

    def find(self, name: str) -> Value | None:
        """Return a value of this scope or one around it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return None


class Reader:
    """Reads a model's graph.

    Parameters
    ----------
    onnx : module
    model : onnx.ModelProto
        With closed inputs.
    collector : Collector
        Takes the layers.
    lengths : mapping of str to int
        Of axes with names.
    file : str
        For messages.
    """

    def __init__(
        self, onnx: Any, model: Any, collector: Collector, lengths: Mapping[str, int], file: str
    ) -> None:
        self._onnx = onnx
        self._model = model
        self._lengths = lengths
        self._file = file
        self._functions = {
            (one.domain, one.name, getattr(one, "overload", "")): one for one in model.functions
        }
        self._running: list[Any] = []
        self._count = 0
        self.collector = collector
        self.namer = Namer(model)
        self.operators = Operators(collector, self.namer)
        self._initializers: dict[str, Value] = {}

    def read(self) -> None:
        """Add the layers of all nodes.

        Raises
        ------
        SpecError
            When a node reads what nothing writes, two write the same, or there are too many.
        """
        graph = self._model.graph
        versions = {one.domain: one.version for one in self._model.opset_import}
        scope = self._scope(graph, Inference(self._onnx, versions), None, "")
        parameters = self._parameter_inputs()
        for one in graph.input:
            value = read_shape(one.type, self._lengths)
            if one.name in parameters and value.shape:
                value = replace(value, constant=True, source=one.name, trained=value.size > 1)
            scope.values.setdefault(one.name, value)
        self._initializers = {name: one for name, one in scope.values.items() if one.source == name}
        self._nodes(scope)

    def _parameter_inputs(self) -> set[str]:
        """Return the inputs that are parameters: PyTorch may leave these to who runs the model."""
        graph = self._model.graph
        names = [one.name for one in graph.input][1:]
        said = {name for name in names if name.endswith((".weight", ".bias"))}
        operands = {
            "Conv": (1, 2),
            "ConvTranspose": (1, 2),
            "LSTM": (1, 2, 3),
            "GRU": (1, 2, 3),
            "RNN": (1, 2, 3),
        }
        operands |= {"MatMul": (1,), "Gemm": (1, 2)} if said else {}
        used = {
            name
            for node in graph.node
            for place, name in enumerate(node.input)
            if place in operands.get(node.op_type, ())
        }
        return said | (used & set(names))

    def unused(self) -> list[str]:
        """Return the names of initializers of two and more axes that are no layer's weights.

        They end with ``*`` where an exporter may have folded others, or left out what no output needs.
        """
        used = {self.namer.parameter(name) for name in self.operators.used}
        # A layer may be called like a parameter whose initializer was folded.
        used |= {name for name, _ in self.collector.layers}
        matrices = [
            self.namer.parameter(name)
            for name, one in self._initializers.items()
            if one.shape is not None and len(one.shape) > 1
        ]
        names = dict.fromkeys((*matrices, *self.namer.parameters))
        return [name for name in names if name and name not in used] + ["*"] * (not self.namer.parameters)

    def _read_graph(self, graph: Any, outer: Scope, given: Mapping[str, Value]) -> list[Value]:
        """Add the layers of a branch's or a loop's graph, and return what is known of its outputs."""
        inner = self._scope(graph, outer.inference, outer, outer.prefix)
        inner.values |= given
        self._nodes(inner)
        return [inner.find(one.name) or UNKNOWN for one in graph.output]

    def _scope(self, graph: Any, inference: Inference, outer: Scope | None, prefix: str) -> Scope:
        """Return the scope of a graph, with its initializers."""
        stated = {one.name: read_shape(one.type, self._lengths) for one in (*graph.value_info, *graph.output)}
        scope = Scope(graph.node, inference, outer=outer, prefix=prefix, stated=stated)
        for one in graph.initializer:
            if one.name in scope.values:
                raise self._wrong(f"two initializers are called {quote(one.name)}")
            scope.values[one.name] = inference.read_tensor(one, name=one.name)
        for one in graph.sparse_initializer:
            shape = tuple(map(int, one.dims))
            name = one.values.name
            scope.values[name] = Value(one.values.data_type, shape, constant=True, source=name, trained=True)
        return scope

    def _wrong(self, message: str, hint: str | None = None) -> SpecError:
        return SpecError(Issue(message, hint, self._file))

    def _title(self, node: Any, scope: Scope) -> str:
        return quote(self.namer.node(node, scope.prefix))

    def _nodes(self, scope: Scope) -> None:
        for node in scope.nodes:
            self._count += 1
            if self._count > _NODES:
                raise self._wrong(f"the model has more than {_NODES} nodes, with those of its functions")
            inputs = [self._input(name, node, scope) for name in node.input]
            outputs = self._node(node, inputs, scope)
            for name, value in zip(node.output, outputs, strict=True):
                if not name:
                    continue
                if name in scope.values:
                    raise self._wrong(f"{quote(name)} is computed twice, also by {self._title(node, scope)}")
                stated = scope.stated.get(name, UNKNOWN)
                if value.shape is None and stated.kind:
                    value = replace(value, kind=value.kind or stated.kind, shape=stated.shape)
                scope.values[name] = value

    def _input(self, name: str, node: Any, scope: Scope) -> Value | None:
        if not name:
            return None
        value = scope.find(name)
        if value is None:
            message = f"{self._title(node, scope)} reads {quote(name)}, which nothing before it computes"
            raise self._wrong(message, "nodes stand in the order in which they run, without circles")
        return None if value is _ABSENT else value

    def _node(self, node: Any, inputs: list[Value | None], scope: Scope) -> list[Value]:
        """Add a node's layers, and return what it computes."""
        domain = "" if node.domain in STANDARD else node.domain
        function = self._functions.get((node.domain, node.op_type, getattr(node, "overload", "")))
        if function is not None:
            return self._call(node, function, inputs, scope)
        if not domain and node.op_type in _CONTROL:
            return self._control(node, inputs, scope)
        if not domain and node.op_type == "Constant":
            found = scope.inference.read_constant(self._attributes(node))
            # Some exporters keep weights in such nodes.
            return [replace(found, source=one) for one in node.output]
        read = self.operators.reader(node)
        if read is None:
            if node.op_type not in WITHOUT_PRODUCTS.get(domain, ()):
                where = f"{cut(domain)}." if domain else ""
                self.collector.leave_out(f"{self._title(node, scope)}: operator {where}{cut(node.op_type)}")
            outputs = self._passed(node, inputs, scope)
            if node.op_type == "Identity" and outputs and outputs[0].source:
                outputs[0] = replace(outputs[0], source=self._renamed(node.output[0], outputs[0]))
            return outputs
        outputs = self._passed(node, inputs, scope)
        call = Call(node, self._attributes(node), tuple(inputs), scope.prefix, self._bias(node, scope))
        try:
            own = read(call)
        except UnfitError as error:
            self.collector.leave_out(f"{self._title(node, scope)}: {cut(node.op_type)}: {error}")
            return outputs
        for place, value in enumerate((own or ())[: len(outputs)]):
            if outputs[place].shape is None:
                kind = outputs[place].kind or value.kind
                outputs[place] = replace(outputs[place], kind=kind, shape=value.shape)
        return outputs

    def _renamed(self, name: str, value: Value) -> str:
        """Return the initializer that a copy stands for.

        Exporters keep one of equal initializers and write copies for the others: a copy that is called alike
        is another parameter, and one of a vector, such as of zeros, says nothing of where it belongs.
        """
        module, _, tensor = name.rpartition(".")
        if module and tensor == value.source.rpartition(".")[2]:
            self._initializers.setdefault(name, value)
            return name
        vector = value.shape is not None and value.size == max(value.shape, default=0)
        return "" if vector else value.source

    def _attributes(self, node: Any) -> dict[str, Any]:
        return {one.name: self._onnx.helper.get_attribute_value(one) for one in node.attribute}

    def _passed(self, node: Any, inputs: list[Value | None], scope: Scope) -> list[Value]:
        """Return what inference says of a node's outputs, and why a shape is unknown."""
        outputs = scope.inference.infer(node, inputs)
        before = next((one.why for one in inputs if one is not None and one.shape is None and one.why), "")
        for place, one in enumerate(outputs):
            if one.shape is None:
                where = f"{cut(node.op_type)} {self._title(node, scope)}"
                why = f"{where}: {one.why}" if one.why and not before else before or f"after {where}"
                outputs[place] = replace(one, why=why)
        return outputs

    def _bias(self, node: Any, scope: Scope) -> str:
        """Return the initializer that is added to a product, or nothing."""
        name = next(iter(node.output), "")
        between = _BETWEEN | {"Mul"} if "Integer" in node.op_type else _BETWEEN
        for _ in range(6):
            users = scope.users.get(name, [])
            for user in users:
                if user.op_type in _ADDS:
                    for other in list(user.input)[:: 3 if user.op_type == "QLinearAdd" else 1]:
                        source = self._vector(other, scope) if other != name else ""
                        if source:
                            return source
            if len(users) != 1 or users[0].op_type not in between or not users[0].output:
                return ""
            name = users[0].output[0]
        return ""

    def _vector(self, name: str, scope: Scope) -> str:
        """Return the initializer that a value with one long axis is, or is made of."""
        for _ in range(6):
            value = scope.find(name)
            if value is not None:
                long = value.shape is not None and value.size == max(value.shape, default=0)
                return value.source if value.constant and long else ""
            maker = scope.makers.get(name)
            if maker is None or maker.op_type not in _BETWEEN or not maker.input:
                return ""
            name = maker.input[0]
        return ""

    def _call(self, node: Any, function: Any, inputs: list[Value | None], scope: Scope) -> list[Value]:
        """Read the nodes of a function of the model."""
        called = quote(function.name)
        circle = any(one is function for one in self._running)
        if circle or len(self._running) >= _DEPTH:
            how = "calls itself" if circle else "is called too deep"
            raise self._wrong(f"the function {called} {how}")
        given = {one.name: one for one in function.attribute_proto} | {
            one.name: one for one in node.attribute
        }
        versions = {one.domain: one.version for one in function.opset_import}
        inner = Scope(
            [_with_attributes(one, given) for one in function.node],
            Inference(self._onnx, versions) if versions else scope.inference,
            prefix=f"{self.namer.node(node, scope.prefix)}.",
            stated={
                one.name: read_shape(one.type, self._lengths) for one in getattr(function, "value_info", ())
            },
        )
        for place, name in enumerate(function.input):
            value = inputs[place] if place < len(inputs) else None
            inner.values[name] = _ABSENT if value is None else value
        self._running.append(function)
        self._nodes(inner)
        self._running.pop()
        outputs = [inner.find(name) or UNKNOWN for name in function.output]
        return (outputs + [UNKNOWN] * len(node.output))[: len(node.output)]

    def _control(self, node: Any, inputs: list[Value | None], scope: Scope) -> list[Value]:
        """Read a branch or a loop."""
        graphs = {one.name: one.g for one in node.attribute if one.HasField("g")}

        def read(graph: Any, given: Mapping[str, Value]) -> list[Value]:
            return self._read_graph(graph, scope, given)

        control = Control(self.operators, read, node, self._title(node, scope), inputs)
        try:
            if node.op_type == "If":
                outputs = control.branch(graphs["then_branch"], graphs["else_branch"])
            else:
                outputs = control.loop(graphs["body"], self._attributes(node))
        except SpecError:
            raise
        except (KeyError, IndexError, TypeError, ValueError):
            raise self._wrong(f"{self._title(node, scope)} is no complete {node.op_type}") from None
        return (outputs + [UNKNOWN] * len(node.output))[: len(node.output)]


def _with_attributes(node: Any, given: Mapping[str, Any]) -> Any:
    """Return a function's node with the attributes that it takes from the call."""
    if not any(one.ref_attr_name for one in node.attribute):
        return node
    copy = type(node)()
    copy.CopyFrom(node)
    del copy.attribute[:]
    for one in node.attribute:
        if not one.ref_attr_name:
            copy.attribute.append(one)
        elif one.ref_attr_name in given:
            copy.attribute.append(given[one.ref_attr_name])
            copy.attribute[-1].name = one.name
    return copy
