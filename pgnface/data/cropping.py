"""Square face crops: where they lie, how they are cut, and how points follow.

Every part of the package (training, evaluation, reconstruction, rendered faces) crops by
:func:`square_box`, so a network sees faces at one size. All coordinates have the image's top-left
corner at (0, 0): pixel centres lie at +0.5.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pgnface.geometry.landmarks import EYES, MOUTH

BOX_SCALE = 1.35
"""Side of the crop over the longer side of the box around the 68 landmarks.

The longer side, not sqrt(w h), because the box of a profile gets narrow while the head behind it
does not; 1.35 leaves room for forehead and ears.
"""


class SquareBox(NamedTuple):
    """A square region in pixels, which may reach beyond the image.

    Attributes:
        x: centre.
        y: centre.
        side: length of an edge.
        angle: degrees by which it is turned about its centre; cut out, a positive one turns what it
            shows counter-clockwise as seen.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the square before it is turned."""
        half = self.side / 2
        return (self.x - half, self.y - half, self.x + half, self.y + half)

    def mirrored(self, width: int) -> SquareBox:
        """The same place in the mirror image of an image of a ``width``."""
        return self._replace(x=width - self.x, angle=-self.angle)


def square_box(points: ArrayLike, scale: float = BOX_SCALE) -> SquareBox:
    """The square around landmarks or around the corners of a box.

    Args:
        points: ``(K, 2)`` or ``(K, 3)`` points in pixels, or ``(4,)`` edges of a landmark-tight box
            (left, top, right, bottom). Rows that are not finite are left out.
        scale: side of the square over the longer side of the bounding box.

    Raises:
        ValueError: for another shape, or points that span no area.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.shape == (4,):
        points = points.reshape(2, 2)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise ValueError(
            f"square_box: points must have shape (K, 2), (K, 3) or (4,), got {points.shape}"
        )
    points = points[np.isfinite(points[:, :2]).all(1), :2]
    if not len(points) or not (side := (np.ptp(points, 0)).max()) > 0:
        raise ValueError("square_box: points must span an area, got none or coinciding ones")
    x, y = (points.min(0) + points.max(0)) / 2
    return SquareBox(float(x), float(y), float(side * scale))


def square_boxes(points: Tensor, scale: float = BOX_SCALE) -> Tensor:
    """:func:`square_box` of many faces: points ``(..., K, 2|3)`` to ``(..., 3)`` (x, y, side)."""
    low, high = points[..., :2].amin(-2), points[..., :2].amax(-2)
    side = (high - low).amax(-1, keepdim=True) * scale
    return torch.cat(((low + high) / 2, side), -1)


def upright_angle(points: ArrayLike) -> float:
    """The :attr:`SquareBox.angle` in which a face stands upright.

    The middle of its eyes is then right above that of its mouth. A profile that looks up is turned
    level as well.

    Args:
        points: the 68 landmarks ``(68, 2|3)`` in pixels.

    Returns:
        Degrees in (-180, 180]; 0 where eyes and mouth coincide or are not finite.
    """
    points = np.asarray(points, dtype=np.float64)[:, :2]
    x, y = points[list(MOUTH)].mean(0) - points[list(EYES)].mean(0)
    return float(np.rad2deg(np.arctan2(-x, y))) if np.isfinite((x, y)).all() else 0.0


def upright_square(points: ArrayLike) -> SquareBox:
    """:func:`square_box` of the 68 landmarks ``(68, 2|3)``, turned so that the face is upright."""
    return square_box(points)._replace(angle=upright_angle(points))


def box_warp(box: SquareBox, size: int) -> NDArray[np.float64]:
    """The affine ``(2, 3)`` that takes pixels of a ``size`` x ``size`` crop to the source image."""
    scale, turn = box.side / size, np.deg2rad(box.angle)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]])
    shift = np.array([box.x, box.y]) - linear @ np.full(2, size / 2)
    return np.column_stack((linear, shift))


