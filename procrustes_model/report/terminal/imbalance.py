"""Imbalance as text: bars of characters, and what was measured in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.policies import POLICIES
from procrustes_model.report.terminal.units import format_share

if TYPE_CHECKING:
    from procrustes_model.model.sparse.imbalance import ImbalanceHistogram, WorkOf

_BAR = 24
"""Characters of the longest bar, where there is room."""
_EDGES = 15
"""Columns of the bounds of a row."""
_SHARE = 8
"""Columns of a share and the spaces around it."""


def format_imbalance(histogram: ImbalanceHistogram, *, unicode: bool = True, width: int = 80) -> str:
    """Return a histogram as text: shares of processing elements by work, before and after.

    Parameters
    ----------
    histogram : ImbalanceHistogram
    unicode : bool
        Whether bars may use characters beyond ASCII.
    width : int
        Columns.
    """
    sides = [("before", histogram.before, histogram.ratio_before)]
    policy = POLICIES[histogram.of.policy]
    if policy.balances:
        cut = f"cut along {histogram.of.cut}" if histogram.of.cut else "none can be cut"
        sides.append((f"after {policy.text}", histogram.after, histogram.ratio_after))
    bar = "█" if unicode else "#"
    most = max(int(counts.max()) for _, counts, _ in sides)
    longest = max(4, min(_BAR, (width - _EDGES) // len(sides) - _SHARE))
    lines = [f"{'work / mean':<{_EDGES}}" + "".join(f"{name:<{longest + _SHARE}}" for name, _, _ in sides)]
    if policy.balances:
        if len(lines[0].rstrip()) + len(cut) + 3 <= width:
            lines[0] = f"{lines[0].rstrip()} ({cut})"
        else:
            lines.append(" " * (_EDGES + longest + _SHARE) + f"({cut})")
    used = [i for i in range(len(histogram.before)) if any(counts[i] for _, counts, _ in sides)]
    for i in range(used[0], used[-1] + 1):
        low, high = histogram.edges[i], histogram.edges[i + 1]
        line = f"{low:5.2f} - {high:5.2f}  "
        for _, counts, _ in sides:
            length = round(longest * int(counts[i]) / most)
            line += f"{format_share(int(counts[i]), int(counts.sum())):>6} {bar * length:<{longest}} "
        lines.append(line)
    lines.append(
        f"{'slowest / mean':<{_EDGES}}" + "".join(f"{ratio:<{longest + _SHARE}.3f}" for _, _, ratio in sides)
    )
    return "\n".join(line.rstrip() for line in lines)


def describe_work(of: WorkOf, elements: int, tiles: int) -> str:
    """Return in words what was measured.

    Parameters
    ----------
    of : WorkOf
    elements : int
        Processing elements with different tiles.
    tiles : int
        Array-level tiles, of all masks.
    """
    per_mask = tiles // max(1, of.masks)
    masks = {
        "counted": "counted on the mask",
        "sampled": f"on {of.masks} random mask{'s' if of.masks > 1 else ''}",
        "even": "this density has the same work everywhere",
    }
    return (
        f"Work on {of.tensor} of {elements:,} processing elements with different tiles, "
        f"in {per_mask:,} array-level tiles; {masks[of.basis]}"
    )
