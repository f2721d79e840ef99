import time

import pytest
import torch

from pgnface.training.meter import StepMeter


def test_means_over_the_passes_that_had_a_value():
    meter = StepMeter(step=3)
    meter.add({"total": torch.tensor(1.0), "landmarks": torch.tensor(5.0)})
    meter.add({"total": torch.tensor(2.0)})
    interval = meter.take(step=5)
    assert interval.steps == 2
    assert interval.means == {"total": 1.5, "landmarks": 5.0}
    assert meter.take(step=5).means == {}


def test_times_are_of_one_step(monkeypatch):
    now = iter([10.0, 26.0, 30.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    meter = StepMeter(step=0)
    meter.waited_for_data(2.0)
    meter.leave_out(4.0)
    interval = meter.take(step=4)
    assert interval.seconds_per_step == pytest.approx((26 - 10 - 4) / 4)
    assert interval.data_seconds_per_step == pytest.approx(0.5)
