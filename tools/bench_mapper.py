"""Searches beside what timeloop-mapper found: quality, proof, time, memory.

Usage: python tools/bench_mapper.py [BASELINE.json] [--seconds S] [--sweep|--fronts|--networks] [--only TEXT]
       python tools/bench_mapper.py --training NETWORK,... [--published] [--every N] [--seconds S]

Without --sweep, the layers of the baseline (tests/data/mapper_baseline.json) are searched for the least EDP
and the least energy, and printed beside the best mapping of the baseline. With --sweep, awkward layers and
every different layer of ResNet-18 and ResNet-50 are searched, each in a process of its own, so that memory
can be told. With --fronts, the front of energy against cycles of some layers is found beside a search for
the least EDP and one for the least energy: processor time, one thread, and the ratio of the two. With
--networks, every different layer of some networks is searched for the least EDP, at batch 64, forward, on
procrustes_16x16: processor time, one thread. With
--training, every different layer of networks is searched in all phases, sparse and dense, batch 64, dataflow
KN, by this model's own rules or the published ones: processor time of one thread, how many are proven, and
how many shortest paths left to partial mappings.
A first search of a tiny layer compiles the kernels and is not counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from procrustes_model.mapper.pareto import find_pareto_front
from procrustes_model.mapper.search import search
from procrustes_model.mapper.task import compile_kernels
from procrustes_model.network.case import Case
from procrustes_model.network.plan import make_plan
from procrustes_model.network.request import RunRequest
from procrustes_model.network.work import load_work, states_of
from procrustes_model.processors import count_processors
from procrustes_model.reproduction.study import load_study
from procrustes_model.spec.load import load_architecture, load_network, load_problem
from procrustes_model.spec.problem import Problem
from procrustes_model.vocabulary import Phase
from procrustes_model.workloads.layer import training_problem

BASELINE = Path(__file__).parent.parent / "tests" / "data" / "mapper_baseline.json"
NAMES = ("R", "S", "P", "Q", "C", "K", "N")
CONVOLUTIONS = {
    "alexnet_conv1_11x11_n16": (11, 11, 55, 55, 3, 96, 16),
    "fc_147_1000_n256": (1, 1, 1, 1, 147, 1000, 256),
    "fc_2048_1000_n1": (1, 1, 1, 1, 2048, 1000, 1),
    "conv1x1_n1": (1, 1, 14, 14, 1024, 256, 1),
    "conv1x1_n256": (1, 1, 14, 14, 1024, 256, 256),
    "conv3x3_7x7_n1": (3, 3, 7, 7, 512, 512, 1),
    "conv3x3_7x7_n256": (3, 3, 7, 7, 512, 512, 256),
    "conv3x3_53x53_61_67_n1": (3, 3, 53, 53, 61, 67, 1),
}
OBJECTIVES: tuple[Literal["edp", "energy"], ...] = ("edp", "energy")
NETWORKS = ("resnet50", "mobilenet_v2", "vgg16", "gpt2_small_block")
MACHINES = ("procrustes_16x16", "eyeriss_like")


def _problem(name: str, **content: Any) -> Problem:
    return load_problem({"problem": {"name": name, "shape": "conv", **content}})


def list_sweep() -> Iterator[tuple[str, Problem]]:
    """Yield a machine and a problem, awkward ones first."""
    for name, bounds in CONVOLUTIONS.items():
        stride = 4 if name.startswith("alexnet") else 1
        dimensions = dict(zip(NAMES, bounds, strict=True))
        strides = {"stride_h": stride, "stride_w": stride}
        problem = _problem(name, dimensions=dimensions, coefficients=strides)
        for machine in MACHINES if name in ("fc_147_1000_n256", "conv3x3_7x7_n1") else MACHINES[:1]:
            yield machine, problem
    for size in (512, 4096):
        cube = dict.fromkeys("MKN", size)
        yield MACHINES[0], _problem(f"matmul_{size}", shape="matmul", dimensions=cube)
    for network, batch in (("mobilenet_v2", 16), ("resnet18", 16), ("resnet50", 64)):
        spec = load_network(network)
        for layer in spec.distinct:
            if network == "mobilenet_v2" and "dw" not in layer.name and "depth" not in layer.name:
                continue
            yield MACHINES[0], training_problem(layer, Phase.FORWARD, batch=batch, network=network)


def _search_alone(given: tuple[str, Problem, float]) -> tuple[Any, float, float]:
    """Search in a process of its own; return what was found, seconds, and the peak of memory in GB."""
    machine, problem, seconds = given
    architecture = load_architecture(machine)
    search(architecture, _problem("tiny", dimensions=dict.fromkeys(NAMES, 2)))
    begun = time.perf_counter()
    found = search(architecture, problem, seconds=seconds)
    spent = time.perf_counter() - begun
    return found, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _sweep(seconds: float, only: str) -> None:
    print(f"{'layer':44} {'machine':16} {'J x cycles':>12} {'proof':>10} {'seconds':>8} {'GB':>6}")
    slow, large, worst = 0, 0, 0.0
    for machine, problem in list_sweep():
        if only not in problem.name:
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found, spent, memory = pool.apply(_search_alone, ((machine, problem, seconds),))
        certificate = found.certificate
        proof = "proven" if certificate.proven else f"gap {certificate.gap:.1%}"
        slow, large, worst = slow + (spent > 10), large + (memory > 2), max(worst, spent)
        value = found.result.edp_j_cycles
        print(
            f"{problem.name:44} {machine:16} {value:12.5g} {proof:>10} {spent:8.2f} {memory:6.2f}", flush=True
        )
    print(f"slower than 10 s: {slow}; more than 2 GB: {large}; longest {worst:.1f} s")


def list_fronts() -> Iterator[tuple[str, Problem]]:
    """Yield a machine and a problem whose front is found beside single searches."""
    kinds = {"conv3x3": (3, 3, 14, 14, 256, 256, 16), "conv1x1": (1, 1, 14, 14, 1024, 256, 16)}
    kinds |= {"fc": (1, 1, 1, 1, 512, 1000, 16), "small": (3, 3, 8, 8, 16, 16, 4)}
    for name, bounds in kinds.items():
        problem = _problem(name, dimensions=dict(zip(NAMES, bounds, strict=True)))
        for machine in (*MACHINES, "tpu_like"):
            yield machine, problem


def _compare_fronts(seconds: float, only: str) -> None:
    first = f"{'layer':10} {'machine':16} {'points':>6} {'proof':>10} {'front [s]':>10}"
    print(f"{first} {'EDP [s]':>8} {'ratio':>6} {'energy [s]':>10} {'ratio':>6}")
    for machine, problem in list_fronts():
        if only not in f"{problem.name} {machine}":
            continue
        spent = []
        for objective in OBJECTIVES:
            begun = time.process_time()
            search(machine, problem, objective=objective, seconds=seconds, threads=1)
            spent.append(time.process_time() - begun)
        begun = time.process_time()
        front = find_pareto_front(machine, problem, seconds=seconds, threads=1)
        took, (edp, energy) = time.process_time() - begun, spent
        proven = sum(point.certificate.proven for point in front)
        proof = "proven" if proven == len(front) else f"{proven} proven"
        print(
            f"{problem.name:10} {machine:16} {len(front):>6} {proof:>10} {took:>10.2f} {edp:>8.2f}"
            f" {took / edp:>6.2f} {energy:>10.2f} {took / energy:>6.2f}",
            flush=True,
        )


def list_training(networks: str, published: bool) -> Iterator[tuple[str, Case]]:
    """Yield the searches of networks in training, with what each is of."""
    designs = ("procrustes_2020", "dense_2020") if published else ("procrustes", "dense")
    profiles = {subject.network: subject.density for subject in load_study().subjects}
    for network in networks.split(","):
        request = RunRequest(
            MACHINES[0],
            load_network(network),
            batch=64,
            dataflow="KN",
            sparsity=designs[0],
            baseline=designs[1],
            profile=profiles.get(network),
            as_published=published,
        )
        work = load_work(request)
        plan, seen = make_plan(work, states_of(work)), set()
        for entry in plan.entries:
            if entry.key not in seen:
                seen.add(entry.key)
                yield f"{network}/{entry.layer} {entry.phase} {entry.design}", plan.cases[entry.key]


def _train(networks: str, published: bool, every: int, seconds: float, only: str) -> None:
    print(f"{'layer':66} {'J x cycles':>12} {'proof':>12} {'from':>6} {'seconds':>8} {'measured':>9}")
    total, times, proven, labels = 0, 0.0, 0, 0
    cases = [row for row in list_training(networks, published) if only in row[0]][::every]
    for sparse in sorted({case.zeros is not None for _, case in cases}):
        compile_kernels(sparse=sparse)
    for name, case in cases:
        begun = time.process_time()
        found = search(
            case.architecture,
            case.problem,
            case.constraints,
            case.objective,
            **({} if case.zeros is None else case.zeros.arguments()),
            seconds=seconds,
            threads=1,
        )
        spent, certificate = time.process_time() - begun, found.certificate
        total, times, proven = total + 1, times + spent, proven + certificate.proven
        labels += certificate.proof == "labels"
        proof = "proven" if certificate.proven else f"gap {certificate.gap:.2%}"
        print(
            f"{name:66} {certificate.value * 1e-12:12.5g} {proof:>12} {certificate.proof:>6} {spent:8.2f}"
            f" {certificate.measured:9,}",
            flush=True,
        )
    print(f"{total} searches, {proven / total:.1%} proven, {times:.1f} s of processor time")
    print(f"left to partial mappings: {labels / total:.1%}")


def _search_networks(seconds: float, only: str) -> None:
    for network in NETWORKS:
        spent, slow, unproven = [], [], 0
        for layer in load_network(network).distinct:
            problem = training_problem(layer, Phase.FORWARD, batch=64, network=network)
            if only not in problem.name:
                continue
            begun = time.process_time()
            found = search(MACHINES[0], problem, seconds=seconds, threads=1)
            spent.append(time.process_time() - begun)
            unproven += not found.certificate.proven
            if spent[-1] > 1:
                slow.append(f"{layer.name} {spent[-1]:.2f} s")
        if spent:
            print(
                f"{network:18} {len(spent)} layers in {sum(spent):.1f} s, longest {max(spent):.2f} s,"
                f" {unproven} unproven; above 1 s: {', '.join(slow) or 'none'}",
                flush=True,
            )


def _compare(path: Path, seconds: float) -> None:
    print("EDP in J x cycles, energy in uJ; ratio: baseline / found, above 1 is better than the baseline")
    print(
        f"{'layer':20} {'aim':6} {'EDP':>12} {'baseline':>12} {'ratio':>6} {'energy':>12} {'baseline':>12}"
        f" {'ratio':>6} {'seconds':>8} {'mappings/s':>10}  proof"
    )
    for layer in json.loads(path.read_text())["layers"]:
        problem, best = (
            _problem(layer["name"], dimensions=layer["dimensions"]),
            layer["best_edp_mapping_found"],
        )
        for objective in OBJECTIVES:
            begun = time.perf_counter()
            found = search("procrustes_16x16", problem, objective=objective, seconds=seconds)
            spent = time.perf_counter() - begun
            edp, energy = found.result.edp_j_cycles, found.result.energy_pj * 1e-6
            proof = "proven" if found.certificate.proven else f"gap {found.certificate.gap:.2%}"
            print(
                f"{layer['name']:20} {objective:6} {edp:12,.1f} {best['edp_j_cycles']:12,.1f}"
                f" {best['edp_j_cycles'] / edp:6.2f} {energy:12,.1f} {best['energy_uj']:12,.1f}"
                f" {best['energy_uj'] / energy:6.2f} {spent:8.2f} {found.certificate.measured / spent:10,.0f}"
                f"  {proof}",
                flush=True,
            )


def _report_rate() -> None:
    bounds = dict(zip(NAMES, (3, 3, 7, 7, 256, 256, 16), strict=True))
    problem, begun = _problem("vgg", dimensions=bounds), time.process_time()
    found = search("procrustes_16x16", problem, method="random", mappings=1_000_000, threads=1)
    spent = time.process_time() - begun
    print(f"random, 1 thread: {found.certificate.measured / spent:,.0f} valid mappings per second of CPU")


def main() -> None:
    """Run all layers and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("baseline", nargs="?", type=Path, default=BASELINE)
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of each search")
    parser.add_argument("--sweep", action="store_true", help="awkward layers, ResNet-18 and ResNet-50")
    parser.add_argument("--fronts", action="store_true", help="fronts beside single searches")
    parser.add_argument("--networks", action="store_true", help="every layer of some networks")
    parser.add_argument("--only", default="", metavar="TEXT", help="layers of these whose name has TEXT")
    parser.add_argument("--training", metavar="NETWORKS", help="searches of networks in training")
    parser.add_argument("--published", action="store_true", help="by the published rules")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one of N searches")
    given = parser.parse_args()
    if given.training:
        _train(given.training, given.published, given.every, given.seconds, given.only)
        return
    begun = time.perf_counter()
    search("procrustes_16x16", _problem("tiny", dimensions=dict.fromkeys(NAMES, 2)))
    print(f"first search, kernels compiled or loaded: {time.perf_counter() - begun:.1f} s")
    print(f"{count_processors()} processors")
    if given.networks:
        _search_networks(given.seconds, given.only)
        return
    if given.fronts:
        _compare_fronts(given.seconds, given.only)
        return
    if given.sweep:
        _sweep(given.seconds, given.only)
        return
    _compare(given.baseline, given.seconds)
    _report_rate()
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
