"""Between values at vertices and maps in a model's texture coordinates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pgnface import ops

from .model import MorphableModel

_REACH = 1.5  # pixels: bilinear lookup at the border needs no more
_MOST_WEIGHT = 8.0  # keeps slivers at the border from throwing values far out


class UVAtlas(nn.Module):
    """Bakes vertex values into square UV maps and reads them back.

    The centre of pixel (row i, column j) of a map lies at uv ``((j + 0.5) / size, (i + 0.5) /
    size)``: u right, v down. Which triangle covers which pixel is found once, at construction.
    Pixels outside the chart continue the triangle of the nearest pixel inside (for a few pixels'
    distance), so that bilinear lookup at the chart's border is as exact as elsewhere; ``mask``
    tells the two apart.

    Args:
        model: gives triangles, texture coordinates and landmarks.
        size: height and width of the maps in pixels.

    Attributes:
        mask: ``(size, size)`` bool, pixels whose centre lies in the chart.
        skin_mask: ``(size, size)`` bool, those of them in triangles whose vertices are all skin.
        landmark_uv: ``(68, 2)`` texture coordinates of the landmarks.

    Raises:
        ValueError: when the size is below 1, or so small that the chart covers no pixel.
    """

    mask: Tensor
    skin_mask: Tensor
    landmark_uv: Tensor

    def __init__(self, model: MorphableModel, size: int):
        super().__init__()
        if size < 1:
            raise ValueError(f"size: expected at least 1, got {size}")
        self.size = size
        chart = torch.cat((model.uv * size, torch.zeros_like(model.uv[:, :1])), dim=1)
        fragments = ops.rasterize(chart[None], model.triangles, size, size)
        mask = fragments.triangle_ids[0] >= 0
        if not mask.any():
            raise ValueError(f"size: expected a map large enough for the chart, got {size}")
        rows, columns = _nearest_inside(mask)
        ids = fragments.triangle_ids[0, rows, columns]
        corners = model.triangles[ids.long()].long()
        weights = _continued_barycentrics(chart[corners, :2], mask, rows, columns)
        weights = torch.where(mask[..., None], fragments.barycentrics[0], weights)

        def buffer(key: str, value: Tensor) -> None:
            self.register_buffer(key, value.contiguous(), persistent=False)

        buffer("mask", mask)
        buffer("skin_mask", mask & (model.regions[corners] == 0).all(-1))
        buffer("landmark_uv", model.uv[model.landmarks])
        buffer("_uv", model.uv)
        buffer("_triangles", model.triangles)
        buffer("_triangle_ids", ids[None])
        buffer("_barycentrics", weights[None])

    def bake(self, vertex_values: Tensor) -> Tensor:
        """Maps ``(..., C, size, size)`` of values at vertices ``(..., V, C)``."""
        leading, (count, channels) = vertex_values.shape[:-2], vertex_values.shape[-2:]
        values = vertex_values.reshape(-1, count, channels)
        batch = len(values)
        fragments = ops.Fragments(
            self._triangle_ids.expand(batch, -1, -1),
            self._barycentrics.expand(batch, -1, -1, -1),
            self._barycentrics.new_zeros(batch, self.size, self.size),
        )
        maps = ops.interpolate(values, self._triangles, fragments)
        return maps.permute(0, 3, 1, 2).reshape(*leading, channels, self.size, self.size)

    def sample(self, maps: Tensor, uv: Tensor | None = None) -> Tensor:
        """Values ``(..., K, C)`` of maps ``(..., C, h, w)`` at texture coordinates, bilinearly.

        Args:
            maps: of any size, not only the atlas's own.
            uv: ``(K, 2)``; all vertices' when missing (then K = V).
        """
        uv = self._uv if uv is None else uv
        leading, (channels, height, width) = maps.shape[:-3], maps.shape[-3:]
        images = maps.reshape(-1, channels, height, width)
        points = torch.stack((uv[..., 0] * width, uv[..., 1] * height), -1).to(images.dtype)
        values = ops.sample_colors(images, points.expand(images.shape[0], -1, -1))
        return values.reshape(*leading, len(uv), channels)


def _nearest_inside(mask: Tensor) -> tuple[Tensor, Tensor]:
    """For each pixel the row and column of the nearest pixel in the mask."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(
        ~mask.cpu().numpy(), return_distances=False, return_indices=True
    )
    rows, columns = torch.from_numpy(nearest).long().to(mask.device)
    return rows, columns


def _continued_barycentrics(corners: Tensor, mask: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Weights ``(size, size, 2)`` at pixel centres of the first two of the triangles' corners
    ``(size, size, 3, 2)``; beyond ``_REACH`` pixels from the chart those of a point nearer by.
    """
    grid = torch.arange(len(mask), device=mask.device)
    here = torch.stack(torch.meshgrid(grid, grid, indexing="xy"), dim=-1)
    inside = torch.stack((columns, rows), dim=-1)
    away = (here - inside).to(corners)
    shrink = (_REACH / away.norm(dim=-1, keepdim=True).clamp(min=1e-6)).clamp(max=1)
    point = inside + shrink * away + 0.5
    to_second, to_first = corners[..., 1, :] - corners[..., 2, :], corners[..., 0, :]
    to_first = to_first - corners[..., 2, :]
    offset = point - corners[..., 2, :]
    area = _cross(to_first, to_second)
    weights = torch.stack((_cross(offset, to_second), _cross(to_first, offset)), dim=-1)
    weights = weights / torch.where(area == 0, torch.ones_like(area), area)[..., None]
    return weights.clamp(-_MOST_WEIGHT, _MOST_WEIGHT)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
