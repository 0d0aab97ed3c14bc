"""Energy and cycles of what is left to do: what sparse designs add to `kernels.dense.cost`."""

from __future__ import annotations

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    BALANCING,
    COMPONENTS,
    COMPUTING,
    DONE,
    GATED_COMPUTE,
    METADATA,
    METADATA_GATED,
    METADATA_SKIPPED,
    READ,
    SAVED,
    SKIPPED_COMPUTE,
    UPDATE,
    Bools,
    CostArrays,
    Floats,
    Ints,
    MachineArrays,
    ProblemArrays,
    Room,
    RuleArrays,
)
from procrustes_model.kernels.dense.cost import (
    add_up,
    add_waits,
    charge_components,
    charge_words,
    count_component_cycles,
    count_cycles,
)
from procrustes_model.kernels.dense.rounding import count_packs, round_up
from procrustes_model.kernels.dense.wires import charge_wires
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.arrays import BalanceArrays, SparseCountArrays, UseArrays


@kernel
def charge_saved(
    machine: MachineArrays, instances: Ints, counts: SparseCountArrays, costs: CostArrays
) -> None:
    """Charge accesses that are gated or skipped, where a level has a price for them.

    Parameters
    ----------
    machine : MachineArrays
    instances : int64[N, L + 1]
    counts : SparseCountArrays
    costs : CostArrays
        `saved` is filled in; `total` grows.
    """
    mappings, levels, tensors, _, _ = costs.saved.shape
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                for kind in range(2):
                    words = counts.gated[n, level, t] if kind == 0 else counts.skipped[n, level, t]
                    spent = costs.saved[n, level, t, kind]
                    spent[:] = 0.0
                    for action in (READ, UPDATE):
                        price = machine.price[level, t, SAVED + 3 * kind + action]
                        if price == 0:
                            continue
                        packs = machine.split[level, t] * count_packs(
                            words[action], machine.pack[level, t], False
                        )
                        used = min(instances[n, level], machine.ports[level])
                        spent[action] = used * price * packs
                        costs.total[n] += spent[action]


@kernel
def charge_saved_metadata(
    machine: MachineArrays, instances: Ints, counts: SparseCountArrays, costs: CostArrays
) -> None:
    """Charge metadata of gated and skipped accesses at their own prices, where a level has some.

    Parameters
    ----------
    machine : MachineArrays
    instances : int64[N, L + 1]
    counts : SparseCountArrays
    costs : CostArrays
        With `metadata` at the price of what is done; changes, as `total` does.
    """
    mappings, levels, tensors, _ = costs.metadata.shape
    for n in range(mappings):
        for level in range(levels):
            used, pack = min(instances[n, level], machine.ports[level]), machine.metadata.pack[level]
            for t in range(tensors):
                for action in range(3):
                    price = machine.price[level, t, METADATA + action]
                    own = machine.price[level, t, METADATA_GATED + action]
                    gated = counts.gated_metadata[n, level, t, action]
                    spent = costs.metadata[n, level, t, action]
                    if own != price and gated > 0:
                        others = count_packs(counts.metadata[n, level, t, action] - gated, pack, False)
                        spent = used * (price * others + own * count_packs(gated, pack, False))
                    own = machine.price[level, t, METADATA_SKIPPED + action]
                    if own > 0:
                        skipped = counts.skipped_metadata[n, level, t, action]
                        spent += used * own * count_packs(skipped, pack, False)
                    costs.total[n] += spent - costs.metadata[n, level, t, action]
                    costs.metadata[n, level, t, action] = spent


@kernel
def use_less(used: Floats, costs: CostArrays) -> None:
    """Charge instances that hold no tile for nothing.

    Parameters
    ----------
    used : float64[N, L, T]
        Share of instances that hold one.
    costs : CostArrays
        `energy`, `metadata`, `saved` and `total` shrink.
    """
    mappings, levels, tensors = used.shape
    for n in range(mappings):
        for level in range(levels):
            for t in range(tensors):
                share = used[n, level, t]
                if share == 1:
                    continue
                for action in range(3):
                    spent = costs.energy[n, level, t, action] + costs.metadata[n, level, t, action]
                    spent += costs.saved[n, level, t, 0, action] + costs.saved[n, level, t, 1, action]
                    costs.total[n] -= (1 - share) * spent
                    costs.energy[n, level, t, action] *= share
                    costs.metadata[n, level, t, action] *= share
                    costs.saved[n, level, t, 0, action] *= share
                    costs.saved[n, level, t, 1, action] *= share


