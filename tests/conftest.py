"""Shared fixtures: reference data, seeds, the slow switch."""

from __future__ import annotations

import os
from pathlib import Path

# Several workers whose torch uses every core each wait for one another; read before torch is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runslow", action="store_true", help="also run tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--runslow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; run with --runslow"))


@pytest.fixture(scope="session")
def shared_root() -> Path:
    """Folder with the reference outputs and data; the test is skipped where it is absent."""
    root = Path(os.environ.get("INTERN25_SHARED", REPOSITORY.parent / "shared"))
    if not (root / "goldens").is_dir():
        pytest.skip(f"reference data not found at {root}; set INTERN25_SHARED to the folder that holds it")
    return root


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
