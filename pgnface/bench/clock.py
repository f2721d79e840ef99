"""How calls are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

_HEAD_START = 5_000_000  # clock cycles, some milliseconds: longer than the host takes to launch


class Timing(NamedTuple):
    """Seconds of a call.

    Attributes:
        median: over the repeats.
        iqr: their interquartile range.
        repeats: how many.
    """

    median: float
    iqr: float
    repeats: int

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        """Of measured times."""
        values = torch.tensor(seconds, dtype=torch.float64)
        low, middle, high = values.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
        return cls(float(middle), float(high - low), len(seconds))


def time_calls(
    calls: Iterator[Callable[[], None]],
    device: str = "cpu",
    *,
    budget: float = 0.3,
    least: int = 5,
    warmup: int = 2,
) -> Timing:
    """Time calls one by one until the budget is spent.

    On CUDA it is the device's time, between two events around the call; the device is kept busy
    before, so that the host's launches are not in it.

    Args:
        calls: an endless iterator.
        device: on which they run.
        budget: seconds for all of them.
        least: repeats when one takes long, as far as four budgets reach.
        warmup: untimed calls first.
    """
    for _ in range(warmup):
        next(calls)()
    once = _on_device if device == "cuda" else _on_host
    seconds: list[float] = []
    begin = time.perf_counter()
    while True:
        spent = time.perf_counter() - begin
        if spent > (budget if len(seconds) >= least else 4 * budget) and seconds:
            break
        seconds.append(once(next(calls)))
    return Timing.of(seconds)


def _on_host(call: Callable[[], None]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _on_device(call: Callable[[], None]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(_HEAD_START)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3
