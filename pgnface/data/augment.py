"""Random changes to photos that keep their labels known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pgnface.geometry.landmarks import LANDMARK_MIRROR

from .cropping import SquareBox, box_warp, upright_angle

_MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class CropJitter:
    """How much the square that is cut out of a photo varies.

    Attributes:
        scale: standard deviation of the logarithm of its side.
        shift: standard deviation of its centre, in sides.
        angle: standard deviation of its turn in degrees.
        upright: share of the faces that are turned upright before
            (:func:`pgnface.data.cropping.upright_angle`), where their landmarks are known.
        upright_angle: standard deviation of these faces' turn.
    """

    scale: float = 0.07
    shift: float = 0.04
    angle: float = 12.0
    upright: float = 0.0
    upright_angle: float = 6.0

    def widened(self, factor: float) -> CropJitter:
        """One whose side and centre vary ``factor`` times as much; the turn stays."""
        return replace(self, scale=factor * self.scale, shift=factor * self.shift)

    def warp(
        self,
        box: SquareBox,
        size: int,
        rng: np.random.Generator,
        landmarks: NDArray | None = None,
    ) -> NDArray[np.float64]:
        """A random warp ``(2, 3)`` of a crop of ``size`` pixels about a box; 2.5 deviations at
        most. ``landmarks`` ``(68, 2|3)`` in the image say where upright is.
        """
        scale, x, y, turn = np.clip(rng.standard_normal(4), -2.5, 2.5)
        angle, deviation = box.angle, self.angle
        if landmarks is not None and rng.random() < self.upright:
            angle, deviation = upright_angle(landmarks), self.upright_angle
        moved = SquareBox(
            box.x + self.shift * x * box.side,
            box.y + self.shift * y * box.side,
            box.side * float(np.exp(self.scale * scale)),
            angle + deviation * float(turn),
        )
        return box_warp(moved, size)


def mirror_image(image: NDArray) -> NDArray:
    """An image ``(H, W, ...)`` mirrored left to right."""
    return np.ascontiguousarray(image[:, ::-1])


def mirror_landmarks(landmarks: NDArray, width: float) -> NDArray:
    """Landmarks ``(68, 2|3)`` of the mirrored image of a ``width``."""
    mirrored = landmarks[list(LANDMARK_MIRROR)]
    mirrored[:, 0] = width - mirrored[:, 0]
    return mirrored


def mirror_rotation(rotation: NDArray) -> NDArray:
    """Head rotation ``(3, 3)`` seen in the mirror: yaw and roll change sign."""
    return _MIRROR @ rotation @ _MIRROR


def rotation_in_crop(rotation: NDArray, warp: NDArray) -> NDArray:
    """Head rotation ``(3, 3)`` as seen in a crop that a warp ``(2, 3)`` takes to the photo."""
    turn = np.eye(3)
    linear = warp[:, :2] / np.sqrt(np.linalg.det(warp[:, :2]))
    # Photo axes to crop axes, between axes that point up rather than down.
    turn[:2, :2] = linear.T * [[1, -1], [-1, 1]]
    return turn @ rotation


def degrade(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A crop ``(S, S, 3)`` as a worse camera, in other light, behind something, would show it."""
    image = _change_colors(image.astype(np.float32) / 255, rng)
    if rng.random() < 0.25:
        image = _occlude(image, rng)
    size = image.shape[0]
    if rng.random() < 0.25:
        small = max(8, round(size * rng.uniform(0.25, 0.8)))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), size / 128 * rng.uniform(0.4, 1.5))
    if rng.random() < 0.3:
        image = image + rng.normal(0, rng.uniform(0.005, 0.05), image.shape).astype(np.float32)
    image = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    return image


def _change_colors(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    if rng.random() < 0.05:  # false colours, as of heat or of a filter
        image = image @ rng.dirichlet((0.4, 0.4, 0.4), 3).T.astype(np.float32)
    gray = image @ np.array([0.299, 0.587, 0.114], np.float32)
    saturation = 0.0 if rng.random() < 0.08 else rng.uniform(0.5, 1.4)
    image = gray[..., None] + saturation * (image - gray[..., None])
    image = image * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    image = (image - 0.5) * np.float32(rng.uniform(0.65, 1.3)) + 0.5
    image = image + np.float32(rng.uniform(-0.12, 0.12))
    return np.clip(image, 0, 1) ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))


def _occlude(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """One to three ellipses or bars of a plain or noisy colour over the face."""
    size = image.shape[0]
    for _ in range(rng.integers(1, 4)):
        mask = np.zeros((size, size), np.float32)
        centre = rng.uniform(0, size, 2).astype(int).tolist()
        axes = (rng.uniform(0.05, 0.28, 2) * size).astype(int).tolist()
        angle = float(rng.uniform(0, 180))
        if rng.random() < 0.5:
            cv2.ellipse(mask, centre, axes, angle, 0, 360, 1.0, -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints((tuple(centre), tuple(2 * a for a in axes), angle))
            cv2.fillConvexPoly(mask, np.int32(corners), 1.0, cv2.LINE_AA)
        color = rng.uniform(0, 1, 3).astype(np.float32)
        grain = rng.uniform(0, 0.15) * rng.standard_normal(image.shape).astype(np.float32)
        image = image + mask[..., None] * (color + grain - image)
    return image
