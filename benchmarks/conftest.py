"""Options, axes, metadata and the clock of the benchmarks."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import torch

from pgnface.bench import clock, machine
from pgnface.bench.case import Case
from pgnface.bench.inputs import Scene
from pgnface.bench.meshes import SIZES

from . import peers

# The default subset and the full grid; an option of the same name replaces either.
AXES = {
    "batch": ((1, 16), (1, 4, 16, 64, 256)),
    "size": ((224,), (112, 224, 512)),
    "mesh": (("bfm",), ("builtin", "ict", "bfm", "large")),
}
# A face model's evaluation is bound by memory in small batches and by arithmetic in large ones.
DEFAULTS = {("test_evaluate_morphable", "batch"): (1, 16, 64)}


class Place(NamedTuple):
    """Where a case runs."""

    device: str
    threads: int

    def __str__(self) -> str:
        return "cuda" if self.device == "cuda" else f"cpu{self.threads}"


def pytest_addoption(parser):
    group = parser.getgroup("pgnface")
    group.addoption("--grid", choices=("default", "full"), default="default")
    group.addoption("--batch", type=int, nargs="+", help="batch sizes")
    group.addoption("--size", type=int, nargs="+", help="sides of the images in pixels")
    group.addoption("--mesh", choices=SIZES, nargs="+", help="face meshes")
    group.addoption("--threads", type=int, nargs="+", default=[1], help="CPU threads; 1 2 for both")
    group.addoption("--device", choices=("cpu", "cuda"), nargs="+", help="default: what there is")
    group.addoption("--ours", action="store_true", help="leave the peers out")


def pytest_configure(config):
    # What suffices for medians, where the command line says nothing else.
    given = {str(argument).partition("=")[0] for argument in config.invocation_params.args}
    if "--benchmark-max-time" not in given:
        config.option.benchmark_max_time = 0.5
    if "--benchmark-columns" not in given:
        config.option.benchmark_columns = ["median", "iqr", "rounds"]


def pytest_generate_tests(metafunc):
    config, names = metafunc.config, metafunc.fixturenames
    full = config.getoption("--grid") == "full"
    for axis, (default, every) in AXES.items():
        if axis in names:
            default = DEFAULTS.get((metafunc.function.__name__, axis), default)
            chosen = config.getoption(f"--{axis}") or (every if full else default)
            metafunc.parametrize(axis, chosen)
    if "place" in names:
        metafunc.parametrize("place", places_of(config), ids=str)


def places_of(config) -> list[Place]:
    """Where the options say that everything runs."""
    devices = config.getoption("--device") or ["cpu"] + ["cuda"] * torch.cuda.is_available()
    places = [Place("cpu", n) for n in config.getoption("--threads")] * ("cpu" in devices)
    return places + [Place("cuda", 1)] * ("cuda" in devices)


def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info.update(machine.describe())
    machine_info.update(peers.versions())
    machine_info["command"] = shlex.join(["pytest", *map(str, config.invocation_params.args)])
    if not config.getoption("benchmark_json"):
        return
    limits = machine_info["limits"] = {}
    for place in places_of(config):
        with threads_set(place.threads):
            limits[str(place)] = machine.measure_limits(place.device)._asdict()


def pytest_benchmark_update_json(output_json):
    for entry in output_json["benchmarks"]:
        entry["stats"].pop("data", None)  # every single time: megabytes


@contextmanager
def threads_set(count: int):
    """Within the block torch and the kernels have so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def model(mesh) -> str:
    """The face model behind a mesh, a licensed one from the data kit; skips without it."""
    if mesh != "ict":
        return "default"
    path = peers.KIT / "models" / "ict_face.npz"
    if not path.exists():
        pytest.skip("needs the data kit beside the repository")
    return str(path)


@pytest.fixture
def scene(place, mesh, model, batch, size) -> Scene:
    """Faces in front of pictures."""
    return Scene(mesh, batch, size, place.device, model)


@pytest.fixture(autouse=True)
def threads(request):
    """The number of threads that the test's place says."""
    if "place" not in request.fixturenames:
        yield
        return
    place = request.getfixturevalue("place")
    if place.device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with threads_set(place.threads):
        yield
    if place.device == "cuda":
        torch.cuda.empty_cache()


@pytest.fixture
def compare(benchmark, place, request):
    """``compare(case, implementation, backward)``: times one implementation of a case."""
    # One table for each set of parameters, with a row for each implementation.
    parameters = getattr(request.node.callspec, "_idlist", [request.node.callspec.id])
    implementation = request.node.callspec.params.get("implementation")
    benchmark.group = "-".join(
        [request.node.originalname, *(part for part in parameters if part != implementation)]
    )

    def run(case: Case, implementation: str = "pgnface", backward: bool = False) -> None:
        if implementation != "pgnface":
            if request.config.getoption("--ours"):
                pytest.skip("--ours")
            if implementation not in case.peers:
                case.peers[implementation] = peers.find(implementation, case)
        floor = case.floor(backward)
        if not machine.has_room(floor, place.device, ours=implementation == "pgnface"):
            pytest.skip("needs more memory")
        rotate = machine.rotation_size(place.device)
        calls = case.calls(implementation, backward=backward, rotate=rotate)
        note(
            benchmark,
            case=case.name,
            implementation=implementation,
            backward=backward,
            group=benchmark.group,
            place=str(place),
            bytes=floor.bytes,
            operations=floor.operations,
        )
        time_call(benchmark, calls, place)

    return run


def time_call(benchmark, calls, place: Place) -> None:
    """Time calls; on CUDA each is waited for, and the device's own time is noted beside."""
    for _ in range(2):  # the first ones make the inputs, load kernels and fill the allocator
        next(calls)()
    if place.device == "cuda":
        torch.cuda.synchronize()
        timing = clock.time_calls(calls, "cuda", warmup=0)
        note(benchmark, device_median=timing.median, device_iqr=timing.iqr)

    def once():
        next(calls)()
        if place.device == "cuda":
            torch.cuda.synchronize()

    benchmark(once)


def note(benchmark, **facts) -> None:
    """Facts that go into the JSON beside the times."""
    benchmark.extra_info.update(facts)
