"""Kernels that others call are code to link; only what Python calls is machine code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from procrustes_model.kernels.cache import COMPILED, links_kernels
from procrustes_model.kernels.dense.arrays import Floats
from procrustes_model.kernels.jit import kernel

pytestmark = pytest.mark.skipif(
    not (COMPILED and links_kernels()), reason="kernels are plain Python, or another Numba compiles them"
)


@kernel
def scaled(value: float, by: float) -> float:
    """Multiply."""
    return value * by


@kernel
def halved(values: Floats) -> Floats:
    """Return an array of its own: its owner goes from kernel to kernel."""
    halves = np.empty(len(values))
    for i in range(len(values)):
        halves[i] = scaled(values[i], 0.5)
    return halves


@kernel
def total(values: Floats, count: int) -> float:
    """Add up, with a number that is an integer where `scaled` takes another kind."""
    halves, found = halved(values), 0.0
    for i in range(len(halves)):
        found += scaled(halves[i], 2.0) + scaled(count, 1.0)
    return found


@kernel
def refused(value: int) -> int:
    """Raise what Python sees."""
    if value < 0:
        raise ValueError("below 0")
    return value


@kernel
def passed_on(value: int) -> int:
    """Call what may raise."""
    return refused(value) + 1


def test_what_others_call_is_no_machine_code() -> None:
    """Nor is it compiled once more for an integer where its parameter is annotated as `float`."""
    assert total(np.arange(4.0), 3) == 6 + 4 * 3
    from numba.core import types

    part: Any = cast("Any", scaled).part
    part.get_call_template((types.int64, types.literal(2)), {})
    (compiled,) = part.overloads.values()
    assert compiled.signature.args == (types.float64, types.float64)
    assert not compiled.library._finalized
    (entry,) = cast("Any", total).compiled.overloads.values()
    assert entry.library._finalized
    seen = {
        function.name
        for function in entry.library.get_defined_functions()
        if "internal" not in str(function.linkage)
    }
    assert not any("scaled" in name for name in seen)


def test_a_kernel_may_be_called_by_python_and_by_kernels() -> None:
    """Each way gives what plain Python gives."""
    assert scaled(3.0, 0.5) == 1.5
    np.testing.assert_array_equal(halved(np.arange(3.0)), [0.0, 0.5, 1.0])


def test_errors_come_through_what_is_linked() -> None:
    """What a kernel raises that another one calls is raised by the call from Python."""
    assert passed_on(1) == 2
    with pytest.raises(ValueError, match="below 0"):
        passed_on(-1)


def test_what_is_kept_is_linked_by_another_process(tmp_path: Path) -> None:
    """A process finds the machine code of an earlier one, and what it may link to code of its own."""
    (tmp_path / "made_up.py").write_text(
        "import numpy as np\n"
        "from procrustes_model.kernels.jit import kernel\n"
        "@kernel\ndef third(x: float) -> float:\n    return x / 3\n"
        "@kernel\ndef thirds(x: float) -> float:\n    return third(x) + third(2 * x) * len(np.zeros(1))\n"
        "@kernel\ndef more(x: float) -> float:\n    return third(x) * len(np.ones(2)) + thirds(x)\n"
    )
    script = (
        "import sys, made_up\n"
        "for name in sys.argv[1:]:\n"
        "    made = getattr(made_up, name)\n"
        "    print(made(3.0), sum(made.compiled.stats.cache_hits.values()))\n"
    )
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
    }

    def run(*names: str) -> list[str]:
        command = [sys.executable, "-c", script, *names]
        return subprocess.check_output(command, env=environment, text=True, cwd=tmp_path).splitlines()

    assert run("thirds") == ["3.0 0"]
    assert run("thirds", "more") == ["3.0 1", "5.0 0"]
