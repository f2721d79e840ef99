"""The learning rate as a function of the step."""

from __future__ import annotations

import math


def learning_rate_factor(step: int, steps: int, warmup_steps: int, floor: float = 0.01) -> float:
    """Linear warm-up, then half a cosine down to ``floor`` (Loshchilov & Hutter 2017).

    A function of the step alone, so that a resumed run follows the same curve.

    Args:
        step: from 0.
        steps: length of the run; later steps keep the last value.
        warmup_steps: steps until the factor is 1.
        floor: the factor at the end.
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
