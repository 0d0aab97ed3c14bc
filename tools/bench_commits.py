"""Compare the speed of this checkout with that of another commit, measured in turn, in one run.

python tools/bench_commits.py BASE [--rounds 7] [--starts 2] [--only TEXT] [--threshold 0.95]

Checks BASE out into .bench/trees (or BENCH_DIR) and starts a process for each side: bench_work.py of this
checkout, with the package of that side. Both do the same pieces of work alternately, after one of each to
compile and to warm up; every start begins anew, since times differ a little from process to process. Prints
the speed after / the speed before, quotients of median processor times, and ends with status 1 where one is
below the threshold, 2 where it could not measure.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from bench_compare import THRESHOLD, Measurements, report_ratios
from bench_work import WORKS

HERE = Path(__file__).resolve().parent.parent


def check_out(commit: str) -> Path:
    """Return a folder with the files of a commit, made once.

    It is always the same one, and its files have the commit's time: compiled kernels are kept by place and
    time, so that only the first comparison with a commit compiles them. A work tree of git has today's time.

    Raises
    ------
    subprocess.CalledProcessError
        When there is no such commit.
    """
    git = ["git", "-C", str(HERE)]
    resolve = [*git, "rev-parse", "--verify", "--short=12", f"{commit}^{{commit}}"]
    name = subprocess.run(resolve, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    place = Path(os.environ.get("BENCH_DIR", HERE / ".bench")).resolve() / "trees" / name
    if not place.is_dir():
        packed = subprocess.run([*git, "archive", name], check=True, stdout=subprocess.PIPE).stdout
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(Path(folder) / name, filter="data")
            (Path(folder) / name).replace(place)
    return place


class Side:
    """A process that works with the package of one checkout.

    Parameters
    ----------
    checkout : Path
    """

    def __init__(self, checkout: Path) -> None:
        # Kernels are cached by place and content, so that sides never share compiled code.
        environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "tools" / "bench_work.py"), str(checkout)],
            env=environment,
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, name: str) -> float:
        """Do a piece of work and return its processor time in seconds.

        Raises
        ------
        RuntimeError
            When the process ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{name}\n")
            self._process.stdin.flush()
            return float(self._process.stdout.readline())
        except (BrokenPipeError, ValueError):
            self._process.kill()
            raise RuntimeError(f"'{name}' cannot be measured, see above") from None

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def measure(sides: tuple[Path, Path], names: list[str], rounds: int) -> tuple[Measurements, Measurements]:
    """Measure two checkouts in turn; who is first changes from round to round.

    Parameters
    ----------
    sides : (Path, Path)
        The checkouts.
    names : list of str
        Of `WORKS`.
    rounds : int

    Returns
    -------
    (dict, dict)
        For each side, by name, seconds of every round.
    """
    found: tuple[Measurements, Measurements] = ({name: [] for name in names}, {name: [] for name in names})
    with ExitStack() as stack:
        processes = [Side(checkout) for checkout in sides]
        for process in processes:
            stack.callback(process.close)
        for name in names:
            print(f"  {name}", file=sys.stderr, flush=True)
            for number in range(rounds):
                for side in (0, 1) if number % 2 == 0 else (1, 0):
                    found[side][name].append(processes[side].measure(name))
    return found


def main() -> int:
    """Compare with the commit that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", metavar="BASE", help="commit, branch or tag to compare with")
    parser.add_argument("--rounds", type=int, default=7, help="per start (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=2, help="pairs of processes (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="what has this in its name")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="default: %(default)s")
    arguments = parser.parse_args()
    names = [name for name in WORKS if arguments.only in name]
    if not names or arguments.rounds < 1 or arguments.starts < 1:
        parser.error(f"nothing to measure; there is {', '.join(WORKS)}")
    before: Measurements = {name: [] for name in names}
    after: Measurements = {name: [] for name in names}
    try:
        base = check_out(arguments.base)
        for start in range(arguments.starts):
            print(f"start {start + 1} of {arguments.starts}", file=sys.stderr, flush=True)
            found = measure((base, HERE), names, arguments.rounds)
            for name in names:
                before[name] += found[0][name]
                after[name] += found[1][name]
    except (subprocess.CalledProcessError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return report_ratios(before, after, arguments.threshold)


if __name__ == "__main__":
    sys.exit(main())
