"""Shared fixtures. The data kit beside the repository is used where it is present."""

import os
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


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory):
    """Tests run in a folder that holds nothing but ``tests``, and so does a Python that they start:
    it must import the installed package, not the sources beside the tests.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "tests").symlink_to(Path(__file__).parent)
    os.chdir(folder)
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(folder) + (os.pathsep + path if path else "")


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from one random state."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_network():
    """An untrained network of the tiny face model for pictures of 32 pixels, in evaluation mode."""
    from pgnface.networks import NetworkConfig, PoseGuidanceNetwork
    from tests.models import tiny_model

    torch.manual_seed(0)
    config = NetworkConfig(image_size=32, map_size=8, code_size=16)
    return PoseGuidanceNetwork(tiny_model(), config).eval()
