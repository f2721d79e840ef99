import pytest
import torch

from pgnface.bench import machine
from pgnface.bench.case import Floor
from pgnface.bench.machine import Limits


def test_limits_bound_a_computation():
    limits = Limits(bandwidth=10.0, arithmetic=100.0)
    assert limits.seconds(Floor(50, 100)) == 5 and limits.binds(Floor(50, 100)) == "memory"
    assert limits.seconds(Floor(5, 100)) == 1 and limits.binds(Floor(5, 100)) == "arithmetic"


def test_measured_limits_are_plausible(monkeypatch):
    monkeypatch.setattr(machine, "_LEAST_BUFFER", 1 << 20)
    monkeypatch.setattr(machine, "_MOST_BUFFER", 1 << 20)
    monkeypatch.setattr(machine, "_MATRIX", {"cpu": 128})
    limits = machine.measure_limits()
    assert 1e8 < limits.bandwidth < 1e13 and 1e8 < limits.arithmetic < 1e15


def test_cache_and_memory():
    assert 1 << 15 <= machine.last_level_cache() <= 1 << 33
    assert machine.rotation_size() <= machine.available_memory() // 8 + (64 << 20)


def test_room(monkeypatch):
    monkeypatch.setattr(machine, "available_memory", lambda device: 1000)
    assert machine.has_room(Floor(400)) and not machine.has_room(Floor(600))
    assert not machine.has_room(Floor(200), ours=False) and machine.has_room(Floor(40), ours=False)


def test_unknown_system(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CACHES", tmp_path)
    assert machine.last_level_cache() == 96 << 20


def test_the_description_names_versions_and_commit(monkeypatch):
    monkeypatch.setenv("PGNFACE_COMMIT", "abc")
    found = machine.describe()
    assert found["torch"] == torch.__version__ and found["commit"] == "abc"
    assert {"cpu", "cores", "threads", "last_level_cache"} <= found.keys()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_description_of_a_gpu():
    assert machine.describe()["cuda_capability"] and machine.last_level_cache("cuda") > 0
