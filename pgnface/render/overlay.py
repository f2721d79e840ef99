"""Reconstructions drawn onto photos, for looking at."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pgnface import ops
from pgnface.geometry import flip_axes
from pgnface.geometry.landmarks import LANDMARK_GROUPS

from .lighting import ambient_light, directional_light, shade
from .renderer import render

_CLOSED = ("right_eye", "left_eye", "outer_lips", "inner_lips")
_FRACTION_BITS = 4  # of a pixel, in OpenCV's drawing functions


def overlay_mesh(
    image: NDArray[np.uint8],
    vertices: Tensor,
    triangles: Tensor,
    *,
    opacity: float = 0.75,
    color: tuple[float, float, float] = (0.62, 0.72, 0.85),
) -> NDArray[np.uint8]:
    """A photo with a shaded mesh laid over it.

    Args:
        image: ``(H, W, 3)`` RGB; left as it is.
        vertices: ``(V, 3)`` in image space.
        triangles: ``(T, 3)``, counter-clockwise seen from outside in model space.
        opacity: of the mesh, 0 to 1.
        color: of the mesh, RGB.

    Raises:
        ValueError: for an image that is not ``(H, W, 3)`` uint8, or vertices of a wrong shape.
    """
    _require_photo("overlay_mesh", image)
    if vertices.dim() != 2 or vertices.shape[1] != 3:
        raise ValueError(
            f"overlay_mesh: vertices must have shape (V, 3), got {tuple(vertices.shape)}"
        )
    # Only the part of a large photo that the mesh covers is drawn.
    limit = np.array(image.shape[1::-1])
    corners = vertices.detach().cpu().numpy()[:, :2]
    corners = corners[np.isfinite(corners).all(1)]
    if not len(corners):
        return image.copy()
    left, top = np.clip(np.floor(corners.min(0)), 0, limit).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)), 0, limit).astype(int)
    if right <= left or bottom <= top:
        return image.copy()

    points = vertices.detach().float()[None]
    adjacency = ops.build_adjacency(triangles, points.shape[1])
    normals = flip_axes(ops.vertex_normals(points, adjacency))
    lamp = torch.nn.functional.normalize(points.new_tensor((-0.4, 0.5, 1.0)), dim=0)
    light = ambient_light(points.new_full((3,), 0.25)) + directional_light(
        lamp, points.new_full((3,), 0.75)
    )
    colors = points.new_tensor(color) * shade(normals, light[None]).clamp(0.05, 1)
    output = render(
        points - points.new_tensor((left, top, 0)),
        triangles,
        int(bottom - top),
        int(right - left),
        colors=colors,
        supersample=2,
    )
    # The picture is premultiplied by its coverage.
    mesh = output.image[0].permute(1, 2, 0).cpu().numpy() * 255
    share = output.mask[0].cpu().numpy()[..., None]
    result = image.copy()
    window = result[top:bottom, left:right]
    blended = window * (1 - opacity * share) + opacity * mesh
    window[:] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    return result


def draw_landmarks(
    image: NDArray[np.uint8],
    landmarks: ArrayLike | Tensor,
    *,
    color: tuple[int, int, int] = (80, 255, 80),
    lines: bool = True,
) -> NDArray[np.uint8]:
    """A photo with the 68 landmarks drawn as points, joined along the features.

    Args:
        image: ``(H, W, 3)`` RGB; left as it is.
        landmarks: ``(68, 2)`` or ``(68, 3)`` in image space. Points that are not finite are left
            out.
        color: RGB, 0 to 255.
        lines: whether to join them.

    Raises:
        ValueError: for an image that is not ``(H, W, 3)`` uint8, or landmarks of a wrong shape.
    """
    _require_photo("draw_landmarks", image)
    if isinstance(landmarks, Tensor):
        landmarks = landmarks.detach().cpu().numpy()
    points = np.asarray(landmarks, np.float64)
    if points.ndim != 2 or points.shape[0] != 68 or points.shape[1] not in (2, 3):
        raise ValueError(
            f"draw_landmarks: landmarks must have shape (68, 2) or (68, 3), got {points.shape}"
        )
    result = np.ascontiguousarray(image.copy())
    seen = np.isfinite(points[:, :2]).all(1) & (np.abs(points[:, :2]) < 1e6).all(1)
    # OpenCV counts pixel centres as integers.
    fixed = np.rint((np.where(seen[:, None], points[:, :2], 0) - 0.5) * 2**_FRACTION_BITS)
    fixed = fixed.astype(np.int32)
    # Dots grow with the face, so that they hide neither a small one nor get lost on a large one.
    size = np.ptp(points[seen, :2], 0).max() if seen.any() else 0
    options = {"color": color, "lineType": cv2.LINE_AA, "shift": _FRACTION_BITS}
    if lines:
        for name, group in LANDMARK_GROUPS.items():
            if seen[list(group)].all():
                cv2.polylines(result, [fixed[list(group)]], name in _CLOSED, thickness=1, **options)
    radius = round(max(1.2, size / 110) * 2**_FRACTION_BITS)
    for point in fixed[seen]:
        cv2.circle(result, tuple(map(int, point)), radius, thickness=-1, **options)
    return result


def _require_photo(function: str, image: NDArray) -> None:
    is_array = isinstance(image, np.ndarray)
    if not is_array or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"{image.dtype} {image.shape}" if is_array else type(image).__name__
        raise ValueError(f"{function}: image must be an (H, W, 3) uint8 array, got {what}")
