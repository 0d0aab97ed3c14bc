"""What is damaged: every shipped file and a few others, each with what reads it."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from procrustes_model.errors import SpecError
from procrustes_model.mapper.constraints import load_constraints, make_rules
from procrustes_model.model.design import lower_dense
from procrustes_model.model.sparse.lower import lower_sparsity
from procrustes_model.network.record import CHECKSUM, CaseRecord, checksum
from procrustes_model.shipped import KINDS, list_shipped, resolve
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import (
    load_architecture,
    load_mapping,
    load_network,
    load_problem,
    load_rules,
    load_schedule,
    load_sparsity,
)
from procrustes_model.spec.network import Network
from procrustes_model.spec.network_density import load_density
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.shape import load_shape
from procrustes_model.spec.sweep import load_sweep
from procrustes_model.spec.tensors import misspelt_tensors
from procrustes_model.sweeps.plan import plan_sweep
from procrustes_model.vocabulary import PHASES
from procrustes_model.workloads.layer_densities import profile_densities
from procrustes_model.workloads.phases import in_phase

Read = Callable[[Path], Any]

CLEAN = "file"
"""What a subject's file is called, before its ending."""


@dataclass(frozen=True)
class Subject:
    """A file that is damaged.

    Attributes
    ----------
    name : str
        For the report.
    kind : str
        By which findings are counted.
    suffix : str
        The ending that its reader wants.
    content : bytes
    read : callable
        Returns something that can be compared; raises SpecError, and nothing else, where the file is wrong.
    free : tuple of str
        Keys below which names are the user's own: nothing has to know them.
    """

    name: str
    kind: str
    suffix: str
    content: bytes
    read: Read
    free: tuple[str, ...] = ()


SAMPLES = {
    "problem": """\
problem:
  name: custom
  dimensions: {A: 4, B: 6}
  coefficients: {two: 3}
  shape:
    name: own
    phase: forward
    dimensions: [A, B]
    coefficients: {two: 2}
    tensors:
      W: {projection: [A, B], role: weights}
      X: {projection: [A], role: input}
      Z: {projection: [A + two*B], output: true, role: output}
""",
    "sparsity": """\
sparsity:
  name: every_key
  densities:
    Weights: {model: structured, nonzeros: 2, group: 4, along: C, short_groups: dense}
    Inputs: {model: fixed, density: 0.5}
  formats:
    Weights: {DRAM: {kind: csb, pointer_bits: 20, block: [R, S], partial_blocks: whole}, "*": csr}
    Inputs: {"*": {kind: run_length, run_bits: 4}}
  actions:
    - {level: RegFile, gate: Outputs, on: [Weights, Inputs]}
  compute: {skip: Weights, gate: [Inputs], gated_energy: 0.2}
  balancing:
    policy: longest_first
    tensor: Weights
    array: RegFile
    pointer_level: DRAM
    pointer_reads: 1
    pointer_share: 0.5
    pointer_energy: 2
  capacity: {size: average, overflow: spill}
  rules: {rounding: whole_words, stored_zeros: metadata_only, access_box: joined}
  phases:
    backward: {actions: [], capacity: {size: maximum}}
""",
    "constraints": """\
constraints:
  name: every_key
  min_utilization: 0.5
  levels:
    - level: GlobalBuffer
      spatial_x: {dimensions: [K], factors: K<=16}
      spatial_y: N=16
      keep: [Weights]
      bypass: [Outputs]
    - level: RegFile
      temporal: {factors: P<=7 Q>=2 R=3, order: [K, R, S]}
""",
    "network": """\
network:
  name: every_key
  dataset: none
  input: {channels: 3, height: 32, width: 32}
  batch: 4
  layers:
    - {name: conv1, kind: conv, channels: 64, kernel: [3, 3], stride: 1, padding: 1, dilation: 1}
    - {kind: pool, kernel: 2, stride: 2, padding: 0}
    - name: block
      repeat: 2
      first: 3
      layers:
        - {name: side, kind: conv, channels: 128, kernel: 1, branch: true, input_channels: 64}
        - {name: more, kind: conv, channels: 64, kernel: 1, concatenate: true}
        - {name: thin, kind: conv, channels: 64, kernel: 1}
        - {name: group, kind: grouped, groups: 4, channels: 64, kernel: 3, padding: 1, input_size: 16}
        - {name: depth, kind: depthwise, kernel: 3, padding: 1}
    - {kind: global_pool}
    - {name: fc, kind: fully_connected, channels: 10, input_channels: 64}
    - {name: product, kind: matmul, m: 4, k: 8, n: 2, weights: false, count: 3}
""",
    "density": """\
density:
  name: every_key
  weights: {times_fewer: 10, rule: erdos_renyi_kernel, layers: {conv1: 1.0}}
  activations: {default: 0.5, layers: {conv1: 0.9}}
""",
    "schedule": """\
schedule:
  name: every_key
  description: two parts
  parts:
    - iterations: 1000
      activations: {default: 0.6}
    - iterations: 20000
      weights: {overall: 0.1, rule: uniform, layers: {a: 0.5}}
      activations: {default: 0.5, layers: {a: 1.0}}
      gradients: {default: 0.5, layers: {a: 1.0}}
""",
    "sweep": """\
sweep:
  name: every_key
  description: two points
  evaluate:
    architecture: simple_3level
    problem: matmul/512
    mapping: simple_3level/matmul_512
    density: {A: 0.5}
    sparsity: {sparsity: {name: s, densities: {B: 0.5}, compute: {gate: [A, B]}}}
  set: {architecture.levels.Buffer.word_bits: 8, "architecture.levels[0].read_bandwidth": null}
  combine: zip
  axes:
    wide: {set: [architecture.levels.DRAM.word_bits, architecture.levels.RegFile.word_bits], values: [8, 16]}
    architecture.compute.energy_pj: [1, 2.5]
  where: ["wide >= 8 and energy_pj in (1, 5 / 2)", "not wide > '64 bits'"]
  pareto: [energy_pj, edp_j_cycles]
""",
    "rules": "rules: {output_fills: all, overlap: innermost, rounding: whole_words, access_box: joined}\n",
}
"""Files that have keys which no shipped one has."""

