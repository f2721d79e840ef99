"""By how much faces are turned to larger yaws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pgnface._errors import UserError


class TurnRule(NamedTuple):
    """Which turns a face gets, by its yaw: always further to the side it looks to.

    Attributes:
        yaws: degrees to turn each face by.
        smallest: |yaw| in degrees that a face has at least after a turn.
        largest: |yaw| in degrees beyond which no face is turned.
    """

    yaws: Sequence[float] = (15.0, 30.0, 45.0)
    smallest: float = 0.0
    largest: float = 85.0

    def check(self) -> None:
        """Raises:
        UserError: without turns, for one that is not positive, or limits out of order.
        """
        if not self.yaws or not all(0 < yaw <= 180 for yaw in self.yaws):
            raise UserError(f"yaws must be positive degrees, got {tuple(self.yaws)}")
        if not 0 < self.largest <= 90:
            raise UserError(f"largest must lie between 0 and 90 degrees, got {self.largest}")
        if not 0 <= self.smallest <= self.largest:
            raise UserError(
                f"smallest must lie between 0 and largest ({self.largest:g}), got {self.smallest}"
            )

    def of(self, yaw: float) -> dict[int, float]:
        """What a face of a yaw is turned by, and the number of the turn from 1 on."""
        return {
            i: turn if yaw >= 0 else -turn
            for i, turn in enumerate(self.yaws, 1)
            if self.smallest <= abs(yaw) + turn <= self.largest
        }
