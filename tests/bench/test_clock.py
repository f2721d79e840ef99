import itertools
import time

import pytest

from pgnface.bench.clock import Timing, time_calls


def test_median_and_spread():
    timing = Timing.of([5.0, 1.0, 2.0, 3.0, 100.0])
    assert timing == (3.0, 3.0, 5)


def counted(seconds: float = 0.0):
    counter = itertools.count()

    def call():
        next(counter)
        time.sleep(seconds)

    return itertools.repeat(call), lambda: next(counter)


def test_repeats_until_the_budget_is_spent():
    calls, count = counted(0.002)
    timing = time_calls(calls, budget=0.05, warmup=3)
    assert timing.median >= 0.002 and timing.repeats * 0.002 <= 0.06
    assert count() == timing.repeats + 3


@pytest.mark.parametrize("seconds, expected", [(0.011, 5), (0.06, 1)])
def test_slow_calls_are_repeated_as_far_as_four_budgets_reach(seconds, expected):
    assert time_calls(counted(seconds)[0], budget=0.013, warmup=0).repeats == expected
