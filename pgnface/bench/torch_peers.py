"""The fastest formulations in torch that we know of, where the twins are not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pgnface import ops
from pgnface.ops import reference


def evaluate_morphable(
    mean: Tensor,
    basis: Tensor,
    coefficients: Tensor,
    scale: Tensor | None = None,
    rotation: Tensor | None = None,
    translation: Tensor | None = None,
) -> Tensor:
    """Two products of matrices, each with its addition."""
    shape = torch.addmm(mean.flatten(), coefficients, basis.flatten(1)).unflatten(1, (-1, 3))
    if scale is None:
        return shape
    linear = (scale[:, None, None] * rotation).transpose(1, 2)
    return torch.baddbmm(translation[:, None], shape, linear)


def interpolate(attributes: Tensor, triangles: Tensor, fragments: ops.Fragments) -> Tensor:
    """A weighted bag of rows for each pixel; its backward is slower than that of a gather."""
    if torch.is_grad_enabled():
        return reference.interpolate(attributes, triangles, fragments)
    ids, barycentrics, _ = fragments
    weights = torch.cat((barycentrics, 1 - barycentrics.sum(-1, keepdim=True)), -1)
    first = torch.arange(len(ids), device=ids.device)[:, None, None, None] * attributes.shape[1]
    rows = triangles.long()[ids.long().clamp(min=0)] + first
    values = F.embedding_bag(
        rows.flatten(0, 2),
        attributes.flatten(0, 1),
        per_sample_weights=(weights * (ids >= 0)[..., None]).flatten(0, 2),
        mode="sum",
    )
    return values.unflatten(0, ids.shape)


def sample_colors(image: Tensor, points: Tensor) -> Tensor:
    """``grid_sample`` at a row of points."""
    size = points.new_tensor(image.shape[:1:-1])
    grid = points[:, :, None, :2] * (2 / size) - 1
    sampled = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    return sampled[..., 0].transpose(1, 2)


def edge_gradient(
    image: Tensor, vertices: Tensor, triangles: Tensor, fragments: ops.Fragments
) -> Tensor:
    """Without gradients there is nothing to do but the copy."""
    if torch.is_grad_enabled():
        return reference.edge_gradient(image, vertices, triangles, fragments)
    return image.clone()
