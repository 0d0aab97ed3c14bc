"""Compare two files of measurements, as bench.py writes them, so that a slowdown is seen.

python tools/bench_compare.py BEFORE.json AFTER.json [--threshold 0.95]

Prints the speed after / the speed before of everything that both measured: quotients of median times. Ends
with status 1 where one is below the threshold, and with 2 where there is nothing to compare. Files of
different days are measured under different loads: what looks slower here is settled by bench_commits.py,
which measures in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

Measurements = dict[str, list[float]]
"""By name, seconds of every round."""
THRESHOLD = 0.95
"""Of the speed before, what the speed after must at least be."""
_FORMAT = "procrustes_bench"
_VERSION = 1


def save_measurements(path: Path, commit: str, machine: str, seconds: Measurements) -> None:
    """Write measurements as JSON.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    commit, machine : str
        What was measured, and on what.
    seconds : dict of str to list of float
        By name, of every round.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"format": _FORMAT, "version": _VERSION, "commit": commit, "machine": machine, "seconds": seconds}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def load_measurements(path: Path) -> Measurements:
    """Return what `save_measurements` wrote.

    Raises
    ------
    ValueError
        When the file holds something else, or is of a newer version.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise ValueError(f"{path}: these are no measurements of tools/bench.py")
    if data["version"] > _VERSION:
        raise ValueError(f"{path}: written for version {data['version']}, this reads up to {_VERSION}")
    return {str(name): [float(one) for one in rounds] for name, rounds in data["seconds"].items()}


def speed_ratios(
    before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Return the speed after / the speed before of what both measured, by name: above 1 is faster."""
    return {
        name: statistics.median(before[name]) / statistics.median(after[name])
        for name in before
        if name in after and statistics.median(after[name]) > 0
    }


def report_ratios(
    before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]], threshold: float = THRESHOLD
) -> int:
    """Print times and ratios, and return the exit status: 0, or 1 where one is below the threshold.

    Returns
    -------
    int
        2 where nothing was measured by both.
    """
    ratios = speed_ratios(before, after)
    if not ratios:
        print("nothing was measured on both sides")
        return 2
    width = max(map(len, ratios))
    print(f"{'':<{width}}  {'before [ms]':>12}  {'after [ms]':>12}  {'speed':>6}")
    for name, ratio in ratios.items():
        times = (statistics.median(side[name]) * 1e3 for side in (before, after))
        mark = "  slower" if ratio < threshold else ""
        print(f"{name:<{width}}  {next(times):>12.3f}  {next(times):>12.3f}  {ratio:>6.3f}{mark}")
    for name in sorted(before.keys() ^ after.keys()):
        print(f"{name:<{width}}  measured {'before' if name in before else 'after'} only")
    slow = [name for name, ratio in ratios.items() if ratio < threshold]
    print(f"{len(slow) or 'none'} of {len(ratios)} below {threshold:g} of the speed before")
    return 1 if slow else 0


def main() -> int:
    """Compare the files that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, metavar="BEFORE.json")
    parser.add_argument("after", type=Path, metavar="AFTER.json")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        before, after = load_measurements(arguments.before), load_measurements(arguments.after)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        parser.error(str(error))
    return report_ratios(before, after, arguments.threshold)


if __name__ == "__main__":
    sys.exit(main())
