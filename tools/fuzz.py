"""Damage every kind of file a little, and see that each damage is refused in words.

python tools/fuzz.py [--mutations 20000] [--seed 1] [--kinds architecture,problem] [--only NUMBER]

Every shipped file and samples of the others are changed as users mistype and disks fail: keys and words
misspelt, keys added, values of other types and ranges, things deleted, doubled, nested and swapped, text cut,
bytes overwritten. Each is read in this process as the commands read it. Two things are findings:

- an exception that is no SpecError, or a reader that takes longer than `LONGEST`;
- an unknown name that is accepted: a key or a word was misspelt or a key added, and the file is read with the
  same result.

Prints what was tried and each finding with the number that `--only` repeats. Ends with status 1 where there
is one, with 0 otherwise. The same seed tries the same damages.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_mutations import Mutation, mutate_bytes, mutate_data, mutate_text, to_yaml
from fuzz_subjects import CLEAN, Subject, sealed, subjects

from procrustes_model.errors import SpecError
from procrustes_model.printable import printable_block
from procrustes_model.spec.text.yaml_text import parse_yaml

LONGEST = 5.0
"""Seconds that reading one file may take."""
_MEMORY = 4 * 2**30
"""Bytes that may be taken beside what is taken already."""


@dataclass(frozen=True)
class Finding:
    """What should not be.

    Attributes
    ----------
    number : int
        Of the damage.
    kind : {'traceback', 'unknown name'}
    subject, damage : str
    what : str
        The exception and where it was raised.
    """

    number: int
    kind: str
    subject: str
    damage: str
    what: str


@dataclass
class Summary:
    """What a run of damages gave.

    Attributes
    ----------
    tried, refused : Counter
        By kind of file.
    findings : list of Finding
    """

    tried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def to_text(self) -> str:
        """Return a line per kind of file, and a block per sort of finding."""
        heads = ("damages", "refused", "read", "tracebacks", "unknown names")
        lines = [f"{'kind':<14}" + "".join(f"{head:>15}" for head in heads)]
        found = Counter((one.subject.split(":")[0], one.kind) for one in self.findings)
        for kind, tried in sorted(self.tried.items()):
            refused, failed = self.refused[kind], found[kind, "traceback"]
            row = (tried, refused, tried - refused - failed, failed, found[kind, "unknown name"])
            lines.append(f"{kind:<14}" + "".join(f"{number:>15}" for number in row))
        total = sum(self.tried.values())
        kinds = Counter(one.kind for one in self.findings)
        counted = f"{kinds['traceback']} tracebacks, {kinds['unknown name']} accepted unknown names"
        lines.append(f"{total} damages: {counted}")
        sorts: dict[tuple[str, str], list[Finding]] = {}
        for one in self.findings:
            sorts.setdefault((one.kind, one.what), []).append(one)
        for (kind, what), alike in sorted(sorts.items(), key=lambda item: -len(item[1])):
            numbers = ", ".join(str(one.number) for one in alike[:8])
            lines += [
                f"\n{kind}, {len(alike)} times: {what}",
                f"  {alike[0].subject}: {alike[0].damage}",
                f"  --only {numbers}",
            ]
        return "\n".join(lines)


def same(left: Any, right: Any) -> bool:
    """Say whether two results are the same."""
    if isinstance(left, np.ndarray):
        return bool(np.array_equal(left, right))
    try:
        return bool(left == right)
    except ValueError:  # of arrays
        return False


def damaged(subject: Subject, rng: random.Random) -> tuple[bytes, Mutation]:
    """Return the content of a file with one damage, of its data mostly where it has some."""
    if subject.suffix == ".yaml" and rng.random() < 0.85:
        data, mutation = mutate_data(parse_yaml(subject.content.decode(), None).data, rng)
        return to_yaml(data), mutation
    if subject.suffix == ".json" and rng.random() < 0.9:
        data, mutation = mutate_data(json.loads(subject.content), rng)
        # A case may have more keys than are read, and its results are checked by evaluating it again.
        mutation = mutation._replace(name=False)
        if subject.kind == "case" and isinstance(data, dict):
            return sealed(data), mutation
        return json.dumps(data).encode("utf-8", "surrogatepass"), mutation
    if subject.suffix in (".yaml", ".json"):
        return mutate_text(subject.content.decode(), rng)
    return mutate_bytes(subject.content, rng)


def is_free(subject: Subject, mutation: Mutation) -> bool:
    """Say whether a key stands where names are the user's own."""
    return any(f".{key}." in f".{mutation.what}" for key in subject.free)


