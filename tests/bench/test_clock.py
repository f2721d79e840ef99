import itertools
from types import SimpleNamespace

import pytest

from pgnface.bench import clock
from pgnface.bench.clock import Timing, time_calls


def test_median_and_spread():
    timing = Timing.of([5.0, 1.0, 2.0, 3.0, 100.0])
    assert timing == (3.0, 3.0, 5)


class Work:
    """Calls that take some seconds of a clock that nothing else moves."""

    def __init__(self, monkeypatch, seconds: float):
        self.now, self.count, self.seconds = 0.0, 0, seconds
        monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def __call__(self) -> None:
        self.now += self.seconds
        self.count += 1


@pytest.mark.parametrize("seconds, repeats", [(0.25, 9), (1.0, 5), (3.0, 3), (20.0, 1)])
def test_repeats_until_the_budget_is_spent(monkeypatch, seconds, repeats):
    """Five at least, as far as four budgets reach."""
    work = Work(monkeypatch, seconds)
    timing = time_calls(itertools.repeat(work), budget=2.0, warmup=3)
    assert timing == (seconds, 0.0, repeats)
    assert work.count == repeats + 3
