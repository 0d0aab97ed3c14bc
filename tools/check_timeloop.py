"""Check sets of Timeloop's files against that tool's output.

    python tools/check_timeloop.py FOLDER...

A folder is a set or holds sets: `inputs/`, `ERT.yaml` and `found.map.yaml`, which are imported as
``procrustes import timeloop --partial`` does, and `expected.json` with the output, whose nest is taken where
there is no mapping. Counts, capacities, instances and cycles are compared exactly, energies by level and
tensor to 1e-6, printed ones to their last digit. Prints a row per output. Exits with 1 where a number
differs, with ``--strict`` also where a set is refused, and with 2 where a folder holds no set.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from timeloop_sets.check import DIFFERS, EQUAL, KNOWN, REFUSED, Verdict, check_set  # noqa: E402  (once the path is set)


def find_sets(folder: Path) -> list[Path]:
    """Return the sets that a folder is or holds: those with `inputs/`."""
    if (folder / "inputs").is_dir():
        return [folder]
    return sorted(one.parent for one in folder.glob("*/inputs") if one.is_dir())


def print_row(verdict: Verdict, most: int) -> None:
    """Print what came out for one output."""
    shown = verdict.reasons[:most]
    more = len(verdict.reasons) - len(shown)
    text = "; ".join(shown) + (f" (and {more} more)" if more > 0 else "")
    said = ", ".join(part for part in (text, verdict.but) if part)
    print(f"{verdict.outcome:8} {verdict.name}" + (f": {said}" if said else ""), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Check the folders named on the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a set is refused, too")
    parser.add_argument("--most", type=int, default=3, help="reasons shown per output")
    options = parser.parse_args(arguments)
    outcomes: Counter[str] = Counter()
    partly = 0
    for folder in options.folders:
        sets = find_sets(folder)
        if not sets:
            print(f"{folder}: there is no set in this folder", file=sys.stderr)
            return 2
        for one in sets:
            for verdict in check_set(one):
                print_row(verdict, options.most)
                outcomes[verdict.outcome] += 1
                partly += verdict.outcome == EQUAL and verdict.but.startswith("without")
    totals = [f"{outcomes[key]} {key}" for key in (EQUAL, DIFFERS, REFUSED)]
    if outcomes[KNOWN]:
        totals.append(f"{outcomes[KNOWN]} known to be wrong")
    print(f"{', '.join(totals)}; {partly} of the equal ones without what the import leaves out")
    return 1 if outcomes[DIFFERS] or (options.strict and outcomes[REFUSED]) else 0


if __name__ == "__main__":
    sys.exit(main())
