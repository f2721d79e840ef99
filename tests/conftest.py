"""Shared fixtures. The data kit beside the repository is used where it is present."""

import os
from pathlib import Path

import pytest
import torch

KIT = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser):
    parser.addoption("--emulated-cuda", metavar="FOLDER", help="see tests/cuda_emulation/README.md")
    parser.addoption("--deterministic", action="store_true", help="torch's deterministic mode")


def pytest_configure(config):
    if config.getoption("--emulated-cuda"):
        from tests.cuda_emulation.emulate import emulate_cuda

        emulate_cuda(Path(config.getoption("--emulated-cuda")))
    torch.use_deterministic_algorithms(config.getoption("--deterministic"))


def pytest_collection_modifyitems(config, items):
    if config.getoption("--emulated-cuda"):
        skip = pytest.mark.skip(reason="what the CPU kernels alone do")
        for item in items:
            if item.get_closest_marker("cpu_kernels"):
                item.add_marker(skip)


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
