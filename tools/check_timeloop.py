"""Check sets of Timeloop's files against that tool's output.

    python tools/check_timeloop.py FOLDER...

A folder is a set or holds sets: `inputs/`, `ERT.yaml` and `found.map.yaml`, which are imported as
``procrustes import timeloop --partial`` does, and `expected.json` with the output, whose nest is taken where
there is no mapping. Counts, capacities, instances and cycles are compared exactly, energies by level and
tensor to 1e-6, printed ones to their last digit. Prints a row per output, and how many there are of each kind
of difference and refusal; "rounded" are those whose differences all hang on that tool's rounding errors, as
`timeloop_sets.rounding` says. Exits with 1 where a number differs, with ``--strict`` also where a set is
refused, and with 2 where a folder holds no set.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from timeloop_sets.check import DIFFERS, EQUAL, KNOWN, REFUSED, ROUNDED, Verdict, check_set  # noqa: E402  (once the path is set)


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


def kind_of(verdict: Verdict) -> str:
    """Return what kind of reason comes first: without the file, names in quotes and numbers."""
    first = verdict.reasons[0] if verdict.reasons else verdict.but
    text = re.sub(r"^\S+:\d+:\d+: ", "", first)
    text = re.sub(r"'[^']*'", "'...'", re.sub(r"\[?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b\]?", "#", text))
    return text.partition(";")[0][:100]


def print_kinds(verdicts: list[Verdict]) -> None:
    """Print how many outputs there are of each outcome and kind of reason, most first."""
    kinds = Counter((verdict.outcome, kind_of(verdict)) for verdict in verdicts if verdict.reasons)
    for (outcome, kind), count in sorted(kinds.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
        print(f"{count:5} {outcome}: {kind}")


def main(arguments: list[str] | None = None) -> int:
    """Check the folders named on the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a set is refused, too")
    parser.add_argument("--most", type=int, default=3, help="reasons shown per output")
    options = parser.parse_args(arguments)
    verdicts: list[Verdict] = []
    for folder in options.folders:
        sets = find_sets(folder)
        if not sets:
            print(f"{folder}: there is no set in this folder", file=sys.stderr)
            return 2
        for one in sets:
            for verdict in check_set(one):
                print_row(verdict, options.most)
                verdicts.append(verdict)
    print_kinds(verdicts)
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    partly = sum(verdict.outcome == EQUAL and verdict.but.startswith("without") for verdict in verdicts)
    totals = [f"{outcomes[key]} {key}" for key in (EQUAL, DIFFERS, REFUSED)]
    if outcomes[ROUNDED]:
        totals.append(f"{outcomes[ROUNDED]} but for rounding errors of that tool")
    if outcomes[KNOWN]:
        totals.append(f"{outcomes[KNOWN]} known to be wrong")
    print(f"{', '.join(totals)}; {partly} of the equal ones without what the import leaves out")
    differing = outcomes[DIFFERS] + outcomes[ROUNDED]
    return 1 if differing or (options.strict and outcomes[REFUSED]) else 0


if __name__ == "__main__":
    sys.exit(main())
