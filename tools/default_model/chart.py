"""Texture coordinates: an injective map of the surface onto a rounded square."""

from __future__ import annotations

import numpy as np

from pgnface.morphable.unwrap import border_loops, flatten_disk


def flatten(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Texture coordinates ``(V, 2)``, u to the subject's left, v down: mirrored vertices of a
    mirror-symmetric surface get mirrored places.

    Args:
        points: ``(V, 3)`` neutral vertices of a disk-shaped surface.
        triangles: ``(T, 3)``.
    """
    border = border_loops(triangles)
    if len(border) != 1:
        raise ValueError(f"expected a surface with one border, got {len(border)}")
    (loop,) = border
    top = int(np.lexsort((-points[loop, 1], np.abs(points[loop, 0]) > 1e-6))[0])
    return flatten_disk(points, triangles, np.roll(loop, -top))


def spread_rings(uv: np.ndarray, points: np.ndarray, rings: list[np.ndarray]) -> np.ndarray:
    """Texture coordinates with the rings of an eye placed as they look from the front.

    A general map squeezes a narrow patch that has many rings; here an iris must stay round.

    Args:
        uv, points: ``(V, 2)`` and ``(V, 3)``.
        rings: ids of the border's ring, the inner rings and the centre vertex.
    """
    loop, *inner, center = rings
    design = np.concatenate((points[loop, :2], np.ones((len(loop), 1))), axis=1)
    affine = np.linalg.lstsq(design, uv[loop], rcond=None)[0]
    middle = np.append(points[center[0], :2], 1) @ affine
    reach = np.linalg.norm(points[loop, :2] - points[center, :2], axis=1)
    uv = uv.copy()
    uv[center] = middle
    for ring in inner:
        part = np.linalg.norm(points[ring, :2] - points[center, :2], axis=1) / reach
        uv[ring] = middle + part[:, None] * (uv[loop] - middle)
    return uv