@kernel
def charge_beside(
    machine: MachineArrays,
    balance: BalanceArrays,
    dearest: bool,
    counts: SparseCountArrays,
    costs: CostArrays,
) -> None:
    """Charge computations, pointers of the balancer, and what components do for computations.

    Parameters
    ----------
    machine : MachineArrays
    balance : BalanceArrays
    dearest : bool
        A pointer costs the dearest action of its level.
    counts : SparseCountArrays
    costs : CostArrays
        `beside` is filled in.
    """
    computes, price, at = counts.computes, machine.compute_price, balance.pointer_level
    for n in range(len(computes)):
        costs.beside[n, COMPUTING] = (
            computes[n, DONE] * price[DONE]
            + computes[n, GATED_COMPUTE] * price[GATED_COMPUTE]
            + computes[n, SKIPPED_COMPUTE] * price[SKIPPED_COMPUTE]
        )
        costs.beside[n, COMPONENTS] = computes[n, DONE] * machine.served_compute
        costs.beside[n, BALANCING] = 0.0
        if at >= 0:
            one = machine.price[at, balance.tensor, READ]
            if dearest:
                for action in range(3):
                    one = max(one, machine.price[at, balance.tensor, action])
            costs.beside[n, BALANCING] = round_up(counts.pointers[n]) * one * balance.pointer_energy


@kernel
def slowest_counts(busy: float, computes: int, met: float) -> bool:
    """Say whether all zeros of the balanced tensor save their cycle: only then the slowest element counts.

    Parameters
    ----------
    busy : float
        Computations that take their cycle, over all units.
    computes : int
        If nothing were zero, over all units.
    met : float
        Density that computations see of the tensor that is balanced.
    """
    return busy <= computes * met * (1 + 1e-9)


@kernel
def find_steps(
    instances: Ints, used: Floats, computes: int, met: Floats, balanced: bool, counts: SparseCountArrays,
    cycles: Ints,
) -> None:  # fmt: skip
    """Find the steps of the slowest processing element.

    Parameters
    ----------
    instances : int64[N, L + 1]
    used : float64[N]
        Share of compute units that is used on average.
    computes : int
        If nothing were zero, over all units.
    met : float64[N]
        Density that computations see of the tensor that is balanced, and of those counted with it.
    balanced : bool
        Whether processing elements wait for each other: `counts.work` is then what the slowest does; see
        `slowest_counts`.
    counts : SparseCountArrays
    cycles : int64[N, C]
        Filled in, the last ones: of the compute units.
    """
    units, last = instances.shape[1] - 1, cycles.shape[1] - 1
    for n in range(len(cycles)):
        busy = counts.computes[n, DONE] + counts.computes[n, GATED_COMPUTE]
        even = busy / (instances[n, units] * used[n])
        if balanced and slowest_counts(busy, computes, met[n]):
            # What is saved beyond the zeros of the balanced tensor is saved evenly.
            others = busy / (computes * met[n]) if met[n] > 0 else 0.0
            others = 1.0 if abs(others - 1) < 1e-9 else others
            even = computes // instances[n, units] * counts.work[n] * others
        cycles[n, last] = np.int64(max(1.0, round_up(even)))


@kernel
def cost_sparse(
    problem: ProblemArrays, machine: MachineArrays, keep: Bools, room: Room, rules: RuleArrays,
    balance: BalanceArrays, use: UseArrays, counts: SparseCountArrays, costs: CostArrays,
) -> None:  # fmt: skip
    """Charge a batch under a sparse design; the steps of the compute units stand last in `costs.cycles`.

    Parameters
    ----------
    problem : ProblemArrays
    machine : MachineArrays
    keep : bool[N, L, T]
    room : Room
        Geometry, and counts if nothing were zero; a status may become OVERFLOW.
    rules : RuleArrays
    balance : BalanceArrays
    use : UseArrays
    counts : SparseCountArrays
    costs : CostArrays
        Filled in.
    """
    dense, status, instances = room.counts, room.status, room.counts.instances
    costs.total[:] = 0.0
    charge_words(machine, counts.actual, dense, 0, False, rules.dearest, costs.energy, costs.total)
    charge_words(machine, counts.metadata, dense, METADATA, False, rules.dearest, costs.metadata, costs.total)
    if not rules.dearest:
        charge_saved_metadata(machine, instances, counts, costs)
    charge_saved(machine, instances, counts, costs)
    use_less(use.tensors, costs)
    if machine.wires.any:
        charge_wires(problem, machine, keep, room.loops, dense, counts.actual, counts.metadata, costs, status)
    charge_beside(machine, balance, rules.dearest, counts, costs)
    if machine.serves:
        charge_components(machine, counts.actual, instances, costs)
    count_cycles(machine, counts.actual, dense, counts.gated, counts.metadata, costs, status)
    if machine.waits.any:
        add_waits(machine, room.loops, counts.actual, counts.metadata, costs, status)
    if len(machine.rates.per_cycle) > 0:
        count_component_cycles(
            machine, instances, counts.actual, counts.computes[:, DONE].copy(), costs, status
        )
    add_up(machine, instances, costs, status)