def crop(image: NDArray, box: SquareBox, size: int) -> tuple[NDArray, NDArray[np.float64]]:
    """Cut a square out of an image and bring it to ``size`` x ``size`` pixels.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, uint8 or float32.
        box: the region; beyond the image its border continues.
        size: pixels of the crop.

    Returns:
        The crop and the ``(2, 3)`` affine that takes its pixels to those of ``image``.
    """
    warp = box_warp(box, size)
    return warp_image(image, warp, size), warp


def warp_image(image: NDArray, warp: ArrayLike, size: int) -> NDArray:
    """The ``size`` x ``size`` image whose pixel ``p`` shows ``image`` at ``warp @ (p, 1)``.

    Bilinear, after averaging blocks of pixels where the crop has fewer than the region, so that a
    large photo does not alias. Beyond the image its border continues.

    Raises:
        ValueError: for an image without pixels or a ``warp`` that is not a finite (2, 3).
    """
    warp = np.asarray(warp, dtype=np.float64)
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"warp_image: image must be (H, W[, C]) with pixels, got {image.shape}")
    if warp.shape != (2, 3) or not np.isfinite(warp).all():
        raise ValueError(f"warp_image: warp must be a finite (2, 3) matrix, got {warp.tolist()}")
    linear, shift = warp[:, :2], warp[:, 2]
    # A whole factor must not fall to the one below it by rounding.
    factor = int(np.sqrt(abs(np.linalg.det(linear))) + 1e-6)
    if factor > 1:
        image, offset = _reduced_region(image, warp, size, factor)
        linear, shift = linear / factor, (shift - offset) / factor
    # OpenCV counts pixel centres as integers: i - 0.5 on both sides of the map.
    shift = shift + linear @ np.full(2, 0.5) - 0.5
    return cv2.warpAffine(
        image,
        np.column_stack((linear, shift)),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _reduced_region(
    image: NDArray, warp: NDArray, size: int, factor: int
) -> tuple[NDArray, NDArray]:
    """The part of an image that a warp sees, its blocks of pixels averaged, and its corner."""
    limit = np.array(image.shape[1::-1])
    corners = warp_points(warp, np.array([[0, 0], [size, 0], [0, size], [size, size]], float))
    low = np.clip(np.floor(corners.min(0)) - factor, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + factor, low + 1, limit).astype(int)
    region = image[low[1] : high[1], low[0] : high[0]]
    width, height = -(-(high - low) // factor) * factor
    region = cv2.copyMakeBorder(
        *(region, 0, height - region.shape[0], 0, width - region.shape[1]), cv2.BORDER_REPLICATE
    )
    reduced = cv2.resize(region, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return reduced, low.astype(np.float64)


def warp_points(warp, points):
    """Points moved by an affine map; a depth is scaled as lengths are on average.

    Args:
        warp: ``(..., 2, 3)`` array or tensor.
        points: ``(..., K, 2)`` or ``(..., K, 3)`` of the same kind; leading dimensions broadcast.

    Returns:
        Points of the same size; z times sqrt(abs(det)).
    """
    linear, shift = warp[..., :2], warp[..., None, :, 2]
    moved = points[..., :2] @ linear.swapaxes(-1, -2) + shift
    if points.shape[-1] == 2:
        return moved
    determinant = linear[..., 0, 0] * linear[..., 1, 1] - linear[..., 0, 1] * linear[..., 1, 0]
    depth = points[..., 2:] * abs(determinant)[..., None, None] ** 0.5
    if isinstance(points, Tensor):
        return torch.cat((moved, depth.expand(*moved.shape[:-1], 1)), -1)
    return np.concatenate((moved, np.broadcast_to(depth, (*moved.shape[:-1], 1))), -1)


def invert_warp(warp):
    """The inverse affine of ``(..., 2, 3)`` arrays or tensors: source pixels to crop pixels.

    Raises:
        numpy.linalg.LinAlgError, torch.linalg.LinAlgError: for a map that collapses the plane.
    """
    is_tensor = isinstance(warp, Tensor)
    inverse = (torch if is_tensor else np).linalg.inv(warp[..., :2])
    shift = -(inverse @ warp[..., 2:])
    return torch.cat((inverse, shift), -1) if is_tensor else np.concatenate((inverse, shift), -1)