_FREE = {"architecture": ("attributes",), "shape": (), "problem": (), "sweep": ("axes",)}


@cache
def _machine() -> Architecture:
    return load_architecture("procrustes_16x16_full")


@cache
def _problem() -> Problem:
    return load_problem("vgg_s/conv3_2")


@cache
def _network(name: str) -> Network:
    return load_network(name)


def _read_architecture(path: Path) -> Any:
    machine = load_architecture(path)
    if issues := misspelt_tensors(machine, None):
        raise SpecError(issues)
    lower_dense(machine, _problem())
    return machine


def _read_sparsity(path: Path) -> Any:
    design = load_sparsity(path)
    if issues := misspelt_tensors(design, None):
        raise SpecError(issues)
    for phase in PHASES:
        lower_sparsity(_machine(), in_phase(_problem(), phase), design)
    return design


def _read_constraints(path: Path) -> Any:
    load_constraints(path)
    rules = load_constraints(path, _machine(), _problem())
    make_rules(rules, _machine(), _problem(), np.ones((len(_problem().dimensions), 1), np.int64))
    return rules


def _read_network(path: Path) -> Any:
    network = load_network(path)
    written = path.with_name("written.yaml")
    written.write_text(network.to_yaml(), encoding="utf-8")
    assert load_network(written) == network, "what is written is not what is read"
    return network


def _read_shape(path: Path) -> Any:
    shape = load_shape(path)
    dimensions = dict.fromkeys(shape.dimensions, 2)
    load_problem({"problem": {"name": "x", "shape": str(path), "dimensions": dimensions}})
    plain = [one.name for one in dataclasses.fields(shape) if one.name not in ("document", "tensors")]
    tensors = [
        (tensor.name, [rank.expression.text for rank in tensor.projections], tensor.is_output, tensor.role)
        for tensor in shape.tensors
    ]
    return [getattr(shape, name) for name in plain], tensors