class TooSlowError(BaseException):
    """A reader takes longer than `LONGEST`."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise a `TooSlowError` in the main thread after so long, where the system can."""

    def stop(*_: object) -> None:
        raise TooSlowError

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Bench:
    """Where damages are tried.

    Attributes
    ----------
    folder : Path
        Gets the damaged files.
    chosen : list of Subject
    seed : int
    clean : dict
        By subject, what its file says without damage, as far as it was needed.
    """

    folder: Path
    chosen: list[Subject]
    seed: int
    clean: dict[str, Any] = field(default_factory=dict)

    def try_one(self, number: int, summary: Summary) -> None:
        """Damage one file, read it, and note what came of it."""
        rng = random.Random(f"{self.seed} {number}")  # noqa: S311
        kind = rng.choice(sorted({one.kind for one in self.chosen}))
        subject = rng.choice([one for one in self.chosen if one.kind == kind])
        content, mutation = damaged(subject, rng)
        summary.tried[kind] += 1

        def note(sort: str, what: str) -> None:
            title = f"{kind}: {subject.name}"
            summary.findings.append(Finding(number, sort, title, mutation.what, what))

        try:
            with time_limit(LONGEST), contextlib.redirect_stderr(io.StringIO()):
                result = self._read(subject, content)
        except SpecError as error:
            summary.refused[kind] += 1
            if printable_block(str(error)) != str(error):
                note("traceback", "a message with control characters")
        except TooSlowError:
            note("traceback", f"longer than {LONGEST:g} s")
        except Exception as error:  # noqa: BLE001  # that is what is looked for
            own = [one for one in traceback.extract_tb(error.__traceback__) if "procrustes" in one.filename]
            where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "no file of the program"
            note("traceback", f"{type(error).__name__} at {where}: {str(error)[:80]!r}")
        else:
            if mutation.name and not is_free(subject, mutation) and same(result, self._clean(subject)):
                note("unknown name", f"{kind} accepts it without an effect")

    def _read(self, subject: Subject, content: bytes) -> Any:
        place = Path(tempfile.mkdtemp(dir=self.folder))
        path = place / f"{CLEAN}{subject.suffix}"
        path.write_bytes(content)
        try:
            return subject.read(path)
        finally:
            shutil.rmtree(place)

    def _clean(self, subject: Subject) -> Any:
        title = f"{subject.kind}: {subject.name}"
        if title not in self.clean:
            self.clean[title] = self._read(subject, subject.content)
        return self.clean[title]


def fuzz(
    mutations: int,
    seed: int = 1,
    *,
    kinds: tuple[str, ...] | None = None,
    only: Sequence[int] | None = None,
    tick: Callable[[int], None] | None = None,
) -> Summary:
    """Damage files and read them.

    Parameters
    ----------
    mutations : int
        How many damages are tried.
    seed : int
    kinds : tuple of str, optional
        Of files; all by default.
    only : sequence of int, optional
        The numbers of some damages.
    tick : callable, optional
        Called with the number of each.
    """
    summary = Summary()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        bench = Bench(folder, subjects(folder / "made", kinds), seed)
        for number in only or range(mutations):
            bench.try_one(number, summary)
            if tick is not None:
                tick(number)
    return summary


def _limit_memory() -> None:
    """Let a file that claims to be huge fail, and not the machine."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, resource.RLIM_INFINITY))


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Damage every kind of file a little, and read it.")
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", type=lambda text: tuple(text.split(",")))
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER")
    options = parser.parse_args()
    _limit_memory()

    def tick(number: int) -> None:
        if sys.stderr.isatty() and number % 100 == 0:
            sys.stderr.write(f"\r{number}")

    summary = fuzz(options.mutations, options.seed, kinds=options.kinds, only=options.only, tick=tick)
    print(summary.to_text())
    sys.exit(1 if summary.findings else 0)


if __name__ == "__main__":
    main()
