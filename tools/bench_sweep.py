"""What a sweep costs beside its searches: their time in one process, with and without it.

    python tools/bench_sweep.py [SWEEP]

The searches of a sweep, by default of the one that ships, are done one by one, then as the sweep does them.
What it adds is reading and checking every point, keys, files and the table; it fails beyond a tenth.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from procrustes_model.network.solve import solve
from procrustes_model.spec.sweep import load_sweep
from procrustes_model.sweeps.plan import plan_sweep
from procrustes_model.sweeps.verb import sweep

MOST = 0.1
"""Of the time of the searches."""


def measure(source: str) -> tuple[float, float]:
    """Return the processor seconds of the searches alone, and of the sweep with a folder."""
    plan = plan_sweep(load_sweep(source))
    solve(next(iter(plan.cases.values())), 1.0)  # what has to be compiled or loaded is, before
    began = time.process_time()
    for case in plan.cases.values():
        solve(case, plan.seconds)
    alone = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        sweep(source, workers=1, out=Path(folder))
        whole = time.process_time() - began
    return alone, whole


def main() -> None:
    """Measure, print, and exit with 1 where the sweep adds too much."""
    alone, whole = measure(sys.argv[1] if len(sys.argv) > 1 else "procrustes_buffers")
    added = whole / alone - 1
    print(f"searches {alone:.2f} s, sweep {whole:.2f} s of processor time: {added:+.1%}")
    sys.exit(int(added > MOST))


if __name__ == "__main__":
    main()