def _read_sweep(path: Path) -> Any:
    written = load_sweep(path)
    plan_sweep(written, check_only=True)
    return written


def _read_problem(path: Path) -> Any:
    problem = load_problem(path)
    lower_dense(load_architecture("simple_3level"), problem)
    return problem


def _read_density(network: str | None) -> Read:
    def read(path: Path) -> Any:
        profile = load_density(path)
        if network is not None:
            profile_densities(_network(network), profile)
        return profile

    return read


def _read_mapping(name: str) -> Read:
    machine = load_architecture(name.split("/", maxsplit=1)[0])
    problem = next(load_problem(work) for work in list_shipped("problem") if _fits(name, machine, work))

    def read(path: Path) -> Any:
        from procrustes_model.cli.mapping_alone import check_mapping_alone

        mapping = load_mapping(path, machine, problem)
        check_mapping_alone(path)
        return mapping

    return read


def _fits(mapping: str, machine: Architecture, work: str) -> bool:
    try:
        load_mapping(mapping, machine, load_problem(work))
    except SpecError:
        return False
    return True


_READERS: dict[str, Read] = {
    "architecture": _read_architecture,
    "problem": _read_problem,
    "shape": _read_shape,
    "sparsity": _read_sparsity,
    "constraints": _read_constraints,
    "network": _read_network,
    "density": _read_density(None),
    "schedule": load_schedule,
    "rules": load_rules,
    "sweep": _read_sweep,
}


def specifications() -> Iterator[Subject]:
    """Yield every YAML file that ships, and samples of what does not."""
    for kind in KINDS:
        for name in list_shipped(kind):
            read = _READERS.get(kind)
            if kind == "mapping":
                read = _read_mapping(name)
            elif kind == "density":
                read = _read_density(name)
            assert read is not None
            yield Subject(name, kind, ".yaml", resolve(kind, name).read_bytes(), read, _FREE.get(kind, ()))
    for kind, text in SAMPLES.items():
        yield Subject(f"sample of {kind}", kind, ".yaml", text.encode(), _READERS[kind], _FREE.get(kind, ()))


def _read_case(path: Path) -> Any:
    try:
        return CaseRecord.from_json(path.read_text(encoding="utf-8"), str(path))
    except ValueError as error:  # a run says so of the file, and searches the case again
        raise SpecError(str(error)) from None


