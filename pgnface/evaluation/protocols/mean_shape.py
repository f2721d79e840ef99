"""The baseline that any network must beat: the mean landmark shape placed in the true box."""

from __future__ import annotations

import torch
from torch import Tensor


def place_in_box(shape: Tensor, target: Tensor) -> Tensor:
    """A box-normalised shape ``(68, 3)`` in the tight boxes of landmarks ``(N, 68, 3)``."""
    low, high = target[..., :2].amin(1), target[..., :2].amax(1)
    size = high - low
    depth = size.prod(-1, keepdim=True).sqrt()
    shift = torch.cat((low, torch.zeros_like(depth)), -1)
    return shape * torch.cat((size, depth), -1)[:, None] + shift[:, None]


def normalise_to_box(landmarks: Tensor) -> Tensor:
    """Landmarks ``(N, 68, 3)`` with their tight box taken to the unit square; z is centred and
    divided by sqrt(w h). The inverse of :func:`place_in_box`.
    """
    low, high = landmarks[..., :2].amin(1), landmarks[..., :2].amax(1)
    size = high - low
    xy = (landmarks[..., :2] - low[:, None]) / size[:, None]
    z = landmarks[..., 2:] - landmarks[..., 2:].mean(1, keepdim=True)
    return torch.cat((xy, z / size.prod(-1).sqrt()[:, None, None]), -1)
