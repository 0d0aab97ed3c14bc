"""What all tests share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.warm import warm_up

# Kernels compile at their first call, which no deadline should count.
settings.register_profile(
    "project", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")

ROOT = Path(__file__).parent.parent
SHARED = ("tiny_run", "cost", "digits")
"""Fixtures that take long and that tests share: a run of a network, of a training run, an example's data."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the kernels once, before workers would each compile them side by side."""
    config = session.config
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.getoption("markexpr")
    if whole and config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        warm_up()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Keep tests that share a run on one worker (``--dist loadgroup``), lest each worker makes it again."""
    for item in items:
        shared = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
        if item.path.parent.name == "reproduction":  # its items read each other's runs
            shared = ["reproduction"]
        for name in shared:
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder that holds the project."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of reference data."""
    return ROOT / "tests" / "data"
