"""Slow, readable torch twins of every op: what the tests compare the kernels with.

Each function has the name, the arguments and the meaning of its op in :mod:`pgnface.ops`; the
gradients are torch's own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .adjacency import Adjacency
from .solve_pose import Similarity


def sample_colors(image: Tensor, points: Tensor) -> Tensor:
    """Twin of :func:`pgnface.ops.sample_colors`."""
    height, width = image.shape[2:]
    finite = torch.isfinite(points[..., :2]).all(-1)
    xy = torch.where(finite[..., None], points[..., :2], torch.zeros_like(points[..., :2])) - 0.5
    limit = torch.tensor([width - 1, height - 1], dtype=xy.dtype, device=xy.device)
    xy = torch.minimum(xy.clamp(min=0), limit)
    low = torch.minimum(xy.detach().floor(), (limit - 1).clamp(min=0))
    (fx, fy), (x0, y0) = (xy - low).unbind(-1), low.long().unbind(-1)
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)
    batch = torch.arange(image.shape[0], device=image.device)[:, None]

    def pixel(y: Tensor, x: Tensor) -> Tensor:
        return image[batch, :, y, x]

    fx, fy = fx[..., None], fy[..., None]
    top = pixel(y0, x0) * (1 - fx) + pixel(y0, x1) * fx
    bottom = pixel(y1, x0) * (1 - fx) + pixel(y1, x1) * fx
    return (top * (1 - fy) + bottom * fy) * finite[..., None]


def evaluate_morphable(
    mean: Tensor,
    basis: Tensor,
    coefficients: Tensor,
    scale: Tensor | None = None,
    rotation: Tensor | None = None,
    translation: Tensor | None = None,
) -> Tensor:
    """Twin of :func:`pgnface.ops.evaluate_morphable`."""
    shape = mean + torch.einsum("np,pvd->nvd", coefficients, basis)
    if scale is None:
        return shape
    return scale[:, None, None] * shape @ rotation.transpose(1, 2) + translation[:, None]


def solve_pose(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Similarity:
    """Twin of :func:`pgnface.ops.solve_pose` for points that determine the similarity."""
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    weights = weights.clamp(min=0)[..., None]
    weights = weights / weights.sum(1, keepdim=True)
    source_mean, target_mean = (weights * source).sum(1), (weights * target).sum(1)
    x, y = source - source_mean[:, None], target - target_mean[:, None]
    u, d, vh = torch.linalg.svd((weights * y).transpose(1, 2) @ x)
    sign = torch.ones_like(d)
    sign[:, 2] = torch.det(u.detach() @ vh.detach()).sign()
    rotation = u * sign[:, None] @ vh
    scale = (d * sign).sum(-1) / (weights * x**2).sum((1, 2))
    translation = target_mean - scale[:, None] * (rotation @ source_mean[..., None])[..., 0]
    posed = scale[:, None, None] * source @ rotation.transpose(1, 2) + translation[:, None]
    residual = (weights * (target - posed) ** 2).sum((1, 2)).sqrt()
    return Similarity(scale, rotation, translation, residual)


def vertex_normals(vertices: Tensor, adjacency: Adjacency) -> Tensor:
    """Twin of :func:`pgnface.ops.vertex_normals`."""
    corners = adjacency.triangles.long()
    a, b, c = (vertices[:, corners[:, i]] for i in range(3))
    faces = torch.linalg.cross(b - a, c - a)
    sums = torch.zeros_like(vertices)
    for i in range(3):
        sums = sums.index_add(1, corners[:, i], faces)
    length = sums.norm(dim=-1, keepdim=True)
    short = length < 1e-12
    return torch.where(short, 0, sums / torch.where(short, 1, length))
