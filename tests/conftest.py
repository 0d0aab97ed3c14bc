"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Kernels compile at their first call, which no deadline should count.
settings.register_profile(
    "project", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder that holds the project."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of reference data."""
    return ROOT / "tests" / "data"
