"""Kernels of single evaluations: plain Python as a rule, with the bytes that compiled ones give."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from procrustes_model import evaluate
from procrustes_model.kernels import jit
from procrustes_model.kernels.cache import COMPILED

MAPPING = "procrustes_16x16/vgg_s_conv3_2_kn"
LAYER = ("procrustes_16x16", "vgg_s/conv3_2", MAPPING)

compiled_only = pytest.mark.skipif(not COMPILED, reason="nothing is compiled here")


def _mask() -> dict[str, Any]:
    return {"Weights": np.random.default_rng(5).random((256, 256, 3, 3)) < 0.1}


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "dense": dict,
    "expected": lambda: {"sparsity": "procrustes", "densities": {"Weights": 0.1}},
    "published rules": lambda: {"sparsity": "procrustes_2020", "densities": {"Weights": 0.1}},
    "mask": lambda: {"sparsity": "procrustes", "masks": _mask()},
}


@compiled_only
@pytest.mark.parametrize("case", CASES)
def test_plain_and_compiled_kernels_give_the_same_bytes(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = CASES[case]()
    written = []
    for spent in (-60.0, math.inf):
        monkeypatch.setattr(jit.plain_time, "spent", spent)
        written.append(json.dumps(evaluate(*LAYER, **ask).to_dict()))
    assert written[0] == written[1]


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", *LAYER],
        ["evaluate", *LAYER, "--sparsity", "procrustes", "--density", "W=0.1"],
        ["evaluate", *LAYER, "--sparsity", "procrustes", "--phase", "all", "--masks", "mask.npz"],
        ["imbalance", *LAYER, "--sparsity", "procrustes", "--density", "W=0.1", "--samples", "2"],
        ["explain", *LAYER, "GlobalBuffer", "Weights"],
        ["validate", *LAYER[:1]],
    ],
    ids=lambda words: " ".join(words[::4]),
)
def test_one_mapping_needs_no_compiler(words: list[str], tmp_path: Path) -> None:
    """In a process of its own that cannot import numba, with a folder of kernels that holds nothing."""
    np.savez(tmp_path / "mask.npz", **_mask())
    code = (
        "import sys; sys.modules['numba'] = None; "
        f"sys.argv = ['procrustes', *{words!r}]; from procrustes_model.cli import main; main()"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@compiled_only
def test_what_takes_long_is_compiled_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may spend some time on plain kernels; the call that passes it starts again, compiled."""
    monkeypatch.setattr(jit, "_ALLOWANCE", {True: 1.0, False: 1.0})
    monkeypatch.setattr(jit.plain_time, "spent", 1.0 - 1e-9)
    told = jit.announce_compiled.set(lambda: said.append("compiled"))
    said: list[str] = []
    try:
        stopped = evaluate(*LAYER).to_dict()
        assert said == ["compiled"] and jit.plain_time.spent > 1.0 - 1e-9
        again = evaluate(*LAYER).to_dict()
    finally:
        jit.announce_compiled.reset(told)
    assert said == ["compiled"] * 2 and stopped == again
    monkeypatch.setattr(jit.plain_time, "spent", -60.0)
    assert evaluate(*LAYER).to_dict() == stopped


@compiled_only
def test_within_once_everything_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit.plain_time, "spent", -60.0)
    until = jit.once(lambda: (jit._plain_until.get(), jit.once(jit._plain_until.get)))
    assert until[0] == until[1] is not None
    assert jit._plain_until.get() is None


@compiled_only
def test_an_error_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit.plain_time, "spent", -60.0)
    with pytest.raises(ZeroDivisionError):
        jit.once(lambda: 1 // 0)
    assert jit._plain_until.get() is None
