"""Pieces of work that any commit of this project can do, and a process that does them on demand.

python tools/bench_work.py CHECKOUT

reads names of `WORKS` from standard input, one a line, and answers each with the processor time that it took,
in seconds; `bench_commits.py` runs one such process per commit. Only the public names of `procrustes_model`
are used, and where they changed between commits, both are tried.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import procrustes_model
from procrustes_model import (
    evaluate_batch,
    load_architecture,
    load_problem,
    load_sparsity,
    run_network,
    search,
)

if TYPE_CHECKING:
    from procrustes_model import Architecture, Problem

Work = Callable[[], object]


class Nests(NamedTuple):
    """Mappings as `evaluate_batch` takes them."""

    temporal: np.ndarray
    order: np.ndarray
    spatial: np.ndarray
    keep: np.ndarray


def prime_factors(number: int) -> list[int]:
    """Return the prime factors of `number`, smallest first."""
    factors, prime = [], 2
    while number > 1:
        while number % prime == 0:
            factors.append(prime)
            number //= prime
        prime += 1
    return factors


def random_nests(architecture: Architecture, problem: Problem, mappings: int, seed: int = 0) -> Nests:
    """Draw mappings: every prime factor of every bound in a random slot, every loop order equally likely.

    The slots are the temporal loops of every level, and the spatial ones where the machine fans out.
    """
    rng = np.random.default_rng(seed)
    levels, dimensions = len(architecture.levels), len(problem.dimensions)
    slots = np.ones((mappings, levels, 3, dimensions), np.int64)
    fans = [level for level in range(levels) if architecture.fanout(level) != (1, 1)]
    places = [(level, 0) for level in range(levels)] + [(level, axis) for level in fans for axis in (1, 2)]
    level_of, kind_of = np.array(places).T
    row = np.arange(mappings)
    for d, bound in enumerate(problem.dimensions.values()):
        for factor in prime_factors(bound):
            slot = rng.integers(0, len(places), mappings)
            slots[row, level_of[slot], kind_of[slot], d] *= factor
    return Nests(
        temporal=np.ascontiguousarray(slots[:, :, 0]),
        order=np.argsort(rng.random((mappings, levels, dimensions)), axis=2),
        spatial=np.ascontiguousarray(slots[:, :, 1:]),
        keep=np.ones((mappings, levels, len(problem.tensors)), np.bool_),
    )


def shorten_last_passes(nests: Nests, dimension: int, bound: int) -> tuple[Nests, np.ndarray]:
    """Return mappings of a larger bound as mappings of this one, and the factors of their last passes.

    Parameters
    ----------
    nests : Nests
        Whose factors of the dimension, spread ones included, multiply to at least `bound`.
    dimension : int
        Its loops become temporal, since only those may be shorter in the last pass.
    bound : int

    Returns
    -------
    (Nests, int64[N, L, D])
    """
    temporal, spatial = nests.temporal.copy(), nests.spatial.copy()
    temporal[:, :, dimension] *= spatial[:, :, :, dimension].prod(axis=2)
    spatial[:, :, :, dimension] = 1
    last = temporal.copy()
    # The last passes are the digits of the last index, to the base of the factors, plus one.
    rest = np.full(len(temporal), bound - 1)
    for level in range(temporal.shape[1] - 1, -1, -1):
        factor = temporal[:, level, dimension]
        last[:, level, dimension] = rest % factor + 1
        rest //= factor
    outermost = np.ones(len(temporal), np.bool_)
    for level in range(temporal.shape[1]):
        factor = np.where(outermost, last[:, level, dimension], temporal[:, level, dimension])
        temporal[:, level, dimension] = factor
        outermost &= factor == 1
    return nests._replace(temporal=temporal, spatial=spatial), last


def roomy_machine() -> Architecture:
    """Return three levels with an array below the second that any mapping fits, so that all are evaluated."""
    energy = {"read": 2.0, "write": 2.5}
    level = {
        "class": "memory",
        "word_bits": 16,
        "words_per_access": 2,
        "energy_pj": energy,
        "source": "benchmark",
    }
    levels = [{"name": name} | level for name in ("DRAM", "Buffer", "Registers")]
    compute = {"energy_pj": 1, "source": "benchmark"}
    wide = load_architecture({"architecture": {"name": "bench", "levels": levels, "compute": compute}})
    far, buffer, registers = wide.levels
    registers = registers.model_copy(update={"mesh_x": 2**31, "mesh_y": 2**31})
    return wide.model_copy(update={"levels": (far, buffer, registers)})


def roomy_procrustes() -> Architecture:
    """Return the machine of Procrustes with room for any mapping."""
    machine = load_architecture("procrustes_16x16")
    roomy = {"mesh_x": 2**31, "mesh_y": 2**31, "capacity_words": None}
    levels = [level.model_copy(update={"capacity_words": None}) for level in machine.levels[:-1]]
    return machine.model_copy(update={"levels": (*levels, machine.levels[-1].model_copy(update=roomy))})


def convolution(**bounds: int) -> Problem:
    """Return a 3x3 convolution with a batch of 16 and these other bounds."""
    dimensions = {"R": 3, "S": 3, "P": 7, "Q": 7, "C": 64, "K": 64, "N": 16} | bounds
    return load_problem({"problem": {"name": "convolution", "shape": "conv", "dimensions": dimensions}})


def sparse_evaluator(
    machine: Architecture, problem: Problem, sparsity: object, **zeros: object
) -> Callable[..., Any]:
    """Return a function that evaluates arrays of mappings with zeros, from whichever API there is."""
    evaluator = getattr(procrustes_model, "Evaluator", None)
    if evaluator is not None:
        made: Callable[..., Any] = evaluator(machine, problem, sparsity=sparsity, **zeros).evaluate_batch
        return made
    prepare: Any = getattr(procrustes_model, "prepare_sparse")  # noqa: B009 - of older commits only
    prepared: Callable[..., Any] = prepare(machine, problem, sparsity, **zeros).evaluate
    return prepared


def _checked(evaluate: Callable[[], Any]) -> Work:
    """Return the work, once it has been done and found to have evaluated every mapping."""
    if not np.all(evaluate().valid):
        raise RuntimeError("a drawn mapping was not evaluated")
    return evaluate


def _dense(mappings: int = 100_000) -> Work:
    machine, problem = roomy_machine(), convolution(P=14, Q=14, C=256, K=256)
    nests = random_nests(machine, problem, mappings)
    return _checked(lambda: evaluate_batch(machine, problem, *nests))


def _imperfect(mappings: int = 5_000) -> Work:
    machine, problem = roomy_machine(), convolution(P=14)
    drawn = random_nests(machine, convolution(P=16), mappings)
    nests, last = shorten_last_passes(drawn, list(problem.dimensions).index("P"), 14)
    return _checked(lambda: evaluate_batch(machine, problem, *nests, last=last))


def _sparse(mappings: int = 20_000) -> Work:
    machine, problem = roomy_procrustes(), convolution(C=512, K=512)
    nests = random_nests(machine, problem, mappings)
    evaluate = sparse_evaluator(machine, problem, load_sparsity("procrustes"))
    return _checked(lambda: evaluate(*nests))


def _search(**options: Any) -> Work:
    problem = convolution(C=16, K=16, N=4)
    return lambda: search("procrustes_16x16", problem, "dataflow_kn", threads=1, **options)


def _network() -> Work:
    conv = {"name": "first", "kind": "conv", "channels": 16, "kernel": 3, "padding": 1}
    layers = [conv, {"name": "last", "kind": "fully_connected", "channels": 10}]
    size = {"channels": 8, "height": 8, "width": 8}
    network = {"network": {"name": "small", "input": size, "layers": layers}}
    options: dict[str, Any] = {"batch": 16, "dataflow": "KN", "sparsity": "procrustes", "baseline": "dense"}
    return lambda: run_network("procrustes_16x16", network, workers=1, seconds=None, **options)


WORKS: dict[str, Callable[[], Work]] = {
    "evaluate_batch dense": _dense,
    "evaluate_batch imperfect": _imperfect,
    "evaluate_batch sparse": _sparse,
    "search dense": _search,
    "search sparse": lambda: _search(sparsity="procrustes"),
    "network": _network,
}
"""By name, what prepares a piece of work. All of it runs in one thread, and searches go to their end."""


def processor_time(work: Work) -> float:
    """Do a piece of work and return the processor time that it took, in seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def serve() -> None:
    """Do pieces of work by name; the first of each is prepared, and done once more to warm up."""
    package = Path(str(procrustes_model.__file__)).resolve().parent.parent
    if package != Path(sys.argv[1]).resolve():
        raise SystemExit(f"procrustes_model comes from {package}, not from {sys.argv[1]}")
    answers, sys.stdout = sys.stdout, sys.stderr
    ready: dict[str, Work] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in ready:
            ready[name] = WORKS[name]()
            ready[name]()
        print(processor_time(ready[name]), file=answers, flush=True)


if __name__ == "__main__":
    serve()
