"""What a search knows of a problem on a machine, as arrays."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Floats, Ints, MachineArrays, ProblemArrays
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED, SLIDING, Columns, Model
from procrustes_model.model.design import Design
from procrustes_model.vocabulary import Compute, Price, Topology


def _coefficients(problem: ProblemArrays) -> Ints:
    tensors, dimensions = problem.rank.shape
    most = int(np.diff(problem.rank_start).max())
    matrix = np.zeros((tensors, max(most, 1), dimensions), np.int64)
    for t in range(tensors):
        for r, rank in enumerate(range(problem.rank_start[t], problem.rank_start[t + 1])):
            for term in range(problem.term_start[rank], problem.term_start[rank + 1]):
                matrix[t, r, problem.term_dimension[term]] += problem.term_coefficient[term]
    return matrix


def _columns(levels: int, tensors: int) -> Columns:
    shared, home, fresh, whole, part, step, run, traffic = (3 + i * tensors for i in range(8))
    path = traffic + 2 * levels
    order = path + 2 * levels
    return Columns(shared, home, fresh, whole, part, step, run, traffic, path, order, width=order + levels)


def word_prices(machine: MachineArrays, energy: Floats, served: Floats) -> Floats:
    """Return the least pJ per element that is read, filled, updated, float64[L, T, 3].

    Parameters
    ----------
    machine : MachineArrays
    energy : float64[L, T, 3]
        Of a pack of elements.
    served : float64[L, T, 3]
        That components spend per element.
    """
    most = np.concatenate(([1], machine.fanout.prod(axis=1).cumprod()))[:-1]
    # Of the instances that share a port, all but one may come for nothing.
    charged = np.minimum(1.0, machine.ports / most)[:, None, None]
    return np.asarray(energy / machine.pack[:, :, None] * charged + served)


_LEAST_HOPS = {Topology.LINK: 1.0, Topology.BUS: 1.0, Topology.MESH: 0.5, Topology.CROSSBAR: 1.0}
"""Hops that a word takes at least; in a tree it may take none."""


def least_tolls(machine: MachineArrays) -> Floats:
    """Return the least pJ that the network below a level spends per bit, float64[L]."""
    wires = machine.wires
    hops = [_LEAST_HOPS.get(Topology(code), 0.0) if code >= 0 else 0.0 for code in wires.topology]
    return np.asarray(wires.enter + wires.hop * np.array(hops))


def least_wires(machine: MachineArrays, output: int, bits: Floats) -> Floats:
    """Return the least pJ that networks spend per element that a level reads or updates, float64[L, T, 3].

    Parameters
    ----------
    machine : MachineArrays
    output : int
        The tensor that is written.
    bits : float64[L, T, 2]
        That an element read, or updated, puts on them at least.
    """
    least = np.zeros((*machine.bits.shape, 3))
    least[:, :, [Price.READ, Price.UPDATE]] = bits * least_tolls(machine)[:, None, None]
    least[~machine.wires.sums_return, output, Price.READ] = 0.0
    return least


def _pack_drains(machine: MachineArrays, output: Bools) -> bool:
    """Say whether sums that are read on their way up share accesses with other words."""
    return bool((machine.pack[machine.drains][:, output] > 1).any())


def make_model(design: Design, least_units: int) -> Model:
    """Return what a search knows of a design, with the prices of the dense machine.

    Parameters
    ----------
    design : Design
    least_units : int
        Compute units that a mapping uses at least.
    """
    problem, machine = design.problem, design.machine
    coefficient, mesh = _coefficients(problem), machine.fanout.prod(axis=1).tolist()
    kind = np.where(problem.skewed, SKEWED, np.where(problem.sliding, SLIDING, SIMPLE)).astype(np.int64)
    output = np.arange(len(kind)) == problem.output
    price = machine.price[:, :, : Price.UPDATE + 1] * machine.split[:, :, None]
    scale, bits = machine.scale.astype(float), machine.bits.astype(float)
    moved = np.stack((scale, scale, bits, bits), axis=2)
    wires = least_wires(machine, problem.output, moved[:, :, 2:])
    timed = bool(np.isfinite(machine.wires.bits_per_cycle).any()) or len(machine.rates.per_cycle) > 0
    return Model(
        problem=problem,
        machine=machine,
        coefficient=coefficient,
        output=output,
        kind=kind,
        irrelevant=np.asarray(~coefficient.any(axis=1)),
        bounds=problem.bounds,
        computes=problem.computes,
        pack=machine.pack,
        energy=price,
        served=machine.served,
        word=word_prices(machine, price, machine.served) + wires,
        whole=True,
        moved=moved,
        work=machine.cycles_per_compute,
        uneven=False,
        bandwidth=machine.bandwidth,
        limited=bool(np.isfinite(machine.bandwidth).any()),
        rules=design.rules,
        # Fewer units have no fewer tiles of the array to fill and drain; what fills a level is not compared.
        exact=not (
            timed or machine.waits.serial.any() or machine.through.any() or _pack_drains(machine, output)
        ),
        base=problem.computes * (float(machine.compute_price[Compute.DONE]) + machine.served_compute),
        least_units=least_units,
        rough=np.array([math.prod(mesh[: max(level - 1, 0)]) > 1 for level in range(len(mesh))]),
        columns=_columns(*machine.pack.shape),
    )
