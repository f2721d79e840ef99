"""Between values at vertices and maps in a model's texture coordinates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pgnface import ops

from .model import MorphableModel


class UVAtlas(nn.Module):
    """Bakes vertex values into square UV maps and reads them back.

    The centre of pixel (row i, column j) of a map lies at uv ``((j + 0.5) / size, (i + 0.5) /
    size)``: u right, v down. Which triangle covers which pixel is found once, at construction.
    Pixels outside the chart take the value of the nearest pixel inside, so that bilinear lookup at
    the chart's border sees no foreign values; ``mask`` tells the two apart.

    Args:
        model: gives triangles, texture coordinates and landmarks.
        size: height and width of the maps in pixels.

    Attributes:
        mask: ``(size, size)`` bool, pixels whose centre lies in the chart.
        landmark_uv: ``(68, 2)`` texture coordinates of the landmarks.

    Raises:
        ValueError: when the size is below 1, or so small that the chart covers no pixel.
    """

    mask: Tensor
    landmark_uv: Tensor

    def __init__(self, model: MorphableModel, size: int):
        super().__init__()
        if size < 1:
            raise ValueError(f"size: expected at least 1, got {size}")
        self.size = size
        chart = torch.cat((model.uv * size, torch.zeros_like(model.uv[:, :1])), dim=1)
        fragments = _rasterize_chart(chart, model.triangles, size)
        mask = fragments.triangle_ids[0] >= 0
        if not mask.any():
            raise ValueError(f"size: expected a map large enough for the chart, got {size}")
        rows, columns = _nearest_inside(mask)
        ids, weights = fragments.triangle_ids[0, rows, columns], fragments.barycentrics[0]
        weights = weights[rows, columns]

        def buffer(key: str, value: Tensor) -> None:
            self.register_buffer(key, value.contiguous(), persistent=False)

        buffer("mask", mask)
        buffer("landmark_uv", model.uv[model.landmarks])
        buffer("_uv", model.uv)
        buffer("_triangles", model.triangles)
        buffer("_triangle_ids", ids[None])
        buffer("_barycentrics", weights[None])

    def bake(self, vertex_values: Tensor) -> Tensor:
        """Maps ``(..., C, size, size)`` of values at vertices ``(..., V, C)``."""
        leading, (count, channels) = vertex_values.shape[:-2], vertex_values.shape[-2:]
        values = vertex_values.reshape(-1, count, channels)
        weights = self._barycentrics[0]
        weights = torch.cat((weights, 1 - weights.sum(-1, keepdim=True)), dim=-1)
        corners = self._triangles[self._triangle_ids[0].long()].long()
        maps = (values[:, corners] * weights[..., None]).sum(-2)
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
        points = (uv * uv.new_tensor((width, height))).to(images.dtype)
        values = ops.sample_colors(images, points.expand(len(images), -1, -1))
        return values.reshape(*leading, len(uv), channels)


def _nearest_inside(mask: Tensor) -> tuple[Tensor, Tensor]:
    """For each pixel the row and column of the nearest pixel in the mask."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(
        ~mask.cpu().numpy(), return_distances=False, return_indices=True
    )
    rows, columns = torch.from_numpy(nearest).long().to(mask.device)
    return rows, columns


# Stands in for pgnface.ops.rasterize until that op is there.
def _rasterize_chart(chart: Tensor, triangles: Tensor, size: int):
    from types import SimpleNamespace

    import numpy as np

    points, corners = chart[:, :2].double().cpu().numpy(), triangles.cpu().numpy()
    ids = np.full((size, size), -1, np.int32)
    barycentrics = np.zeros((size, size, 2), np.float32)
    for t, (a, b, c) in enumerate(points[corners]):
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0:
            continue
        low = np.clip(np.floor(np.minimum(np.minimum(a, b), c) - 0.5), 0, size).astype(int)
        high = np.clip(np.ceil(np.maximum(np.maximum(a, b), c) + 0.5), 0, size).astype(int)
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]] + 0.5
        w0 = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
        w1 = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
        inside = (w0 >= 0) & (w1 >= 0) & (w0 + w1 <= 1)
        window = np.s_[low[1] : high[1], low[0] : high[0]]
        inside &= ids[window] < 0
        ids[window][inside] = t
        barycentrics[window][inside] = np.stack((w0, w1), -1)[inside]
    return SimpleNamespace(
        triangle_ids=torch.from_numpy(ids)[None].to(chart.device),
        barycentrics=torch.from_numpy(barycentrics)[None].to(chart.device),
    )
