"""What happened between two entries of the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass
class Interval:
    """The updates since the last entry.

    Attributes:
        steps: how many.
        means: of each value, by name; over the forward passes that had it.
        seconds_per_step: wall time, without what :meth:`StepMeter.leave_out` took out.
        data_seconds_per_step: of it, spent waiting for data.
    """

    steps: int
    means: dict[str, float]
    seconds_per_step: float
    data_seconds_per_step: float


class StepMeter:
    """Sums values and times of updates until they are logged. It starts at ``step``."""

    def __init__(self, step: int) -> None:
        self._restart(step)

    def _restart(self, step: int) -> None:
        self._step, self._begin, self._data_seconds = step, time.monotonic(), 0.0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in scalars; nothing waits for their device."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def waited_for_data(self, seconds: float) -> None:
        """Take in seconds that passed before a batch was there."""
        self._data_seconds += seconds

    def leave_out(self, seconds: float) -> None:
        """Take in seconds that are no part of a step's time."""
        self._begin += seconds

    def take(self, step: int) -> Interval:
        """What came since the last call, now that ``step`` updates are done."""
        steps = step - self._step
        interval = Interval(
            steps,
            {name: float(value) / self._counts[name] for name, value in self._sums.items()},
            (time.monotonic() - self._begin) / max(steps, 1),
            self._data_seconds / max(steps, 1),
        )
        self._restart(step)
        return interval
