"""Check imported networks of known models against PyTorch's own count of their operations.

    python tools/check_models.py [--only vit] [--markdown] [--onnx]

Builds models of torchvision, timm and transformers with random weights, imports each, and compares
multiply-accumulates with torch.utils.flop_counter, weights with those that the modules which ran keep,
and names and shapes with the model's own checkpoint. Prints a table; the exit status is 1 where they differ.
Models of packages that are not installed are skipped: pip install '.[models]'. Takes some
minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch
from model_zoo import MODELS, Model

from procrustes_model import network_from_onnx, network_from_torch
from procrustes_model.errors import SpecError
from procrustes_model.spec.network import Network
from procrustes_model.training.mask_densities import MaskDensities
from procrustes_model.training.names import is_parametrization, layer_name
from procrustes_model.workloads.layer_matching import match_layers

_MULTIPLY = (
    torch.nn.Linear,
    torch.nn.modules.conv._ConvNd,
    torch.nn.MultiheadAttention,
    torch.nn.RNNBase,
    torch.nn.RNNCellBase,
)


@dataclass(frozen=True)
class Row:
    """What was found of a model.

    Attributes
    ----------
    model : Model
    layers : int
    macs, wanted_macs : int
        Of the network, and of PyTorch's count.
    weights, wanted_weights : int
        Of the layers that are called like modules which ran, each once, and of these modules.
    fits : bool
        Whether all tensors of the model's own checkpoint are known to the network.
    said : str
        Why there are none, or what else there is to say.
    onnx : tuple of str
        The same by way of each of PyTorch's exporters: "yes", or what differs. Empty: not tried.
    """

    model: Model
    layers: int = 0
    macs: int = 0
    wanted_macs: int = 0
    weights: int = 0
    wanted_weights: int = 0
    fits: bool = False
    said: str = ""
    onnx: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether both numbers are those wanted, and the checkpoint fits."""
        numbers = self.macs == self.wanted_macs and self.weights == self.wanted_weights
        return self.layers > 0 and numbers and self.fits


def count_macs(module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> int:
    """Return the multiply-accumulates that PyTorch counts in a run."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        # Nor are LSTMs counted that oneDNN runs at once.
        with (
            FlopCounterMode(display=False) as counter,
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            torch.backends.mkldnn.flags(enabled=False),
        ):
            module(*arguments, **keywords)
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    return int(counter.get_total_flops()) // 2


def find_weights(module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, int]:
    """Return how many weights each module keeps that multiplies and runs, tied ones once."""
    paths = {one: path for path, one in module.named_modules()}
    ran: dict[Any, None] = {}

    def note(one: Any, *_: Any) -> None:
        # Its parts may be multiplied with and not called.
        ran.update(dict.fromkeys([one, *one.children()]))

    handles = [one.register_forward_pre_hook(note) for one in module.modules()]
    try:
        with torch.no_grad():
            module(*arguments, **keywords)
    finally:
        for handle in handles:
            handle.remove()
    found: dict[int, tuple[str, int]] = {}
    for one in ran:
        for name, weight in one.named_parameters(recurse=False):
            multiplies = isinstance(one, _MULTIPLY) or type(one).__name__ == "Conv1D"
            if multiplies and "weight" in name and weight.dim() > 1:
                found.setdefault(id(weight), (layer_name(paths[one], name), weight.numel()))
    return dict(found.values())


def named_weights(network: Network, names: Collection[str]) -> int:
    """Return the weights of layers that have one of these names, a number or a part after it not counted."""
    seen = {}
    for layer in network.layers:
        part = layer.name if layer.name in names else re.sub(r"_[0-9]+$", "", layer.name)
        if re.sub(r"\[[0-9:]+\]$", "", part) in names:
            seen[part] = layer.weights
    return sum(seen.values())


def fit(module: Any, network: Network) -> str:
    """Return what a network says of its model's own checkpoint; nothing where it fits."""
    tensors = {
        name.removesuffix(".weight"): tuple(value.shape)
        for name, value in module.state_dict().items()
        # What a weight is computed of is put together where checkpoints are read.
        if value.is_floating_point() and value.dim() > 1 and not is_parametrization(name)
    }
    ones = np.ones((1, len(tensors)))
    try:
        match_layers(
            MaskDensities(tuple(tensors), tuple(tensors.values()), (0,), ones, ones, ones, ones), network
        )
    except SpecError as error:
        return str(error).replace("\n", "; ")
    return ""


def by_way_of_onnx(
    module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], wanted: int
) -> tuple[str, ...]:
    """Return whether what an exporter writes has as many multiply-accumulates, by exporter."""
    found = []
    for dynamo in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            try:
                torch.onnx.export(module, arguments, str(file), kwargs=keywords, dynamo=dynamo)
            except Exception as error:  # noqa: BLE001  # exporters fail in their own ways
                found.append(f"not exported: {type(error).__name__}")
                continue
            try:
                network = network_from_onnx(file)
            except SpecError as error:
                found.append(str(error).splitlines()[0][:100])
                continue
            macs = network.macs * network.batch
            found.append("yes" if macs == wanted else f"{macs:,}")
    return tuple(found)


