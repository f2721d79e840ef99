"""Face meshes of given sizes, made of the built-in one, so that nothing licensed is needed."""

from __future__ import annotations

import heapq
import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface.geometry import flip_axes
from pgnface.morphable import load_model

SIZES = {"builtin": None, "ict": None, "bfm": (35_709, 70_789), "large": (150_000, 298_700)}
"""Vertices and triangles by name, ``None`` for a model's own mesh; "bfm" is the size of the face of
the Basel Face Model."""

_HEIGHT = 1.02
"""Of the face in image heights: it then covers about 72 % of the picture."""


@cache
def face_mesh(name: str = "bfm", model: str = "default") -> tuple[Tensor, Tensor]:
    """A frontal face in image space, for a picture of side 1: vertices (V, 3), triangles (T, 3).

    Args:
        name: a key of :data:`SIZES`.
        model: face model to start from.
    """
    source = load_model(model)
    vertices, triangles = flip_axes(source.mean).double().numpy(), source.triangles.numpy()
    if SIZES[name] is not None:
        vertices, triangles = split_edges(vertices, triangles, *SIZES[name])
    vertices = torch.from_numpy(vertices)
    low, high = vertices.amin(0), vertices.amax(0)
    vertices = (vertices - (low + high) / 2) * (_HEIGHT / (high - low)[1]) + 0.5
    return vertices.float(), torch.from_numpy(triangles).to(torch.int32)


def split_edges(
    vertices: NDArray, triangles: NDArray, vertex_count: int, triangle_count: int
) -> tuple[NDArray, NDArray]:
    """Refine a mesh to exact numbers of vertices and triangles, always splitting the longest edge.

    An edge inside the surface adds one vertex and two triangles, one of its border one and one, so
    that the two numbers say how many of each are split. The surface stays closed and the triangles
    well-shaped (longest-edge bisection, Rivara 1984).

    Args:
        vertices: ``(V, 3)``.
        triangles: ``(T, 3)``.
        vertex_count, triangle_count: of the result.

    Raises:
        ValueError: when no splits lead from the one mesh to the other.
    """
    more_vertices = vertex_count - len(vertices)
    inside = triangle_count - len(triangles) - more_vertices
    border = more_vertices - inside
    if inside < 0 or border < 0:
        raise ValueError(
            f"split_edges: {vertex_count} vertices and {triangle_count} triangles cannot be made "
            f"of {len(vertices)} and {len(triangles)}"
        )
    points, faces = vertices.tolist(), triangles.tolist()
    around: dict[tuple[int, int], list[int]] = {}  # triangles at each edge
    for index, corners in enumerate(faces):
        for edge in _edges(corners):
            around.setdefault(edge, []).append(index)
    # The longest edge first, inside the surface and on its border; edges that are gone are skipped.
    queues: dict[bool, list] = {True: [], False: []}

    def enqueue(edge: tuple[int, int]) -> None:
        queue = queues[len(around[edge]) == 1]
        heapq.heappush(queue, (-math.dist(points[edge[0]], points[edge[1]]), edge))

    for edge in around:
        enqueue(edge)
    for on_border, splits in ((True, border), (False, inside)):
        for _ in range(splits):
            edge = None
            while edge not in around:
                _, edge = heapq.heappop(queues[on_border])
            middle = len(points)
            points.append(
                [(p + q) / 2 for p, q in zip(points[edge[0]], points[edge[1]], strict=True)]
            )
            new = set()
            for index in around.pop(edge):
                a, b, c = _rotated(faces[index], edge)
                faces[index] = [a, middle, c]
                faces.append([middle, b, c])
                moved = around[_key(b, c)]
                moved[moved.index(index)] = len(faces) - 1
                new |= {_key(a, middle), _key(middle, b), _key(middle, c)}
                around.setdefault(_key(a, middle), []).append(index)
                around.setdefault(_key(middle, b), []).append(len(faces) - 1)
                around[_key(middle, c)] = [index, len(faces) - 1]
            for edge in sorted(new):
                enqueue(edge)
    return np.asarray(points), np.asarray(faces)


def _key(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _edges(corners: list[int]) -> list[tuple[int, int]]:
    a, b, c = corners
    return [_key(a, b), _key(b, c), _key(c, a)]


def _rotated(corners: list[int], edge: tuple[int, int]) -> list[int]:
    """The corners, turned so that the edge is that of the first two."""
    while corners[2] in edge:
        corners = [*corners[1:], corners[0]]
    return corners
