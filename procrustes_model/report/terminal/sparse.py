"""What a sparse evaluation says on top of a dense one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.policies import POLICIES
from procrustes_model.report.terminal.units import format_energy, format_share, four_digits

if TYPE_CHECKING:
    from procrustes_model.model.sparse.result import Imbalance, SparseResult


def format_sparse(result: SparseResult) -> str:
    """Return densities, saved work, metadata and imbalance, as a few lines of text.

    Parameters
    ----------
    result : SparseResult
    """
    densities = ", ".join(f"{name} {four_digits(density)}" for name, density in result.densities)
    computes = result.computes
    skipped = computes.dense - computes.actual - computes.gated
    shares = [
        f"{format_share(count, computes.dense)} {word}"
        for count, word in ((computes.actual, "done"), (computes.gated, "gated"), (skipped, "skipped"))
    ]
    lines = [
        f"{'Sparsity':<13}{result.sparsity}; densities {densities}",
        f"{'Computes':<13}{', '.join(shares)}",
        f"{'Cycles':<13}{four_digits(result.speedup_bound)} times fewer than the steps of the dense nest",
    ]
    metadata = [
        f"{level.name} {format_energy(energy)}"
        for level in result.levels
        if (energy := sum(sum(result.sparse(level.name, t.tensor).metadata_energy_pj) for t in level.tensors))
    ]
    if metadata:
        lines.append(f"{'Metadata':<13}{', '.join(metadata)}")
    if result.imbalance is not None:
        lines.append(_describe_imbalance(result.imbalance))
    return "\n".join(lines)


def _describe_imbalance(imbalance: Imbalance) -> str:
    how = "counted on the mask" if imbalance.counted else "expected"
    text = f"{'Imbalance':<13}slowest over mean {imbalance.before:.3f}"
    policy = POLICIES[imbalance.policy]
    if policy.balances:
        where = f"cut along {imbalance.cut}" if imbalance.cut else "no tile can be cut"
        text += f" before, {imbalance.after:.3f} after balancing {policy.text} ({where})"
    return f"{text}; {how}"
