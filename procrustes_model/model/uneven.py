"""Machines whose levels are entries of uneven mappings, and their counts and costs by level again.

The nest of an uneven mapping is counted and charged as one of a machine that has a level for each entry.
Entries of a level are one memory (`MachineArrays.memory`): its tiles have to fit together, and its ports
serve them all. Each tensor is kept at one of them, so that what they do adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from procrustes_model.errors import SpecError
from procrustes_model.kernels.dense.arrays import (
    Bools,
    CostArrays,
    CountArrays,
    MachineArrays,
    MetadataArrays,
)
from procrustes_model.spec.uneven import is_last

if TYPE_CHECKING:
    from procrustes_model.model.design import Design
    from procrustes_model.spec.mapping import Mapping

Number = TypeVar("Number", np.int64, np.float64)

WHERE_ZERO = "a sparse design is counted where all tensors of a level have their tiles at the same loops"
"""What is said of uneven mappings where something may be zero."""


def refuse_uneven(mapping: Mapping, why: str = WHERE_ZERO) -> None:
    """Raise a SpecError where a mapping is uneven.

    Raises
    ------
    SpecError
    """
    if mapping.uneven:
        names = [level.level for level in mapping.levels]
        second = next(i for i, name in enumerate(names) if i and names[i - 1] == name)
        hint = f"merge the entries of {names[second]}"
        raise SpecError(mapping.issue(f"this mapping is uneven: {why}", hint, second))


def unfold_design(design: Design, entries: Sequence[int], keep: Bools | None = None) -> Design:
    """Return a design with a level for each entry, as `unfold_machine` does."""
    return replace(design, machine=unfold_machine(design.machine, entries, keep))


def unfold_machine(
    machine: MachineArrays, entries: Sequence[int], keep: Bools | None = None
) -> MachineArrays:
    """Return a machine with a level for each entry of mappings.

    Parameters
    ----------
    machine : MachineArrays
        As architectures are lowered.
    entries : sequence of int
        Index of the level of each, outermost first.
    keep : bool[L, T], optional
        What they keep, where words pass through some of the levels.
    """
    rows = np.array(entries, np.int64)
    last = np.array([is_last(entries, position) for position in range(len(entries))])
    first = np.array([entries.index(index) for index in range(len(machine.memory))], np.int64)
    inner = np.array([position for position in range(len(entries)) if last[position]], np.int64)
    through = machine.through[rows] & last[:, None]
    if keep is not None:
        through &= ~np.array([keep[rows == index].any(axis=0) for index in rows])
    wires, sums, rates, metadata, waits = (
        machine.wires, machine.sums, machine.rates, machine.metadata, machine.waits,
    )  # fmt: skip
    used_power = np.where(last, machine.used_power[rows], 0.0)
    return machine._replace(
        bits=machine.bits[rows],
        word_bits=machine.word_bits[rows],
        scale=machine.scale[rows],
        pack=machine.pack[rows],
        split=machine.split[rows],
        price=machine.price[rows],
        bandwidth=machine.bandwidth[rows],
        capacity=machine.capacity[rows],
        fanout=np.where(last[:, None], machine.fanout[rows], 1),
        served=machine.served[rows],
        used_power=np.append(used_power, machine.used_power[-1]),
        ports=machine.ports[rows],
        memory=machine.memory[rows],
        home=first[machine.home],
        loads=machine.loads[rows],
        drains=machine.drains[rows],
        through=through,
        wires=wires._replace(
            topology=np.where(last, wires.topology[rows], -1),
            enter=wires.enter[rows],
            hop=wires.hop[rows],
            sums_return=wires.sums_return[rows],
            bits_per_cycle=np.where(last, wires.bits_per_cycle[rows], np.inf),
        ),
        sums=sums._replace(
            bits=sums.bits[rows], pack=sums.pack[rows], split=sums.split[rows], scale=sums.scale[rows]
        ),
        rates=rates._replace(words=np.ascontiguousarray(rates.words[:, rows])),
        metadata=MetadataArrays(
            metadata.bits[rows],
            metadata.pack[rows],
            metadata.scale[rows],
            metadata.room[rows],
            metadata.capacity[rows],
        ),
        waits=waits._replace(array=int(inner[waits.array]), serial=waits.serial[rows]),
    )


def fold_counts(counts: CountArrays, keep: Bools, entries: Sequence[int]) -> CountArrays:
    """Return the counts of one nest by level.

    Parameters
    ----------
    counts : CountArrays
        By entry, of one mapping.
    keep : bool[1, L, T]
    entries : sequence of int
    """
    tiles = np.where(keep, counts.tile, 0)
    inner = _last_of(entries)
    # Sums arrive at the entry that keeps them: no other one says that they are complete.
    complete = np.stack(
        [counts.complete[:, np.array(entries) == index].any(axis=1) for index in sorted(set(entries))], axis=1
    )
    return CountArrays(
        accesses=_add_up(counts.accesses, entries),
        tile=_add_up(tiles, entries),
        moved=_add_up(np.where(keep, counts.moved, 0), entries),
        distinct=counts.distinct[:, inner],
        instances=counts.instances[:, [*inner, -1]],
        complete=complete,
    )


def fold_costs(costs: CostArrays, entries: Sequence[int]) -> CostArrays:
    """Return the costs of one nest, in which nothing is zero, by level."""
    levels, inner = len(entries), _last_of(entries)
    # Words of a memory add up from entry to entry: the last one has them all.
    cycles = [*inner, *(levels + position for position in inner), *range(2 * levels, costs.cycles.shape[1])]
    return costs._replace(
        energy=_add_up(costs.energy, entries),
        wires=_add_up(costs.wires, entries),
        traffic=costs.traffic[:, inner],
        cycles=costs.cycles[:, cycles],
        limit=costs.limit[:, inner],
    )


def _last_of(entries: Sequence[int]) -> list[int]:
    return [position for position in range(len(entries)) if is_last(entries, position)]


def _add_up(values: NDArray[Number], entries: Sequence[int]) -> NDArray[Number]:
    """Return what entries have on the second axis, added up by level."""
    first = [entries.index(index) for index in sorted(set(entries))]
    return np.asarray(np.add.reduceat(values, first, axis=1), values.dtype)
