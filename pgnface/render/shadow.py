"""Shadows that a face casts on itself: under the nose and chin, in the eye sockets.

Precomputed radiance transfer (Sloan, Kautz and Snyder, SIGGRAPH 2002, sec. 4): which directions
each vertex of the mean face can see is found once and stored in spherical harmonics, so that a
shadowed face costs one product more than a bare one. Expressions move the surface but not the
stored shadows, which is close enough for rendered training faces.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgnface import ops

from .lighting import shade, spherical_harmonics


def shadow_transfer(
    vertices: Tensor, triangles: Tensor, directions: int = 128, resolution: int = 128
) -> Tensor:
    """What each vertex receives of each of the nine harmonics, shadows included: ``(V, 9)``.

    ``transfer @ coefficients`` is the light that a white vertex reflects, in the scale of
    :func:`pgnface.render.shade`.

    Args:
        vertices: ``(V, 3)`` in model space.
        triangles: ``(T, 3)``.
        directions: number of directions, spread evenly over the sphere.
        resolution: pixels of the shadow maps.
    """
    ways = _fibonacci_sphere(directions).to(vertices)
    adjacency = ops.build_adjacency(triangles, len(vertices))
    normals = ops.vertex_normals(vertices[None], adjacency)[0]
    centered = vertices - (vertices.amax(0) + vertices.amin(0)) / 2
    scale = 0.49 * resolution / centered.norm(dim=-1).max()
    # Image axes of a viewer in each direction: x right, y down, z away from the viewer.
    up = torch.where(
        ways[:, 1:2].abs() > 0.9, ways.new_tensor((0.0, 0.0, 1.0)), ways.new_tensor((0.0, 1.0, 0.0))
    )
    right = torch.nn.functional.normalize(torch.linalg.cross(up, ways), dim=-1)
    axes = torch.stack((right, torch.linalg.cross(right, ways), -ways), dim=1)
    transfer = vertices.new_zeros(len(vertices), 9)
    for axis, way in zip(axes, ways, strict=True):
        points = (centered @ axis.T * scale)[None]
        points = points + points.new_tensor((resolution / 2, resolution / 2, 0))
        depth = ops.rasterize(points, triangles, resolution, resolution).depth
        seen = ops.vertex_visibility(points, triangles, depth, tolerance=1.5)[0]
        cosine = (normals @ way).clamp(min=0) * seen
        transfer += cosine[:, None] * spherical_harmonics(way)
    return _smoothed(transfer * (4 / directions), triangles)


def self_shadow(transfer: Tensor, normals: Tensor, coefficients: Tensor) -> Tensor:
    """The share of its light that reaches each vertex past the rest of the face: ``(N, V, 1)``.

    Args:
        transfer: ``(V, 9)`` of the mean face.
        normals: ``(V, 3)`` of the mean face.
        coefficients: ``(N, 9, C)`` radiance in model space.
    """
    gray = coefficients.mean(-1, keepdim=True)
    shadowed, open_sky = transfer @ gray, shade(normals, gray)
    return (shadowed.clamp(min=0) / open_sky.clamp(min=0.05)).clamp(0.25, 1.0)


def _fibonacci_sphere(count: int) -> Tensor:
    index = torch.arange(count, dtype=torch.float64)
    y = 1 - (2 * index + 1) / count
    radius, angle = (1 - y * y).sqrt(), index * math.pi * (3 - math.sqrt(5))
    return torch.stack((radius * angle.cos(), y, radius * angle.sin()), dim=-1)


def _smoothed(values: Tensor, triangles: Tensor, rounds: int = 2) -> Tensor:
    """Values at vertices averaged with their neighbours': sampled visibility is noisy."""
    index = triangles.long()
    ones = torch.ones(len(triangles), 1, dtype=values.dtype, device=values.device)
    for _ in range(rounds):
        total, weight = torch.zeros_like(values), torch.zeros_like(values[:, :1])
        mean = values[index].mean(1)
        for corner in index.T:
            total.index_add_(0, corner, mean)
            weight.index_add_(0, corner, ones)
        values = torch.where(weight > 0, total / weight.clamp(min=1), values)
    return values
