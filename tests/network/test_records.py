"""Records of cases that are not what a search wrote are never used, whatever is wrong with them."""

from __future__ import annotations

import copy
import json
import math
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from procrustes_model import run_network
from procrustes_model.errors import SpecError
from procrustes_model.network.case import Case
from procrustes_model.network.plan import make_plan
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.record import CaseRecord, best_of, checksum
from procrustes_model.network.request import RunRequest
from procrustes_model.network.result import load_run
from procrustes_model.network.store import CaseStore, DamagedCaseError
from procrustes_model.network.verify import find_difference, verify
from procrustes_model.network.work import load_work, states_of
from procrustes_model.versions import VERSIONS

SURE = ("proven", "gap", "limit")
"""What no evaluation can tell of a record: the checksum alone guards it."""

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2.5, -0.5, 1e308, 1e-300, 10**30, math.nan, math.inf, "", "x", "\x1b[31m",
    "\ud800", [], [1], {}, {"a": 1}, [[]], {"": {}}, "9" * 5000,
)  # fmt: skip
ONE: dict[str, Any] = {
    "network": {
        "name": "one",
        "layers": [{"name": "only", "kind": "fully_connected", "input_channels": 8, "channels": 12}],
    }
}
ASKED: dict[str, Any] = {
    "batch": 8,
    "phases": ["fw", "wu"],
    "dataflow": "KN",
    "sparsity": "procrustes",
    "baseline": "dense",
    "densities": {"Weights": 0.25, "Inputs": 0.5},
    "seconds": None,
    "workers": 1,
}


