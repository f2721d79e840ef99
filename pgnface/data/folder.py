"""Unlabelled photos in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pgnface._errors import UserError

from .augment import CropJitter
from .cropping import SquareBox
from .images import list_images, read_image
from .source import EpochOrder
from .unlabeled import UnlabeledSource, Views, central_square


class FolderSource(UnlabeledSource):
    """Photos of faces without labels; the frames of a subject are crops of one photo.

    Args:
        root: folder, searched recursively.
        image_size: pixels of the crops.
        frames: crops of each photo.
        detector: how the face is found in a photo (:func:`pgnface.data.detectors.build_detector`);
            ``"none"`` takes photos for face crops already. Of several faces the largest counts.
        extent: without a detector, side of a crop over the longer side of a photo.
        seed: of the order and the augmentation.
        identity_count, expression_count: sizes of the coefficients, which are unknown here.

    Raises:
        FileNotFoundError: when the folder is missing.
        UserError: when it holds no image.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int,
        frames: int = 2,
        detector: str = "none",
        extent: float = 1.0,
        seed: int = 0,
        identity_count: int = 0,
        expression_count: int = 0,
        jitter: CropJitter | None = None,
    ) -> None:
        super().__init__(image_size, frames, seed, identity_count, expression_count, jitter)
        self.extent = extent
        self._paths = list_images(root)
        if not self._paths:
            raise UserError(f"{root}: no image files in the folder")
        self._root = Path(root)
        self._order = EpochOrder(len(self._paths), seed)
        self._detect = None
        if detector != "none":
            from .detectors import build_detector

            self._detect = build_detector(detector)
        self._boxes: dict[Path, SquareBox | None] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def _path(self, position: int) -> Path:
        return self._paths[self._order[position]]

    def _name(self, position: int) -> str:
        return str(self._path(position).relative_to(self._root))

    def _views(self, position: int, rng: np.random.Generator) -> Views:
        image = read_image(self._path(position))
        box = self._box(self._path(position), image)
        return Views(self._name(position), [image] * self.frames, [box] * self.frames)

    def _box(self, path: Path, image) -> SquareBox:
        if self._detect is None:
            return central_square(image, self.extent)
        if path not in self._boxes:
            self._boxes[path] = max(self._detect(image), key=lambda box: box.side, default=None)
        if self._boxes[path] is None:
            raise UserError(f"{path}: no face found")
        return self._boxes[path]
