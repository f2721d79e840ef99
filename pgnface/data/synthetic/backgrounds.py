"""What is behind rendered faces: generated pictures, or photos from a folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def random_background(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """A picture ``(size, size, 3)`` in [0, 1]: a wall, foliage-like noise, or blurred things."""
    kind = rng.random()
    image = _gradient(rng, size)
    if kind < 0.25:
        return image
    if kind < 0.6:
        for octave in (4, 9, 24):
            image = image + rng.uniform(0.05, 0.25) * _noise(rng, size, octave)
    else:
        image = _shapes(rng, image)
        if rng.random() < 0.5:
            image = image + rng.uniform(0.03, 0.15) * _noise(rng, size, int(rng.integers(10, 50)))
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), size / 112 * rng.uniform(0.6, 4.0))
    return np.clip(image, 0, 1)


class PhotoBackgrounds:
    """Random squares of the photos of a folder.

    Args:
        root: searched in depth for images.
        skipped: gets the names of files that cannot be read, with the reason.

    Raises:
        FileNotFoundError: when the folder is missing or holds no image.
    """

    def __init__(self, root: str | Path, skipped: dict[str, str]):
        self.root = Path(root).expanduser()
        self.paths = sorted(p for p in self.root.rglob("*") if p.suffix.lower() in _SUFFIXES)
        if not self.paths:
            raise FileNotFoundError(f"no images for backgrounds in {self.root}")
        self._skipped = skipped

    def __call__(self, rng: np.random.Generator, size: int) -> NDArray[np.float32]:
        """As :func:`random_background`, which stands in for a file that cannot be read."""
        path = self.paths[rng.integers(len(self.paths))]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            self._skipped[str(path.relative_to(self.root))] = "not a readable image"
            return random_background(rng, size)
        height, width = image.shape[:2]
        side = max(1, int(min(height, width) * rng.uniform(0.4, 1.0)))
        y, x = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        square = image[y : y + side, x : x + side, ::-1]
        square = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(square).astype(np.float32) / 255


def _color(rng: np.random.Generator) -> NDArray[np.float32]:
    gray = rng.random()
    return np.clip(gray + rng.uniform(0, 0.2) * rng.standard_normal(3), 0, 1).astype(np.float32)


def _gradient(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    corners = np.stack([_color(rng) for _ in range(4)]).reshape(2, 2, 3)
    corners = corners.mean((0, 1)) + rng.uniform(0.1, 1.0) * (corners - corners.mean((0, 1)))
    return cv2.resize(corners.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)


def _noise(rng: np.random.Generator, size: int, cells: int) -> NDArray[np.float32]:
    gray = rng.standard_normal((cells, cells, 1), dtype=np.float32)
    color = rng.standard_normal((cells, cells, 3), dtype=np.float32)
    lattice = gray + np.float32(rng.uniform(0, 0.35)) * color
    return cv2.resize(lattice, (size, size), interpolation=cv2.INTER_CUBIC)


def _shapes(rng: np.random.Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    size = image.shape[0]
    for _ in range(rng.integers(3, 14)):
        color = _color(rng).tolist()
        x, y, w, h = (rng.uniform(0, size, 4) * (1, 1, 0.5, 0.5)).astype(int).tolist()
        if rng.random() < 0.5:
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(image, (x, y), (w, h), angle, 0, 360, color, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, (x - w, y - h), (x + w, y + h), color, -1)
    return image