@dataclass(frozen=True)
class Kept:
    """A finished run in a folder, and the case of each of its records."""

    folder: Path
    cases: dict[str, Case]

    def text(self, key: str) -> str:
        """Return the file of a case."""
        return (self.folder / "cases" / f"{key}.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Return a run of two phases with a baseline."""
    folder = tmp_path_factory.mktemp("run")
    run_network("procrustes_16x16", ONE, out=folder, **ASKED)
    work = load_work(RunRequest("procrustes_16x16", ONE, **ASKED))
    return Kept(folder, make_plan(work, states_of(work)).cases)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each part of nested data."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from _places(part, (*path, key))


def _mutate(data: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a copy of the data of a record with one thing changed anywhere."""
    data = copy.deepcopy(data)
    path = rng.choice(list(_places(data)))
    home: Any = data
    for key in path[:-1]:
        home = home[key]
    key, value = path[-1], home[path[-1]]
    kind = rng.choice(["odd", "odd", "near", "delete", "more", "move", "swap"])
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "near" and number:
        home[key] = rng.choice([-value, value + 1, value * 2, value * (1 + 1e-6), str(value), float(value)])
    elif kind == "delete":
        del home[key]
    elif kind == "more" and isinstance(value, dict):
        value["more"] = rng.choice(ODD)
    elif kind == "more" and isinstance(value, list):
        value.append(rng.choice([*value, *ODD]))
    elif kind == "move" and isinstance(home, dict):
        home[key] = home.pop(key)
    elif kind == "swap" and isinstance(home, dict):
        other = rng.choice(list(home))
        home[key], home[other] = home[other], home[key]
    else:
        home[key] = rng.choice(ODD)
    return data


def _write(data: Any, *, sealed: bool = False) -> str:
    """Return data as the file of a case, with a checksum that fits where `sealed`."""
    if sealed:
        data = {key: value for key, value in data.items() if key != "checksum"}
        try:
            data["checksum"] = checksum(data)
        except ValueError:  # of what is no number, or no text, there is none
            data["checksum"] = "0" * 32
    return json.dumps(data)


def _load(folder: Path, key: str, content: str | bytes, case: Case) -> CaseRecord | None:
    """Return what a run takes from a folder in which a case has this content."""
    (folder / "cases").mkdir(exist_ok=True)
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / "cases" / f"{key}.json").write_bytes(raw)
    record = CaseStore(folder).get(key)
    if record is not None:
        verify(record, case)
    return record


def _use(folder: Path, key: str, text: str, case: Case) -> CaseRecord | str:
    """Return the record that a run takes from a folder with this file, or why it takes none."""
    try:
        record = _load(folder, key, text, case)
    except (DamagedCaseError, SpecError) as error:
        return str(error)
    assert record is not None
    return record


@pytest.mark.parametrize("sealed", [False, True])
def test_whatever_was_changed(kept: Kept, tmp_path: Path, sealed: bool) -> None:
    """Sealed: even where the checksum fits, a record says what case and mapping say, or is not used."""
    rng, used = random.Random(1), 0  # noqa: S311
    for _ in range(400):
        key, case = rng.choice(list(kept.cases.items()))
        good = json.loads(kept.text(key))
        changed = _mutate(good, rng)
        text = _write(changed, sealed=sealed)
        if text == json.dumps(good):
            continue
        found = _use(tmp_path, key, text, case)
        if isinstance(found, str):
            version = changed.get("version")
            newer = type(version) is int and version > VERSIONS["case"]
            assert ("upgrade procrustes_model" in found) == newer
            assert 0 < len(found) < 600 and found.isprintable(), changed
            continue
        claims = {name: getattr(found, name) for name in SURE}
        assert sealed or not any(set(good) != set(changed) or good[key] != changed[key] for key in good)
        before = replace(CaseRecord.from_json(kept.text(key)), **claims)
        assert find_difference(asdict(before), asdict(found)) is None, changed
        used += 1
    assert used < 20


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no whole JSON"),
        (b"null", "no procrustes_case"),
        (b"[1]", "no procrustes_case"),
        (b'{"format": "procrustes_case"}', "key: field required"),
        (b'{"format": "procrustes_network"}', "no procrustes_case"),
        (b"\x00\xff\xfe" * 100, "no text"),
        (b"\x1b[31m{}", "no whole JSON"),
        pytest.param(b"[" * 100_000, "no whole JSON", id="deep"),
        pytest.param(b'{"a":' * 100_000, "no whole JSON", id="deeper"),
        pytest.param(b"9" * 5000, "no whole JSON", id="long"),
        (b'{"format": "procrustes_case", "gap": -Infinity}', "no whole JSON"),
        (b'{"format": "procrustes_case", "version": true}', "whole number of at least 1"),
        (b'{"format": "procrustes_case", "version": "3"}', "whole number of at least 1"),
        (b'{"format": "procrustes_case", "version": 3, "\\u001b[31m": 1}', "checksum"),
        (b'{"format": "procrustes_case", "\\u001b[31m": 1}', "key: field required"),
    ],
)
def test_what_is_no_record(kept: Kept, tmp_path: Path, content: bytes, said: str) -> None:
    key, case = next(iter(kept.cases.items()))
    with pytest.raises(DamagedCaseError, match=said) as caught:
        _load(tmp_path, key, content, case)
    assert str(caught.value).isprintable()


def test_no_part_of_a_record_is_one(kept: Kept, tmp_path: Path) -> None:
    key, case = next(iter(kept.cases.items()))
    raw, rng = kept.text(key).encode(), random.Random(2)  # noqa: S311
    for end in [*range(0, len(raw) - 2, 97), len(raw) - 3]:
        with pytest.raises(DamagedCaseError):
            _load(tmp_path, key, raw[:end], case)
    for _ in range(200):
        at = rng.randrange(len(raw))
        flipped = raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]
        try:
            same = json.loads(flipped) == json.loads(raw)
        except ValueError:
            same = False
        if not same:
            with pytest.raises(ValueError, match="it "):
                _load(tmp_path, key, flipped, case)


def test_records_of_other_cases(kept: Kept, tmp_path: Path) -> None:
    for key, case in kept.cases.items():
        for other in kept.cases:
            data = json.loads(kept.text(other))
            if other != key:
                assert _use(tmp_path, key, _write(data), case) == "it holds another case"
                moved = _use(tmp_path, key, _write(data | {"key": key}, sealed=True), case)
                assert isinstance(moved, str) and ("of this case" in moved or "bypasses" in moved)


def test_mappings_that_constraints_do_not_allow(kept: Kept, tmp_path: Path) -> None:
    """A mapping found without a dataflow costs what its record says, and breaks KN all the same."""
    run_network("procrustes_16x16", ONE, out=tmp_path / "free", **{**ASKED, "dataflow": "CK"})
    loose = [json.loads(path.read_text()) for path in sorted((tmp_path / "free" / "cases").iterdir())]
    reasons = []
    for key, case in kept.cases.items():
        data = json.loads(kept.text(key))
        for other in loose:
            if (other["problem"], other["result"].get("sparsity")) == (
                data["problem"],
                data["result"].get("sparsity"),
            ):
                found = _use(tmp_path, key, _write(other | {"key": key}, sealed=True), case)
                assert isinstance(found, str)
                reasons.append(found)
    assert len(reasons) == len(kept.cases)
    assert all(one.startswith("its mapping breaks the constraints: ") for one in reasons)


def test_mappings_beyond_a_limit(kept: Kept, tmp_path: Path) -> None:
    key, case = next(iter(kept.cases.items()))
    limited = replace(case, objective="edp, cycles<=1")
    data = json.loads(kept.text(key)) | {"objective": limited.objective}
    assert "beyond the limits" in str(_use(tmp_path, key, _write(data, sealed=True), limited))


def test_older_records_are_read(kept: Kept, tmp_path: Path) -> None:
    """Versions 1 and 2 told how long a search took, and had no checksum; 1 had another gap."""
    for key, case in kept.cases.items():
        now = CaseRecord.from_json(kept.text(key))
        old = {name: part for name, part in json.loads(kept.text(key)).items() if name != "checksum"}
        old = old | {"version": 2, "seconds": 0.25}
        assert _use(tmp_path, key, json.dumps(old), case) == now
        first = _use(tmp_path, key, json.dumps(old | {"version": 1, "gap": 0.25, "proven": False}), case)
        assert first == replace(now, gap=0.2, proven=False)
        assert isinstance(_use(tmp_path, key, json.dumps(old | {"version": 3}), case), str)


def test_damage_is_mended_and_told(kept: Kept, tmp_path: Path) -> None:
    shutil.copytree(kept.folder, tmp_path, dirs_exist_ok=True)
    files = sorted((tmp_path / "cases").iterdir())
    files[0].write_bytes(b"\xff")
    changed = json.loads(files[1].read_text(encoding="utf-8"))
    changed["proven"] = not changed["proven"]
    files[1].write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(SpecError, match=r"is not what a search wrote: it.*; run it again"):
        load_run(tmp_path)
    seen: list[RunProgress] = []
    run_network("procrustes_16x16", ONE, out=tmp_path, progress=seen.append, **ASKED)
    assert seen[-1].total - seen[-1].kept == 2
    told = {Path(issue.file or "").name: issue.message for issue in seen[0].damaged}
    assert told == {
        files[0].name: "not used, and searched again: it is no text",
        files[1].name: "not used, and searched again: its content does not fit its checksum",
    }
    for file in kept.folder.rglob("*.*"):
        assert (tmp_path / file.relative_to(kept.folder)).read_bytes() == file.read_bytes()


def test_what_is_no_file_is_refused_before_a_search(kept: Kept, tmp_path: Path) -> None:
    key = next(iter(kept.cases))
    (tmp_path / "cases" / f"{key}.json").mkdir(parents=True)
    with pytest.raises(SpecError, match="must be a file; remove it"):
        run_network("procrustes_16x16", ONE, out=tmp_path, **ASKED)
    assert len(list((tmp_path / "cases").iterdir())) == 1


def test_runs_that_are_none(kept: Kept, tmp_path: Path) -> None:
    shutil.copytree(kept.folder, tmp_path, dirs_exist_ok=True)
    good = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    rng = random.Random(3)  # noqa: S311
    for _ in range(300):
        changed = _mutate({key: value for key, value in good.items() if key != "inputs"}, rng)
        if rng.random() < 0.9:
            changed["inputs"] = good["inputs"]
        (tmp_path / "run.json").write_text(json.dumps(changed), encoding="utf-8")
        try:
            load_run(tmp_path)
        except SpecError as error:
            said = str(error)
        else:
            continue
        assert said.isprintable() and len(said) < 900


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ((10.0, 0.5, 1.0), (5.0, 0.4, 9.0), (5.0, 0.4, 9.0)),
        ((10.0, 0.5, 1.0), (10.0, None, None), (10.0, None, None)),
        ((10.0, 0.5, 1.0), (20.0, 0.6, 9.0), (10.0, 0.2, 9.0)),
        ((10.0, 0.1, 1.0), (20.0, 0.6, 9.0), (10.0, 0.1, 9.0)),
        ((10.0, None, 1.0), (20.0, None, 9.0), (10.0, None, 9.0)),
    ],
)
def test_a_search_with_more_time_loses_nothing(
    kept: Kept,
    before: tuple[float, float | None, float | None],
    after: tuple[float, float | None, float | None],
    wanted: tuple[float, float | None, float | None],
) -> None:
    record = CaseRecord.from_json(kept.text(next(iter(kept.cases))))

    def make(energy: float, gap: float | None, limit: float | None) -> CaseRecord:
        result = record.result | {"energy_pj": energy, "cycles": 1}
        return replace(record, result=result, gap=gap, limit=limit, proven=False)

    best = best_of(make(*before), make(*after))
    assert (best.energy_pj, best.limit) == (wanted[0], wanted[2])
    assert best.gap == (None if wanted[1] is None else pytest.approx(wanted[1]))
