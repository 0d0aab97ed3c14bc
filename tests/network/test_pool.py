"""Workers that are killed in the middle of a search: each costs its own case, and the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from procrustes_model import run_network
from procrustes_model.errors import SpecError
from procrustes_model.network import engine, pool, solve
from procrustes_model.network.case import Case
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.result import load_run
from procrustes_model.network.solve import Outcome

LAYERS = ("a", "b", "c", "d")
NET: dict[str, Any] = {
    "network": {
        "name": "four",
        "layers": [
            {"name": name, "kind": "fully_connected", "input_channels": 4, "channels": 4 + 2 * i}
            for i, name in enumerate(LAYERS)
        ],
    }
}
ASKED: dict[str, Any] = {"batch": 2, "phases": ["fw"], "seconds": None}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")


def _channels(case: Case) -> int:
    return case.problem.dimensions["K"]


def _die_at(
    case: Case, _: float | None, __: str, *, channels: int, times: Path, found: dict[str, Outcome]
) -> Outcome:
    """Say what was found for a case, but kill this process first at one, as often as `times` has lines."""
    if _channels(case) == channels:
        left = times.read_text().splitlines()
        if left:
            times.write_text("\n".join(left[1:]))
            os.kill(os.getpid(), signal.SIGKILL)
    return found[case.key]


def _want_memory(case: Case, _: float | None) -> Any:
    if _channels(case) == 8:
        raise MemoryError
    return solve_search(case, None)


solve_search = solve._search


@dataclass(frozen=True)
class Whole:
    """A run in which nothing goes wrong: its folder, and what its searches found."""

    folder: Path
    found: dict[str, Outcome]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder, found = tmp_path_factory.mktemp("whole"), {}

    def noted(case: Case, limit: float | None) -> Outcome:
        found[case.key] = solve.solve(case, limit)
        return found[case.key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "solve", noted)
        run_network("simple_3level", NET, out=folder, workers=1, **ASKED)
    return Whole(folder, found)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.*")}


def _deadly(
    monkeypatch: pytest.MonkeyPatch, where: ModuleType, folder: Path, whole: Whole, channels: int, times: int
) -> None:
    """Let workers die. They search nothing: to load the kernels takes each some seconds."""
    counter = folder / "times"
    counter.write_text("\n".join("x" * times))
    deadly = partial(_die_at, channels=channels, times=counter, found=whole.found)
    monkeypatch.setattr(where, "solve", deadly)


def test_who_is_killed_once_is_searched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whole: Whole
) -> None:
    _deadly(monkeypatch, pool, tmp_path, whole, 6, 1)
    seen: list[RunProgress] = []
    run_network("simple_3level", NET, out=tmp_path / "run", workers=2, progress=seen.append, **ASKED)
    assert (tmp_path / "times").read_text() == ""
    assert [one.done for one in seen] == [0, 1, 2, 3, 4]
    assert _files(tmp_path / "run") == _files(whole.folder)


@pytest.mark.parametrize("workers", [2, 4])
def test_who_is_killed_twice_fails_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whole: Whole, workers: int
) -> None:
    _deadly(monkeypatch, pool, tmp_path, whole, 8, 9)
    with pytest.raises(SpecError, match=r"^c \(forward, dense\): .* was killed, twice; .* fewer --workers"):
        run_network("simple_3level", NET, out=tmp_path / "run", workers=workers, **ASKED)
    assert len((tmp_path / "times").read_text().split()) == 9 - 2
    assert len(list((tmp_path / "run" / "cases").iterdir())) == 3
    monkeypatch.undo()
    seen: list[RunProgress] = []
    run_network("simple_3level", NET, out=tmp_path / "run", workers=2, progress=seen.append, **ASKED)
    assert (seen[0].kept, seen[0].damaged) == (3, ())
    assert _files(tmp_path / "run") == _files(whole.folder)


def test_who_is_killed_on_a_cluster_fails_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whole: Whole
) -> None:
    pytest.importorskip("distributed")
    import dask

    _deadly(monkeypatch, engine, tmp_path, whole, 8, 99)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(SpecError, match=r"^c \(forward, dense\): .* was killed, twice"),
    ):
        run_network("simple_3level", NET, out=tmp_path / "run", workers=2, engine="dask", **ASKED)
    assert len((tmp_path / "times").read_text().split()) == 99 - 2
    assert len(list((tmp_path / "run" / "cases").iterdir())) == 3


def test_want_of_memory_costs_one_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(solve, "_search", _want_memory)
    with pytest.raises(SpecError, match=r"^c \(forward, dense\): .* more memory than there is"):
        run_network("simple_3level", NET, out=tmp_path, workers=1, **ASKED)
    assert len(list((tmp_path / "cases").iterdir())) == 3


def test_failures_stand_in_the_order_of_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    def backwards(cases: list[Case], _: Any) -> Any:
        for case in sorted(cases, key=_channels, reverse=True):
            yield case.key, SpecError(f"no {_channels(case)}").issues

    monkeypatch.setattr(engine, "run_cases", backwards)
    monkeypatch.setattr("procrustes_model.network.run.run_cases", backwards)
    with pytest.raises(SpecError) as caught:
        run_network("simple_3level", NET, **ASKED)
    assert [issue.message[0] for issue in caught.value.issues] == list(LAYERS)


def test_no_worker_outlives_the_run(tmp_path: Path, root: Path) -> None:
    """Neither after it ended nor after it was killed."""
    script = (
        "from procrustes_model import run_network\n"
        "from tests.network.test_pool import ASKED, NET\n"
        "run_network('simple_3level', NET, out='run', workers=2, **ASKED)\n"
    )
    cases, tag = tmp_path / "run" / "cases", f"worker_of_{os.getpid()}_{tmp_path.name}"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root), "PROCRUSTES_TEST_TAG": tag},
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not (cases.is_dir() and list(cases.glob("*.json"))):
            time.sleep(0.01)
        process.kill()
    assert _wait_for_none(tag)
    run_network("simple_3level", NET, out=tmp_path / "run", workers=1, **ASKED)
    assert len(load_run(tmp_path / "run").rows) == len(LAYERS)


def _wait_for_none(tag: str) -> bool:
    """Say whether all processes with a tag in their environment end soon."""
    for _ in range(300):
        left = [one for one in Path("/proc").glob("[0-9]*/environ") if _has(one, tag.encode())]
        if not left:
            return True
        time.sleep(0.1)
    return False


def _has(file: Path, tag: bytes) -> bool:
    try:
        return tag in file.read_bytes()
    except OSError:
        return False
