"""What a sparse evaluation returns on top of a dense one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

from procrustes_model.model.result import ACTIONS, LevelResult, Result, TensorCounts
from procrustes_model.spec.architecture import BALANCING_PART
from procrustes_model.vocabulary import WorkSpread


@dataclass(frozen=True, slots=True)
class SparseCounts:
    """Expected words of one tensor at one level, per used instance; triples are for reads, fills, updates.

    Attributes
    ----------
    dense : tuple of int
        If nothing were zero.
    actual, gated, skipped : tuple of float
        Done; not done but taking the cycle; taking neither. What an outer level does not send is in none of
        them.
    metadata, gated_metadata, skipped_metadata : tuple of float
        Words of metadata of accesses that are done or gated; those of them that are gated; those of accesses
        that are skipped.
    metadata_energy_pj : tuple of float
        Over all used instances.
    gated_energy_pj, skipped_energy_pj : tuple of float
        Over all used instances.
    stored_words : float
        Words that one instance has to hold, with metadata that lie there.
    used_instances : float
        Instances that hold a tile, on average: fewer than are used where those with an empty tile do nothing.
    stored_metadata_words : float
        Words of metadata of that tile, there or in a store of their own.
    format : str
        A name of `formats.FORMATS`.
    """

    dense: tuple[int, int, int]
    actual: tuple[float, float, float]
    gated: tuple[float, float, float]
    skipped: tuple[float, float, float]
    metadata: tuple[float, float, float]
    gated_metadata: tuple[float, float, float]
    skipped_metadata: tuple[float, float, float]
    metadata_energy_pj: tuple[float, float, float]
    gated_energy_pj: tuple[float, float, float]
    skipped_energy_pj: tuple[float, float, float]
    stored_words: float
    used_instances: float
    stored_metadata_words: float
    format: str


@dataclass(frozen=True, slots=True)
class SparseTensorCounts(TensorCounts):
    """Accesses that are done of one tensor at one level, as expected values; `sparse` has the others.

    Attributes
    ----------
    sparse : SparseCounts
    """

    sparse: SparseCounts

    @property
    def energy_pj(self) -> float:
        """Energy of data, metadata and saved accesses over all used instances, in pJ."""
        one = self.sparse
        data = self.read_energy_pj + self.fill_energy_pj + self.update_energy_pj
        return data + sum(one.metadata_energy_pj) + sum(one.gated_energy_pj) + sum(one.skipped_energy_pj)


def sparse_of(counts: TensorCounts) -> SparseCounts:
    """Return the sparse counts beside the counts of a sparse result."""
    return cast("SparseTensorCounts", counts).sparse


@dataclass(frozen=True, slots=True)
class SparseComputes:
    """Computations over all units.

    Attributes
    ----------
    dense : int
        If nothing were zero.
    actual, gated, skipped : float
        Done; not done but taking the cycle; taking neither. The rest is never delivered by storage.
    """

    dense: int
    actual: float
    gated: float
    skipped: float


@dataclass(frozen=True, slots=True)
class Imbalance:
    """How unevenly work falls on processing elements that wait for each other.

    Attributes
    ----------
    tensor : str
        Whose nonzeros are the work.
    policy : str
        Of balancing: a name in `policies`.
    counted : bool
        Counted on a mask; else expected.
    parts, rounds : int
        Different tiles over the array, and array-level tiles over the run.
    tile_elements : int
        Positions of the tensor in the tile of a processing element.
    cut : str or None
        Dimension along which tiles are cut.
    before, after : float
        Work of the slowest processing element over the mean, without and with balancing: 1 is even.
    in_cycles : bool
        Whether cycles are those of the slowest: only where all zeros of the tensor save their cycle.
    pointer_reads, pointer_energy_pj : float
        What balancing costs.
    """

    tensor: str
    policy: str
    counted: bool
    parts: int
    rounds: int
    tile_elements: int
    cut: str | None
    before: float
    after: float
    in_cycles: bool
    pointer_reads: float
    pointer_energy_pj: float


@dataclass(frozen=True, slots=True, repr=False)
class SparseResult(Result):
    """Counts, energy and cycles of one mapping where something is zero.

    `compute.computes` are those that are done.

    Attributes
    ----------
    sparsity : str
        The sparse design.
    densities : tuple of (str, float)
        Nonzeros / elements by tensor.
    computes : SparseComputes
    imbalance : Imbalance or None
        None: the design balances no tensor.
    assumed_even : tuple of str
        Tensors whose zeros save cycles, more on one processing element than on another, which is neither
        expected nor counted: what they save is taken to be spread evenly.
    """

    sparsity: str
    densities: tuple[tuple[str, float], ...]
    computes: SparseComputes
    imbalance: Imbalance | None
    assumed_even: tuple[str, ...]

    @property
    def extras(self) -> tuple[tuple[str, float], ...]:
        """Energy of balancing, components and leakage, as (name, pJ)."""
        balancing = ((BALANCING_PART, self.imbalance.pointer_energy_pj),) if self.imbalance else ()
        return (*balancing, *super(SparseResult, self).extras)

    @property
    def dense_computes(self) -> int | float:
        """Operations of the problem, those that zeros save included."""
        return self.computes.dense

    @property
    def work_spread(self) -> WorkSpread:
        """How the work that zeros leave lies on the processing elements."""
        if self.imbalance is not None and self.imbalance.in_cycles:
            return WorkSpread.COUNTED if self.imbalance.counted else WorkSpread.EXPECTED
        return WorkSpread.IDEAL if self.assumed_even else WorkSpread.EVEN

    @property
    def speedup_bound(self) -> float:
        """Cycles of the dense loop nest over `cycles`."""
        return self.computes.dense / self.compute.instances_used / self.cycles

    def sparse(self, level: str, tensor: str) -> SparseCounts:
        """Return the sparse counts of `tensor` at `level`.

        Raises
        ------
        KeyError
            When the level does not exist or does not keep the tensor.
        """
        return sparse_of(self.tensor(level, tensor))

    def _rows_beside(self) -> list[dict[str, Any]]:
        """Return the rows beyond those of a dense result.

        Actions are ``metadata_read``, ``gated_read``, ``skipped_read`` and so on where they are not zero,
        ``pointer_read`` of the level ``balancing``, ``use`` of components, and ``leak``.
        """
        rows = [
            row for level in self.levels for counts in level.tensors for row in _saved_rows(level, counts)
        ]
        balance = self.imbalance
        if balance and balance.pointer_reads:
            row: dict[str, Any] = {
                "level": BALANCING_PART,
                "tensor": balance.tensor,
                "action": "pointer_read",
            }
            row |= {"count": balance.pointer_reads, "instances": 1, "energy_pj": balance.pointer_energy_pj}
            rows.append(row)
        return rows + Result._rows_beside(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as nested plain data, ready for JSON, derived figures included."""
        data = Result.to_dict(self)
        data["densities"] = dict(self.densities)
        if self.imbalance:
            data["imbalance"] = asdict(self.imbalance)
        return data


def _saved_rows(level: LevelResult, counts: TensorCounts) -> list[dict[str, Any]]:
    """Return the rows of metadata and saved accesses of one tensor at one level, where there are any."""
    sparse = sparse_of(counts)
    rows = []
    for i, action in enumerate(ACTIONS):
        kinds = {
            "metadata": (sparse.metadata[i], sparse.metadata_energy_pj[i]),
            "gated": (sparse.gated[i], sparse.gated_energy_pj[i]),
            "skipped": (sparse.skipped[i], sparse.skipped_energy_pj[i]),
        }
        for kind, (count, energy) in kinds.items():
            if count or energy:
                row = {"level": level.name, "tensor": counts.tensor, "action": f"{kind}_{action}"}
                rows.append(row | {"count": count, "instances": counts.instances, "energy_pj": energy})
    return rows
