"""What the machine can do at most: measured, not read from a data sheet."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import torch

from .case import Floor
from .clock import time_calls

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNKNOWN_CACHE = 96 << 20
_LEAST_BUFFER, _MOST_BUFFER = 256 << 20, 1 << 30
_OWN_MEMORY, _PEER_MEMORY = 2, 20  # times the bytes of the floor
_MATRIX = {"cpu": 2048, "cuda": 8192}


class Limits(NamedTuple):
    """Measured limits of a device with the present number of threads.

    Attributes:
        bandwidth: bytes per second of a copy between buffers larger than the cache, read and
            written bytes counted, as in STREAM.
        arithmetic: operations per second of a float32 matrix product.
    """

    bandwidth: float
    arithmetic: float

    def seconds(self, floor: Floor) -> float:
        """Shortest possible time of a computation."""
        return max(floor.bytes / self.bandwidth, floor.operations / self.arithmetic)

    def binds(self, floor: Floor) -> str:
        """Which of the two limits a computation meets first: "memory" or "arithmetic"."""
        by_memory = floor.bytes / self.bandwidth > floor.operations / self.arithmetic
        return "memory" if by_memory else "arithmetic"


def measure_limits(device: str = "cpu") -> Limits:
    """Measure copy bandwidth and arithmetic peak."""
    cache = last_level_cache(device)
    size = max(_LEAST_BUFFER, min(2 * cache, _MOST_BUFFER, available_memory(device) // 8))
    source, target = (torch.ones(size // 4, device=device) for _ in range(2))
    copy = time_calls(itertools.repeat(lambda: target.copy_(source)), device)
    side = _MATRIX[device]
    a, b = torch.rand(2, side, side, device=device)
    out = torch.empty_like(a)
    product = time_calls(itertools.repeat(lambda: torch.mm(a, b, out=out)), device)
    return Limits(2 * source.nbytes / copy.median, 2 * side**3 / product.median)


def last_level_cache(device: str = "cpu") -> int:
    """Bytes of the largest cache; a guess where the system does not say."""
    if device == "cuda":
        return torch.cuda.get_device_properties("cuda").L2_cache_size
    sizes = [int(path.read_text().strip().rstrip("K")) for path in _CACHES.glob("index*/size")]
    return max(sizes, default=_UNKNOWN_CACHE >> 10) << 10


def available_memory(device: str = "cpu") -> int:
    """Bytes that are free; a guess where the system does not say."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
        return int(found[1]) << 10
    except (OSError, TypeError):
        return 4 << 30


def has_room(floor: Floor, device: str = "cpu", *, ours: bool = True) -> bool:
    """Whether memory suffices for a computation; peers may hold many intermediate results."""
    return (_OWN_MEMORY if ours else _PEER_MEMORY) * floor.bytes < available_memory(device)


def rotation_size(device: str = "cpu") -> int:
    """Bytes that rotating inputs are to exceed: the largest cache, an eighth of memory at most."""
    return min(last_level_cache(device), available_memory(device) // 8)


def describe() -> dict[str, object]:
    """Metadata of a measurement, ready for JSON: versions, processor, device and commit."""
    from pgnface.info import collect_info

    found = collect_info()
    found["last_level_cache"] = last_level_cache()
    found["commit"] = _commit()
    if torch.cuda.is_available():
        found["cuda_driver"] = _query_driver()
        found["cuda_last_level_cache"] = last_level_cache("cuda")
        found["cuda_capability"] = ".".join(map(str, torch.cuda.get_device_capability()))
    return found


def _commit() -> str | None:
    """Of the checkout that the working folder is in, with "-dirty" where it is changed."""
    told = os.environ.get("PGNFACE_COMMIT")  # for copies of a checkout without its history
    return told or _output("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _query_driver() -> str | None:
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
