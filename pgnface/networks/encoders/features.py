"""What every encoder returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Features(NamedTuple):
    """Features of a batch of images.

    Attributes:
        maps: ``(N, C_k, H / 4 / 2**k, W / 4 / 2**k)`` for k = 0..3, finest first.
        pooled: ``(N, C_3)``, the mean of the deepest map.
    """

    maps: tuple[Tensor, ...]
    pooled: Tensor
