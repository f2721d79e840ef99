"""Texture coordinates for models that come without."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MARGIN = 0.02


def unwrap(vertices: ArrayLike, triangles: ArrayLike) -> NDArray[np.float32]:
    """Texture coordinates ``(V, 2)`` in [0, 1] for a mesh; u right, v down, as a face is seen.

    A projection onto a cylinder around the head, cut open at its back. Not injective where a ray
    from the axis meets the surface twice (ears, lips).

    Args:
        vertices: ``(V, 3)``; x to the subject's left, y up, z out of the face, in any unit.
        triangles: ``(T, 3)`` ids; the vertices that they use span the chart.

    Raises:
        ValueError: for ids out of range.
    """
    points = np.asarray(vertices, np.float64)
    ids = np.unique(triangles)
    if not len(ids) or ids[0] < 0 or ids[-1] >= len(points):
        raise ValueError(f"triangles: expected ids from 0 to {len(points) - 1}")
    used = points[ids]
    middle = (used.min(0) + used.max(0)) / 2
    # The axis lies behind an open face, and in the middle of a whole head.
    depth = min(middle[2], used[:, 2].max() - np.ptp(used[:, 0]) / 2)
    angle = np.arctan2(points[:, 0] - middle[0], points[:, 2] - depth)
    chart = np.stack((angle, -points[:, 1]), axis=1)
    low, high = chart[ids].min(0), chart[ids].max(0)
    scaled = _MARGIN + (1 - 2 * _MARGIN) * (chart - low) / np.maximum(high - low, 1e-12)
    return np.clip(scaled, 0, 1).astype(np.float32)
