"""A differentiable picture of a mesh: rasterize, interpolate, shade, composite."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pgnface import ops

from .lighting import shade


class RenderOutput(NamedTuple):
    """What :func:`render` returns.

    Attributes:
        image: ``(N, C, H, W)``.
        mask: ``(N, H, W)`` share of each pixel that the mesh covers (0 or 1 without
            supersampling).
        depth: ``(N, H, W)`` image-space z of the nearest surface, +inf where there is none.
        fragments: what :func:`pgnface.ops.rasterize` returned, at the supersampled resolution.
    """

    image: Tensor
    mask: Tensor
    depth: Tensor
    fragments: ops.Fragments


def render(
    vertices: Tensor,
    triangles: Tensor,
    height: int,
    width: int,
    *,
    colors: Tensor | None = None,
    texture: Tensor | None = None,
    uv: Tensor | None = None,
    normals: Tensor | None = None,
    shading: Tensor | None = None,
    highlights: Tensor | None = None,
    background: Tensor | None = None,
    antialias: bool = False,
    supersample: int = 1,
) -> RenderOutput:
    """Draw meshes that are already in image space (pixels; x right, y down, z into the scene).

    The surface takes its colour from ``colors`` or from ``texture`` and ``uv``; with ``normals``
    and ``shading`` it is lit by :func:`pgnface.render.shade`, with ``normals`` left out ``shading``
    must hold the light at the vertices already.

    Args:
        vertices: ``(N, V, 3)``.
        triangles: ``(T, 3)`` integers.
        height, width: of the picture, in pixels.
        colors: ``(N, V, C)`` or ``(V, C)`` at the vertices.
        texture: ``(N, C, h, w)`` or ``(1, C, h, w)``; pixel (i, j) has its centre at uv
            ((j + 0.5) / w, (i + 0.5) / h). The border continues.
        uv: ``(V, 2)``, with ``texture``.
        normals: ``(N, V, 3)`` unit normals in the frame in which the light is given (model space
            for a light that turns with the head, the viewer's for one that does not).
        shading: ``(N, 9, C)`` or ``(N, 9, 1)`` spherical harmonics with ``normals``, else
            ``(N, V, C)`` or ``(N, V, 1)`` factors at the vertices.
        highlights: ``(N, V, C)`` light that is added to the lit surface.
        background: ``(N, C, H, W)`` or ``(1, C, H, W)``; black when missing.
        antialias: let gradients reach the vertices through silhouettes too
            (:func:`pgnface.ops.edge_gradient`), of the mask as well as of the image.
        supersample: pictures are drawn this many times larger and averaged down.

    Gradients flow to vertices (through the interpolated colours; at silhouettes with
    ``antialias``), colours, texture, uv, normals, shading, highlights and
    background.

    Raises:
        ValueError: when colours and texture are both given or both missing, texture comes without
            uv, normals without shading, or a shape is wrong.
    """
    _check(vertices, colors, texture, uv, normals, shading, supersample)
    count = vertices.shape[0]
    scaled = vertices * supersample if supersample > 1 else vertices
    fragments = ops.rasterize(scaled, triangles, height * supersample, width * supersample)
    light = shading if normals is None else shade(normals, shading)
    if colors is not None:
        attributes = colors if light is None else colors * light
        if highlights is not None:
            attributes = attributes + highlights
        image = ops.interpolate(attributes, triangles, fragments)
    else:
        parts = [uv.expand(count, -1, -1), light, highlights]
        parts = [part for part in parts if part is not None]
        values = ops.interpolate(torch.cat(parts, dim=-1), triangles, fragments)
        values = list(values.split([part.shape[-1] for part in parts], dim=-1))
        image = sample_texture(texture.expand(count, -1, -1, -1), values.pop(0))
        if light is not None:
            image = image * values.pop(0)
        if highlights is not None:
            image = image + values.pop(0)
    covered = (fragments.triangle_ids >= 0)[..., None].to(image.dtype)
    image = torch.cat((image * covered, covered), dim=-1)
    if background is not None:
        behind = background.permute(0, 2, 3, 1)
        if supersample > 1:
            behind = behind.repeat_interleave(supersample, 1).repeat_interleave(supersample, 2)
        if behind.shape[1:] != image[..., :-1].shape[1:]:
            raise ValueError(
                f"render: background must have shape (N, {image.shape[-1] - 1}, {height}, "
                f"{width}), got {tuple(background.shape)}"
            )
        image = torch.cat((image[..., :-1] + behind * (1 - covered), covered), dim=-1)
    if antialias:
        image = ops.edge_gradient(image, scaled, triangles, fragments)
    image, depth = image.permute(0, 3, 1, 2), fragments.depth
    if supersample > 1:
        image = F.avg_pool2d(image, supersample)
        depth = -F.max_pool2d(-depth[:, None], supersample)[:, 0] / supersample
    return RenderOutput(image[:, :-1], image[:, -1], depth, fragments)


def sample_texture(texture: Tensor, uv: Tensor) -> Tensor:
    """Texture ``(N, C, h, w)`` at uv ``(N, H, W, 2)``, bilinearly: ``(N, H, W, C)``."""
    sampled = F.grid_sample(texture, uv * 2 - 1, padding_mode="border", align_corners=False)
    return sampled.permute(0, 2, 3, 1)


def _check(
    vertices: Tensor,
    colors: Tensor | None,
    texture: Tensor | None,
    uv: Tensor | None,
    normals: Tensor | None,
    shading: Tensor | None,
    supersample: int,
) -> None:
    if (colors is None) == (texture is None):
        raise ValueError("render: exactly one of colors and texture must be given")
    if (texture is None) != (uv is None):
        raise ValueError("render: texture and uv must be given together")
    if texture is not None and texture.dim() != 4:
        raise ValueError(
            f"render: texture must have shape (N, C, h, w), got {tuple(texture.shape)}"
        )
    if normals is not None and shading is None:
        raise ValueError("render: normals are used with shading only; shading is missing")
    if supersample < 1:
        raise ValueError(f"render: supersample must be at least 1, got {supersample}")
    for name, values in (("colors", colors), ("uv", uv), ("normals", normals)):
        if values is not None and values.shape[-2] != vertices.shape[-2]:
            raise ValueError(
                f"render: {name} must have a row for each of the {vertices.shape[-2]} vertices, "
                f"got {tuple(values.shape)}"
            )