def sealed(content: dict[str, Any]) -> bytes:
    """Return the content of a case as JSON with a checksum that fits."""
    data = {key: value for key, value in content.items() if key != CHECKSUM}
    try:
        data[CHECKSUM] = checksum(data)
    except ValueError:
        data[CHECKSUM] = ""
    return json.dumps(data, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")


def runs(folder: Path) -> Iterator[Subject]:
    """Yield the files of a small run of a network, made in a folder."""
    from procrustes_model.network.result import load_run
    from procrustes_model.network.run import run_network

    layers = [{"name": "first", "kind": "fully_connected", "input_channels": 2, "channels": 4}]
    run_network(
        "simple_3level", {"network": {"name": "tiny", "layers": layers}}, phases="fw", workers=1, out=folder
    )
    (case,) = (folder / "cases").iterdir()
    yield Subject("a case", "case", ".json", case.read_bytes(), _read_case)

    def read(path: Path) -> Any:
        place = path.with_name("run")
        shutil.copytree(folder / "cases", place / "cases", dirs_exist_ok=True)
        shutil.copy(path, place / "run.json")
        return load_run(place)

    yield Subject("a run", "run", ".json", (folder / "run.json").read_bytes(), read)


def arrays(folder: Path) -> Iterator[Subject]:
    """Yield masks, files of masks and checkpoints, as far as what writes them is installed."""
    from procrustes_model.model.sparse.masks import read_mask
    from procrustes_model.training.checkpoints import masks_from_checkpoint
    from procrustes_model.training.masks import load_mask_densities, load_masks, save_masks
    from procrustes_model.training.operand_masks import OperandMasks
    from procrustes_model.training.recorded_operands import load_operands

    work = load_problem({"problem": {"name": "x", "shape": "matmul", "dimensions": {"M": 4, "K": 6, "N": 2}}})
    mask = np.arange(24).reshape(4, 6) % 3 == 0
    saves: dict[str, Callable[[Any], None]] = {
        ".npy": lambda file: np.save(file, mask),
        ".npz": lambda file: np.savez(file, A=mask),
    }
    for suffix, save in saves.items():
        buffer = io.BytesIO()
        save(buffer)
        yield Subject(
            f"mask{suffix}", "mask", suffix, buffer.getvalue(), lambda path: read_mask(path, work, "A")
        )
    kept = np.where(mask, 1.5, 0.0).astype(np.float32)
    weights: dict[str, Any] = {"first.weight": kept, "first.bias": np.zeros(4, np.float32)}

    def take(path: Path) -> Any:
        return masks_from_checkpoint(path, path.with_name("masks.npz"))

    checkpoints: dict[str, Callable[[Path], None]] = {".npz": lambda path: np.savez(path, **weights)}
    if importlib.util.find_spec("torch"):
        import torch

        state = {name: torch.from_numpy(array) for name, array in weights.items()}
        checkpoints[".pt"] = lambda path: torch.save(state, path)
    (folder / "weights.safetensors").write_bytes(_safetensors(weights))
    for suffix, write in checkpoints.items():
        write(folder / f"weights{suffix}")
    for suffix in (*checkpoints, ".safetensors"):
        path = folder / f"weights{suffix}"
        yield Subject(f"checkpoint{suffix}", "checkpoint", suffix, path.read_bytes(), take)
    plain = take(folder / "weights.npz")
    seen = OperandMasks(mask[np.newaxis], np.array([True]))
    operands = {("backward", "weights"): seen, ("forward", "inputs"): seen}
    save_masks(
        folder / "masks.npz",
        dataclasses.replace(plain, layers=(dataclasses.replace(plain.layers[0], operands=operands),)),
    )

    def read(path: Path) -> Any:
        load_mask_densities(path)
        load_operands(path, phase="backward")
        return load_masks(path)

    yield Subject("file of masks", "masks", ".npz", (folder / "masks.npz").read_bytes(), read)


def _safetensors(arrays: dict[str, Any]) -> bytes:
    """Return arrays of float32 as the format holds them: a header of offsets, then the numbers."""
    header, body = {}, b""
    for name, array in arrays.items():
        ends = [len(body), len(body) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": ends}
        body += array.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def models() -> Iterator[Subject]:
    """Yield an ONNX file, where onnx is installed."""
    if not importlib.util.find_spec("onnx"):
        return
    import onnx
    from onnx import TensorProto, helper

    from procrustes_model.workloads.from_onnx import network_from_onnx

    def weights(name: str, *shape: int) -> Any:
        return helper.make_tensor(name, TensorProto.FLOAT, shape, np.zeros(shape, np.float32).ravel())

    nodes = [
        helper.make_node(
            "Conv", ["x", "conv.weight"], ["a"], name="conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]
        ),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "fc.weight"], ["y"], name="fc", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 5])],
        [weights("conv.weight", 4, 3, 3, 3), weights("fc.weight", 5, 4)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert isinstance(model, onnx.ModelProto)
    yield Subject("model.onnx", "onnx", ".onnx", model.SerializeToString(), network_from_onnx)


def subjects(folder: Path, kinds: tuple[str, ...] | None = None) -> list[Subject]:
    """Return what is damaged, of some kinds or of all; `folder` holds what has to be made for it."""
    found = list(specifications())
    for made, names in ((runs, ("case", "run")), (arrays, ("mask", "masks", "checkpoint"))):
        if kinds is None or set(names) & set(kinds):
            place = folder / made.__name__
            place.mkdir(parents=True)
            found += made(place)
    if kinds is None or "onnx" in kinds:
        found += models()
    return [one for one in found if kinds is None or one.kind in kinds]
