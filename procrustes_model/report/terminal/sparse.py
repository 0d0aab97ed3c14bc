"""What a sparse evaluation says on top of a dense one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from procrustes_model.policies import POLICIES
from procrustes_model.report.terminal.style import Style, labelled
from procrustes_model.report.terminal.units import format_energy, format_share, four_digits
from procrustes_model.vocabulary import WorkSpread

if TYPE_CHECKING:
    from procrustes_model.model.sparse.result import SparseResult

_IDEAL = "spread evenly (ideal)"


def format_sparse(result: SparseResult, style: Style | None = None) -> str:
    """Return densities, saved work, metadata and imbalance, as a few lines of text.

    Parameters
    ----------
    result : SparseResult
    style : Style, optional
        80 columns wide by default.
    """
    densities = ", ".join(f"{name} {four_digits(density)}" for name, density in result.densities)
    computes = result.computes
    skipped = computes.dense - computes.actual - computes.gated
    shares = [
        f"{format_share(count, computes.dense)} {word}"
        for count, word in ((computes.actual, "done"), (computes.gated, "gated"), (skipped, "skipped"))
    ]
    lines = [
        ("Sparsity", f"{result.sparsity}; densities {densities}"),
        ("Computes", ", ".join(shares)),
        ("Cycles", f"{four_digits(result.speedup_bound)} times fewer than the steps of the dense nest"),
    ]
    metadata = [
        f"{level.name} {format_energy(energy)}"
        for level in result.levels
        if (energy := sum(sum(result.sparse(level.name, t.tensor).metadata_energy_pj) for t in level.tensors))
    ]
    if metadata:
        lines.append(("Metadata", ", ".join(metadata)))
    lines.append(("Imbalance", _describe_imbalance(result)))
    return "\n".join(line for label, text in lines for line in labelled(label, [text], style))


def describe_ideal(results: Iterable[Mapping[str, Any]]) -> str | None:
    """Return what it means that the work of a design is taken to be spread evenly; None where it is not.

    Parameters
    ----------
    results : iterable of mapping
        Of one design, as `SparseResult.to_dict` returns them.
    """
    ideal = [one for one in results if one.get("work_spread") == WorkSpread.IDEAL]
    if not ideal:
        return None
    first = ideal[0]
    tensors = dict.fromkeys(name for one in ideal for name in one["assumed_even"])
    text = (
        f"cycles are a lower bound: {first['sparsity']} skips computations for zeros of "
        f"{' and '.join(tensors)} on an array, and the work left is taken to be {_IDEAL}; the slowest "
        "processing element may take longer"
    )
    if first.get("imbalance"):
        balanced = first["imbalance"]["tensor"]
        return f"{text}: balancing does not count, as not all zeros of {balanced} save a cycle"
    level = ""
    if first["levels"][-1]["instances_used"] == 1:  # balancing is between instances of a storage level
        level = "give the compute units a storage level of their own, and "
    return f"{text}. To find out, {level}state in the design: balancing: {{tensor: {next(iter(tensors))}}}"


def _describe_imbalance(result: SparseResult) -> str:
    imbalance = result.imbalance
    if imbalance is None:
        return {
            WorkSpread.IDEAL: f"no balancing stated: work {_IDEAL}",
            WorkSpread.EVEN: "none: all processing elements have the same work",
        }[result.work_spread]
    if dict(result.densities)[imbalance.tensor] == 0:
        return f"none: {imbalance.tensor} has no nonzeros, and so no processing element has work"
    how = "counted on the mask" if imbalance.counted else "expected"
    text = f"slowest over mean {imbalance.before:.3f}"
    policy = POLICIES[imbalance.policy]
    if policy.balances:
        where = f"cut along {imbalance.cut}" if imbalance.cut else "no tile can be cut"
        text += f" before, {imbalance.after:.3f} after balancing {policy.text} ({where})"
    text += f"; {how}"
    if not imbalance.in_cycles:
        text += f", not in the cycles: not all zeros of {imbalance.tensor} save one"
    if result.assumed_even:
        text += f"; work that zeros of {' and '.join(result.assumed_even)} leave {_IDEAL}"
    return text
