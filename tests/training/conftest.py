"""What tests of the training side share."""

from __future__ import annotations

from typing import Any

import pytest

NO_TORCH = "torch is not installed: pip install '.[torch]'"


@pytest.fixture
def torch() -> Any:
    """Return the library torch, on one thread; without it the test is skipped."""
    library = pytest.importorskip("torch", reason=NO_TORCH)
    library.set_num_threads(1)
    return library
