"""Self-supervision by several frames of one person: the visible texture is swapped between them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pgnface.ops import (
    Adjacency,
    Fragments,
    edge_gradient,
    interpolate,
    rasterize,
    sample_colors,
    vertex_normals,
    vertex_visibility,
)

from .photometric import census_loss, robust_loss

_RIDGE = 1e-3
_GAIN_RANGE = (0.25, 4.0)


class MultiFrameTerms(NamedTuple):
    """Result of :func:`multiframe_photometric_loss`, three scalars.

    Attributes:
        robust: robust colour difference (:func:`~pgnface.losses.robust_loss`).
        census: census distance (:func:`~pgnface.losses.census_loss`).
        valid_fraction: of the pixels that the faces cover, how many could be compared; no gradient.
    """

    robust: Tensor
    census: Tensor
    valid_fraction: Tensor


def multiframe_photometric_loss(
    images: Tensor,
    vertices: Tensor,
    adjacency: Adjacency,
    weights: Tensor | None = None,
    vertex_mask: Tensor | None = None,
    *,
    tolerance: float = 1.0,
    minimum_facing: float = 0.25,
) -> MultiFrameTerms:
    """Render each frame with the colours of each other frame, and compare with the real one.

    For every ordered pair (i, j) of a person's frames: colours are sampled at the vertices in frame
    i; the face is rendered with them in the geometry of frame j; gain and offset of its light are
    matched (:func:`match_illumination`); pixels are compared where all three vertices of their
    triangle are seen in both frames. Right shape and poses bring the same skin to the same vertex
    in both frames. (The texture swap of Liu et al., ACCV 2020; compare MVF-Net, Wu et al., CVPR
    2019.)

    Gradients reach the vertices of frame i through the places where its colours are read, those of
    frame j through barycentrics and through occlusions inside the face (the outline itself is
    always at the border of what is compared, since the background is unknown).

    Args:
        images: ``(B, F, 3, H, W)`` in [0, 1]: F frames of each person.
        vertices: ``(B, F, V, 3)`` in image space of these frames.
        adjacency: of the face model.
        weights: ``(B,)`` of the persons; 0 (or False) leaves one out.
        vertex_mask: ``(V,)`` bool, the vertices whose colours may be compared (such as skin, but
            not eyes); all when missing.
        tolerance: pixels by which a vertex may lie behind the z-buffer and still be seen.
        minimum_facing: cosine between a vertex's normal and the direction to the camera below which
            its colour is not trusted.

    Returns:
        :class:`MultiFrameTerms`; zeros for F = 1 or when nothing can be compared.

    Raises:
        ValueError: when images and vertices do not agree in persons and frames.
    """
    if images.dim() != 5 or vertices.dim() != 4 or images.shape[:2] != vertices.shape[:2]:
        raise ValueError(
            "multiframe_photometric_loss: images must be (B, F, 3, H, W) and vertices "
            f"(B, F, V, 3), got {tuple(images.shape)} and {tuple(vertices.shape)}"
        )
    (persons, frames), (height, width) = images.shape[:2], images.shape[-2:]
    if frames < 2 or persons == 0:
        nothing = (images.sum() + vertices.sum()) * 0
        return MultiFrameTerms(nothing, nothing, nothing.detach())
    images, vertices = images.flatten(0, 1), vertices.flatten(0, 1)
    triangles = adjacency.triangles
    fragments = rasterize(vertices, triangles, height, width)
    visible = visible_vertices(
        vertices.detach(), adjacency, fragments.depth.detach(), tolerance, minimum_facing
    )
    if vertex_mask is not None:
        visible = visible & vertex_mask
    colors = sample_colors(images, vertices)

    source, target = _pairs(persons, frames, images.device)
    seen_in_both = (visible[source] & visible[target]).to(colors.dtype)
    swapped = torch.cat((colors[source], seen_in_both[..., None]), -1)
    fragments = Fragments(*(part[target] for part in fragments))
    rendered = interpolate(swapped, triangles, fragments)
    covered = fragments.triangle_ids >= 0
    valid = covered & (rendered[..., 3].detach() > 0.999)
    rendered = edge_gradient(rendered[..., :3], vertices[target], triangles, fragments)
    rendered, real = rendered.permute(0, 3, 1, 2), images[target]
    valid = valid.to(colors.dtype)
    if weights is not None:
        valid = (
            valid * weights.to(valid.dtype).repeat_interleave(len(source) // persons)[:, None, None]
        )
    rendered = match_illumination(rendered, real, valid)
    return MultiFrameTerms(
        robust=robust_loss(rendered, real, valid),
        census=census_loss(rendered, real, valid),
        valid_fraction=(valid > 0).sum() / covered.sum().clamp(min=1),
    )


def visible_vertices(
    vertices: Tensor,
    adjacency: Adjacency,
    depth: Tensor,
    tolerance: float = 1.0,
    minimum_facing: float = 0.25,
) -> Tensor:
    """Which vertices ``(N, V)`` are seen well: not hidden in the z-buffer, and not at a slant.

    Args:
        vertices: ``(N, V, 3)`` in image space.
        adjacency: of the mesh.
        depth: ``(N, H, W)`` of these vertices, from :func:`pgnface.ops.rasterize`.
        tolerance, minimum_facing: as for :func:`multiframe_photometric_loss`.
    """
    facing = -vertex_normals(vertices, adjacency)[..., 2]
    return vertex_visibility(vertices, adjacency.triangles, depth, tolerance) & (
        facing > minimum_facing
    )


def match_illumination(image: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Give an image the gain and offset per channel that bring it nearest to another.

    Least squares over the mask in closed form, with a small pull towards no change. Gain and offset
    are constants for the gradient: at their optimum the squared difference does not change with
    them, so nothing is lost to first order.

    Args:
        image: ``(N, C, H, W)``.
        target: as ``image``.
        mask: ``(N, H, W)`` weights.
    """
    with torch.no_grad():
        w = mask[:, None].to(image.dtype)
        total = w.sum((2, 3), keepdim=True).clamp(min=1e-6)
        x, y = image.masked_fill(w == 0, 0), target
        mean_x = (w * x).sum((2, 3), keepdim=True) / total
        mean_y = (w * y).sum((2, 3), keepdim=True) / total
        variance = (w * (x - mean_x).square()).sum((2, 3), keepdim=True) / total
        covariance = (w * (x - mean_x) * (y - mean_y)).sum((2, 3), keepdim=True) / total
        gain = ((covariance + _RIDGE) / (variance + _RIDGE)).clamp(*_GAIN_RANGE)
    return gain * (image - mean_x) + mean_y


def _pairs(persons: int, frames: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of source and target frames in a stack of ``persons * frames``."""
    # Made where they are needed: a copy from the host would make the GPU wait.
    source = torch.arange(frames, device=device).repeat_interleave(frames - 1)
    target = torch.arange(frames - 1, device=device).repeat(frames)
    target = target + (target >= source)
    first = torch.arange(persons, device=device)[:, None] * frames
    return (first + source).flatten(), (first + target).flatten()
