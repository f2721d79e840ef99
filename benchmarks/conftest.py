"""Options, metadata and inputs of the benchmarks."""

import itertools
import platform
import subprocess

import numpy as np
import pytest
import torch

import pgnface

CACHE_BYTES = 96 << 20


def pytest_addoption(parser):
    parser.addoption("--threads", type=int, default=1, help="CPU threads of the kernels and torch")


def pytest_benchmark_update_machine_info(config, machine_info):
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    machine_info.update(
        pgnface=pgnface.__version__,
        torch=torch.__version__,
        threads=config.getoption("--threads"),
        commit=commit.stdout.strip(),
        processor=platform.processor(),
    )
    if torch.cuda.is_available():
        machine_info.update(device=torch.cuda.get_device_name(), cuda=torch.version.cuda)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return request.param


@pytest.fixture(autouse=True)
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.config.getoption("--threads"))
    yield
    torch.set_num_threads(before)


@pytest.fixture
def measure(benchmark, device):
    """``measure(function, *inputs)``: times calls on rotating copies of the inputs."""

    def run(function, *inputs, backward: bool = False):
        size = sum(t.nbytes for t in inputs if isinstance(t, torch.Tensor))
        copies = max(1, min(64, CACHE_BYTES // max(size, 1)))

        def copy(value):
            if not isinstance(value, torch.Tensor):
                return value
            return value.detach().to(device, copy=True).requires_grad_(value.requires_grad)

        rotation = itertools.cycle([[copy(v) for v in inputs] for _ in range(copies)])

        def once():
            arguments = next(rotation)
            output = function(*arguments)
            if backward:
                leaves = [a for a in arguments if isinstance(a, torch.Tensor) and a.requires_grad]
                torch.autograd.grad(output.sum(), leaves)
            if device == "cuda":
                torch.cuda.synchronize()

        benchmark(once)

    return run


@pytest.fixture(scope="session")
def face_mesh():
    """A face of BFM's size in image space at 224 pixels: vertices (35709, 3), triangles."""
    import trimesh

    model = pgnface.load_model()
    vertices, faces = model.mean.numpy(), model.triangles.numpy()
    while len(vertices) < 35_709:
        vertices, faces = trimesh.remesh.subdivide(vertices, faces)
    # Subdivision appends its new vertices, so cutting the list thins the mesh without holes in
    # the coarse levels; triangles of dropped vertices go.
    faces = faces[(faces < 35_709).all(1)]
    vertices = vertices[:35_709] * [1, -1, -1]
    low, high = vertices.min(0), vertices.max(0)
    vertices = (vertices - (low + high) / 2) * (0.9 * 224 / np.ptp(vertices[:, 1])) + 112
    return torch.tensor(vertices, dtype=torch.float32), torch.tensor(faces, dtype=torch.int32)
