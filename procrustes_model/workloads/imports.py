"""What imports of networks share: multiplications as they are met, turned into layers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network import InputShape, Layer, Network, NetworkLayer, taken_input
from procrustes_model.spec.network_problem import ProblemLayer
from procrustes_model.workloads.problem_layers import convolution, transposed_convolution

_NAME_LENGTH = 90
_LISTED = 12


@dataclass
class Collector:
    """Gathers the layers of a network in the order in which a sample passes them.

    Attributes
    ----------
    batch : int
        Samples that the sizes are for; what is gathered is per sample.
    layers : list of (str, dict or ProblemLayer)
        Name, and fields of `NetworkLayer` or a layer for one sample.
    left_out : list of str
        What multiplies and cannot be a layer, with the reason.
    notes : list of str
        What multiplies and need not be a layer, with the reason.
    """

    batch: int = 1
    layers: list[tuple[str, dict[str, Any] | ProblemLayer]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def convolve(
        self,
        name: str,
        *,
        weight: Sequence[int],
        size: Sequence[int],
        groups: int = 1,
        stride: Sequence[int] = (),
        dilation: Sequence[int] = (),
        before: Sequence[int] = (),
        after: Sequence[int] | None = None,
        images: int | None = None,
        transposed: bool = False,
    ) -> bool:
        """Add a convolution over one to three axes.

        Parameters
        ----------
        name : str
        weight : sequence of int
            Output channels, input channels of one group, kernel; of a transposed one input channels first.
        size : sequence of int
            Positions of the input along each axis, unpadded.
        groups : int
        stride, dilation : sequence of int
            1 where empty.
        before, after : sequence of int
            Zeros at the start and at the end of each axis; `after` is as `before` where it is not given.
            Of a transposed convolution they change no product.
        images : int, optional
            Of all samples together: more than these where frames, views or patches lie in the batch.
        transposed : bool

        Returns
        -------
        bool
            Whether it is a layer now; if not, it is left out.
        """
        axes = len(size)
        images = self.batch if images is None else images
        if axes not in (1, 2, 3):
            self.leave_out(f"'{name}': a convolution over {axes} axes; 1 to 3 are supported")
            return False
        if images % self.batch:
            message = f"its {images} images are not a multiple of the batch of {self.batch}"
            self.leave_out(f"'{name}': {message}; import it with a batch of 1")
            return False
        if axes == 3 or transposed or images > self.batch:
            return self._convolve_problem(
                name,
                {
                    "weight": weight,
                    "size": size,
                    "groups": groups,
                    "stride": stride,
                    "dilation": dilation,
                    "images": images // self.batch,
                },
                {} if transposed else {"before": before, "after": after},
            )
        ones, zeros = (1,) * axes, (0,) * axes
        before = tuple(before) or zeros
        pads = list(zip(before, before if after is None else tuple(after) or zeros, strict=True))
        # Padding that differs at the two ends: the rest counts as input, which gives the same outputs.
        # Padding that is negative crops, as what is not there.
        both = [max(0, min(pad)) for pad in pads]
        size = [n + sum(pad) - 2 * common for n, pad, common in zip(size, pads, both, strict=True)]
        inputs, outputs = weight[1] * groups, weight[0]
        kind = "conv" if groups == 1 else "depthwise" if groups == inputs == outputs else "grouped"
        self.layers.append(
            (
                name,
                {
                    "kind": kind,
                    "in_channels": inputs,
                    "out_channels": outputs,
                    "groups": groups,
                    "kernel": _two(weight[2:], 1),
                    "stride": _two(tuple(stride) or ones, 1),
                    "dilation": _two(tuple(dilation) or ones, 1),
                    "padding": _two(both, 0),
                    "input_size": _two(size, 1),
                },
            )
        )
        return True

    def _convolve_problem(self, name: str, fields: dict[str, Any], padding: dict[str, Any]) -> bool:
        """Add a convolution that is a problem, a transposed one where it takes no padding."""
        make = convolution if padding else transposed_convolution
        try:
            # What is not printable in a name is replaced later.
            layer = make("layer", **fields, **padding)
        except SpecError as error:
            reasons = "; ".join(one.message.removeprefix("layer 'layer': ") for one in error.issues)
            self.leave_out(f"'{name}': {reasons}")
            return False
        self.layers.append((name, layer))
        return True

    def multiply(
        self,
        name: str,
        rows: int,
        inner: int,
        columns: int,
        *,
        weights: bool,
        copies: int = 1,
        inputs_first: bool = False,
        groups: int = 1,
    ) -> bool:
        """Add the product of a (rows, inner) and an (inner, columns) matrix.

        Parameters
        ----------
        name : str
        rows, inner, columns : int
            `rows` of all samples together where the second matrix is weights, of one copy where it is not.
        weights : bool
            Whether the second matrix is weights.
        copies : int
            Products of two activations, of all samples together.
        inputs_first : bool
            Whether the weights are kept as (inner, columns), rather than (columns, inner).
        groups : int
            Separate matrices of weights, each with `rows` of its own.

        Returns
        -------
        bool
            Whether it is a layer now; if not, it is left out.
        """
        total = rows if weights else copies
        if total % self.batch:
            what = "rows" if weights else "products"
            message = f"its {total} {what} are not a multiple of the batch of {self.batch}"
            self.leave_out(f"'{name}': {message}; import it with a batch of 1")
            return False
        data: dict[str, Any] = {"in_channels": inner, "out_channels": columns}
        if weights and total == self.batch:
            data |= {"kind": "fully_connected"}
        elif weights:
            data |= {"kind": "matmul", "rows": rows // self.batch}
        else:
            data |= {"kind": "matmul", "rows": rows, "count": total // self.batch, "has_weights": False}
        if weights and groups > 1:
            data = {"kind": "grouped", "in_channels": inner * groups, "out_channels": columns * groups}
            data |= {"groups": groups, "input_size": (1, rows // self.batch)}
        if weights and inputs_first:
            data |= {"inputs_first": True}
        self.layers.append((name, data))
        return True

    def add(self, layer: ProblemLayer) -> None:
        """Add a layer that is a problem, for one sample; see `problem_layers`."""
        self.layers.append((layer.name, layer))

    def leave_out(self, what: str) -> None:
        """Note an operator that multiplies and cannot be a layer."""
        self.left_out.append(what)

    def note(self, what: str) -> None:
        """Note a product that is no layer's, such as one that prepares weights: it stands in no one's way."""
        self.notes.append(what)

    def network(
        self,
        name: str,
        *,
        source: str,
        shape: Sequence[int],
        batch: int,
        partial: bool,
        file: str | None,
        other_tensors: Sequence[str] = (),
        tied_tensors: Sequence[tuple[str, str]] = (),
    ) -> Network:
        """Return the network.

        Parameters
        ----------
        name, source : str
        shape : sequence of int
            Of one sample.
        batch : int
        partial : bool
            Leave out what cannot be a layer, and say so in the description.
        file : str or None
            For messages.
        other_tensors, tied_tensors
            As `Network` has them.

        Raises
        ------
        SpecError
            When something is left out without `partial`, or there is no layer at all.
        """
        issues = [Issue(f"unsupported: {what}", file=file) for what in _counted(self.left_out)]
        if issues and not partial:
            hint = "--partial, in Python partial=True, imports the rest and lists these"
            raise SpecError([*issues[:_LISTED], Issue(_number_of(len(self.left_out)), hint, file)])
        if not self.layers:
            raise SpecError(
                Issue("there is no layer to import", "it has no convolution or matrix product", file)
            )
        layers: list[Layer] = []
        wrong = []
        titles = _names([name for name, _ in self.layers])
        for title, (_, data) in zip(titles, self.layers, strict=True):
            if isinstance(data, ProblemLayer):
                layers.append(data.model_copy(update={"name": title}))
                continue
            try:
                layers.append(NetworkLayer(name=title, **data))
            except ValidationError as error:
                reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
                wrong.append(Issue(f"layer '{title}': {reason}", file=file))
        if wrong:
            raise SpecError(wrong)
        said = {"left out": self.left_out, "no layers": self.notes}
        description = "; ".join(f"{what}: {'; '.join(_counted(some))}" for what, some in said.items() if some)
        return Network(
            name=clean_name(name) or "network",
            description=description[:10_000],
            source=source[:10_000],
            input=_input(shape, layers[0]),
            batch=batch,
            layers=tuple(layers),
            other_tensors=tuple(dict.fromkeys(map(clean_name, other_tensors))),
            tied_tensors=tuple((clean_name(one), clean_name(layer)) for one, layer in tied_tensors),
        )


def clean_name(text: str) -> str:
    """Return a name that results may use: printable, without slashes, not too long."""
    plain = "".join(one if one.isprintable() else "_" for one in text).strip().strip("/").replace("/", ".")
    return plain if len(plain) <= _NAME_LENGTH else "..." + plain[3 - _NAME_LENGTH :]


def _names(wanted: list[str]) -> list[str]:
    """Return a name for each layer; those that share one are numbered, as where a layer repeats."""
    names = [clean_name(name) or "layer" for name in wanted]
    times, taken, seen = Counter(names), set(names), Counter[str]()
    result = []
    for name in names:
        if times[name] > 1:
            base = name
            while True:
                seen[base] += 1
                name = f"{base}_{seen[base]}"
                if name not in taken:
                    break
            taken.add(name)
        result.append(name)
    return result


def _counted(notes: list[str]) -> list[str]:
    return [f"{note} ({times} times)" if times > 1 else note for note, times in Counter(notes).items()]


def _number_of(count: int) -> str:
    return f"{count} operator{'s' if count > 1 else ''} with multiplications cannot be imported"


def _two(values: Sequence[int], filler: int) -> tuple[int, int]:
    """Return (rows, columns) of one or two axes; a single axis is columns."""
    return (values[0], values[1]) if len(values) == 2 else (filler, values[0])


def _input(shape: Sequence[int], first: Layer) -> InputShape | None:
    """Return the shape of a sample where it is channels and up to two axes, and the first layer takes it."""
    if not 1 <= len(shape) <= 3 or math.prod(shape) < 1:
        return None
    height, width = _two(shape[1:], 1) if len(shape) > 1 else (1, 1)
    sample = InputShape(channels=shape[0], height=height, width=width)
    return taken_input(first, sample)
