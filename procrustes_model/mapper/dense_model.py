"""What a search knows of a problem on a machine, as arrays."""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.dense.arrays import Ints, ProblemArrays
from procrustes_model.kernels.search.arrays import SIMPLE, SKEWED, SLIDING, Columns, Model
from procrustes_model.model.design import Design
from procrustes_model.vocabulary import Compute, Price


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
        word=price / machine.pack[:, :, None] + machine.served,
        whole=True,
        moved=np.repeat(machine.scale[:, :, None], 2, axis=2),
        work=1.0,
        uneven=False,
        bandwidth=machine.bandwidth,
        limited=bool(np.isfinite(machine.bandwidth).any()),
        rules=design.rules,
        base=problem.computes * (float(machine.compute_price[Compute.DONE]) + machine.served_compute),
        least_units=least_units,
        rough=np.array([math.prod(mesh[: max(level - 1, 0)]) > 1 for level in range(len(mesh))]),
        columns=_columns(*machine.pack.shape),
    )
