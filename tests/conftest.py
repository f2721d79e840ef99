"""Shared fixtures. The data kit beside the repository is used where it is present."""

from pathlib import Path

import pytest
import torch

KIT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def kit() -> Path:
    """The folder of the data kit; the test skips where it is absent."""
    if not KIT.is_dir():
        pytest.skip("needs the data kit beside the repository")
    return KIT


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from one random state."""
    torch.manual_seed(0)
