"""Check files of reference results against this model, through its public API.

    python tools/check_reference.py tests/data/timeloop_dense.json.gz

Takes files in the form of those in ``tests/data/``: JSON, gzipped or not, a list of cases. Masks that cases
name are read from ``masks.npz`` beside their file.
Prints the matches per problem kind and the first mismatch of every case that has one.
Exits with 0 when all match, 1 when a case does not, 2 when a file cannot be read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from reference import dense, procrustes_2020, sparseloop  # noqa: E402  (found once the path is set)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, and refuse one that has a key twice: the last one would win silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"the key '{twice}' stands twice in an object")
    return found


def read_cases(path: Path) -> list[dict[str, Any]]:
    """Return the cases in `path`.

    Raises
    ------
    ValueError
        When the file does not hold a list of cases.
    OSError
        When it cannot be read.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    cases = json.loads(content, object_pairs_hook=_without_duplicates)
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ValueError("not a list of cases")
    return cases


def kind_of(case: dict[str, Any]) -> str:
    """Return the kind of problem that a case says it has."""
    problem = case.get("problem")
    kind = problem.get("kind") if isinstance(problem, dict) else case.get("problem_shape")
    return str(kind or "unknown")


def check_case(case: dict[str, Any], masks: Path) -> list[Any]:
    """Check one case by what its form is, and return its mismatches."""
    if "mask" in case:
        with np.load(masks, allow_pickle=False) as archive:
            return list(
                procrustes_2020.check_procrustes_2020(
                    case, procrustes_2020.case_mask(case, archive[case["mask"]["key"]])
                )
            )
    if "sparsity" in case:
        return list(sparseloop.check_sparseloop(case))
    return list(dense.check_case(case))


def check_file(path: Path) -> bool:
    """Check every case of one file, print what was found, and say whether all match."""
    cases = read_cases(path)
    matched: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    failures = []
    names: set[str] = set()
    for number, case in enumerate(cases):
        name, kind = f"case {case.get('id', number)}", kind_of(case)
        repeated = name in names
        names.add(name)
        seen[kind] += 1
        try:
            mismatches = [str(mismatch) for mismatch in check_case(case, path.parent / "masks.npz")]
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, OSError) as error:
            mismatches = [f"cannot be evaluated: {type(error).__name__}: {error}"]
        if repeated:
            mismatches.append("an earlier case has the same id")
        if mismatches:
            failures.append((name, kind, mismatches))
        else:
            matched[kind] += 1
    for name, kind, mismatches in failures:
        others = f" (and {len(mismatches) - 1} more)" if len(mismatches) > 1 else ""
        print(f"{path}: {name} ({kind}): {mismatches[0]}{others}")
    for kind in sorted(seen):
        print(f"{path}: {kind}: {matched[kind]} of {seen[kind]} match")
    print(f"{path}: {matched.total()} of {seen.total()} cases match")
    return bool(cases) and not failures


def main() -> int:
    """Check the files named on the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    status = 0
    for path in parser.parse_args().files:
        try:
            if not check_file(path):
                status = max(status, 1)
        except (OSError, ValueError, EOFError) as error:
            print(f"{path}: cannot be read: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
