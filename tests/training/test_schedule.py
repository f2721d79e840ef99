from itertools import pairwise

import pytest

from pgnface.training.schedule import learning_rate_factor


def test_warms_up_peaks_and_falls_to_the_floor():
    factors = [learning_rate_factor(step, 100, 10) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[10] == 1
    assert all(a < b for a, b in pairwise(factors[:11]))
    assert all(a > b for a, b in pairwise(factors[10:]))
    assert factors[100] == pytest.approx(0.01)


def test_shorter_than_its_warm_up_and_past_its_end():
    assert 0 < learning_rate_factor(3, 2, 10) < 1
    assert learning_rate_factor(1000, 100, 10) == pytest.approx(0.01)
    assert learning_rate_factor(0, 100, 0) == 1
