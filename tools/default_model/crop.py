"""The part of the head that the model keeps: forehead to below the chin, ear to ear."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from .surface import Surface, drop_unused, largest_component

_TOP, _TOP_ARCH = 88.0, 0.0028  # mm; the upper border sinks towards the temples
_BACK, _JAW_LEVEL, _JAW_SLOPE = 21.0, -20.0, 0.6  # mm; below the level the border runs forwards
_BOTTOM = -95.0
_ROUNDING = 0.15  # 1/mm; sharpness of the corners of the border
_NEAREST_CUT = 0.12  # of an edge: keeps slivers out


def inside(points: np.ndarray) -> np.ndarray:
    """A smooth function of points ``(V, 3)`` in model space, positive in the kept part."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    limits = np.stack(
        (
            _TOP - y - _TOP_ARCH * x**2,
            z - _BACK - _JAW_SLOPE * np.clip(_JAW_LEVEL - y, 0, None),
            y - _BOTTOM,
        )
    )
    return -np.log(np.exp(-_ROUNDING * limits).sum(0)) / _ROUNDING


def crop(surface: Surface, points: np.ndarray) -> Surface:
    """Cut a surface along the zero level of :func:`inside`, with new vertices on its edges."""
    level = inside(points)
    count = len(points)
    cuts: dict[tuple[int, int], int] = {}
    weights: list[tuple[int, int, float]] = []

    def cut(a: int, b: int) -> int:
        a, b = min(a, b), max(a, b)
        if (a, b) not in cuts:
            cuts[a, b] = count + len(cuts)
            at = level[a] / (level[a] - level[b])
            weights.append((a, b, float(np.clip(at, _NEAREST_CUT, 1 - _NEAREST_CUT))))
        return cuts[a, b]

    def position(vertex: int) -> np.ndarray:
        if vertex < count:
            return points[vertex]
        a, b, t = weights[vertex - count]
        return (1 - t) * points[a] + t * points[b]

    kept = []
    for triangle in surface.triangles.tolist():
        keep = [level[v] > 0 for v in triangle]
        if all(keep):
            kept.append(triangle)
        elif any(keep):
            # Rotate so that the odd one out comes first.
            odd = keep.index(sum(keep) == 1)
            a, b, c = triangle[odd:] + triangle[:odd]
            p, q = cut(a, b), cut(a, c)
            if sum(keep) == 1:
                kept.append([a, p, q])
            elif np.linalg.norm(position(p) - points[c]) < np.linalg.norm(position(q) - points[b]):
                kept += [[p, b, c], [p, c, q]]
            else:
                kept += [[p, b, q], [b, c, q]]

    rows = np.repeat(np.arange(len(weights)), 2)
    columns = np.array([[a, b] for a, b, _ in weights]).ravel()
    values = np.array([[1 - t, t] for _, _, t in weights]).ravel()
    on_edges = sparse.csr_matrix((values, (rows, columns)), (len(weights), count))
    operator = sparse.vstack((surface.operator, on_edges @ surface.operator)).tocsr()
    triangles = largest_component(np.array(kept), operator.shape[0])
    return drop_unused(Surface(operator, triangles))[0]