def check(model: Model, *, onnx: bool = False) -> Row:
    """Return what is found of a model."""
    if importlib.util.find_spec(model.package) is None:
        return Row(model, said=f"skipped: {model.package} is not installed")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("cpu" if model.computes or onnx else "meta"):
                module, arguments, keywords = model.build()
        except Exception as error:  # noqa: BLE001  # a package may be of another release
            return Row(model, said=f"not built: {type(error).__name__}: {str(error)[:200]}")
        module.eval().requires_grad_(False)
        try:
            network = network_from_torch(module, keywords or arguments, name=model.name)
        except SpecError as error:
            return Row(model, said=str(error).replace("\n", "; ")[:300])
        misfit = fit(module, network)
        macs = count_macs(module, arguments, keywords)
        weights = find_weights(module, arguments, keywords)
        exported = by_way_of_onnx(module, arguments, keywords, macs) if onnx else ()
    return Row(
        model,
        len(network.layers),
        network.macs * network.batch,
        macs,
        named_weights(network, weights),
        sum(weights.values()),
        not misfit,
        (misfit or network.description)[:200],
        exported,
    )


def main() -> int:
    """Check every model, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="models whose name has this in it")
    parser.add_argument("--markdown", action="store_true", help="print the table of the documentation")
    parser.add_argument("--onnx", action="store_true", help="also by way of ONNX: needs onnx and onnxscript")
    options = parser.parse_args()
    rows = []
    line: Callable[[Row], str] = _markdown if options.markdown else _plain
    if options.markdown:
        ways = ("by ONNX, TorchScript", "by ONNX, dynamo") if options.onnx else ()
        titles = ("model", "of", "layers", "G multiply-accumulates", "M weights", "agrees", *ways)
        print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    start = time.monotonic()
    for model in MODELS:
        if options.only in model.name:
            rows.append(check(model, onnx=options.onnx))
            print(line(rows[-1]), flush=True)
    tried = [row for row in rows if not row.said.startswith("skipped")]
    wrong = [row.model.name for row in tried if not row.agrees]
    seconds = time.monotonic() - start
    print(f"{len(tried)} models, {len(rows) - len(tried)} skipped, {len(wrong)} differ, {seconds:.0f} s")
    return 1 if wrong else 0


def _plain(row: Row) -> str:
    if not row.layers:
        return f"{row.model.name:34} {row.said}"
    macs = f"{row.macs:>14,} {'=' if row.macs == row.wanted_macs else f'! {row.wanted_macs:,}'}"
    weights = (
        f"{row.weights:>12,} {'=' if row.weights == row.wanted_weights else f'! {row.wanted_weights:,}'}"
    )
    return f"{row.model.name:34} {row.layers:>4} {macs} {weights} {' '.join(row.onnx)} {row.said}"


def _markdown(row: Row) -> str:
    if not row.layers:
        return f"| {row.model.name} | {row.model.package} | | | | {row.said} |"
    numbers = (f"{row.layers}", f"{row.macs / 1e9:.4g}", f"{row.weights / 1e6:.4g}")
    cells = (row.model.name, row.model.package, *numbers, "yes" if row.agrees else "no", *row.onnx)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
