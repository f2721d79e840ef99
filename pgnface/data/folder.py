"""Unlabelled photos in a folder."""

from __future__ import annotations

from pathlib import Path

from pgnface._errors import UserError

from .augment import CropJitter
from .batch import FaceBatch
from .cropping import SquareBox
from .images import list_images, read_image
from .source import EpochOrder, stand_ins, step_generator, subject_count
from .unlabeled import Crops, central_square, collate_crops, random_crops


class FolderSource:
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
        if frames < 1:
            raise UserError(f"FolderSource: frames must be at least 1, got {frames}")
        self.image_size = image_size
        self.frames = frames
        self.extent = extent
        self.seed = seed
        self.jitter = jitter or CropJitter()
        self.skipped: dict[str, str] = {}
        self._sizes = (identity_count, expression_count)
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

    def batch(self, step: int, size: int) -> FaceBatch:
        """See :class:`pgnface.data.source.Source`."""
        count = subject_count(size, self.frames)
        crops = [self._crops(step, slot, count) for slot in range(count)]
        return collate_crops(crops, True, *self._sizes)

    def _crops(self, step: int, slot: int, count: int) -> Crops:
        """A photo; where it is broken or shows no face, the next in order in its place."""
        start = step * count + slot
        for position in stand_ins(start, len(self._paths)):
            path = self._paths[self._order[position]]
            name = str(path.relative_to(self._root))
            try:
                image = read_image(path)
                box = self._box(path, image)
            except UserError as error:
                self.skipped[name] = str(error)
                continue
            rng = step_generator(self.seed, step, slot)
            views = range(self.frames)
            return random_crops(
                *(name, [image for _ in views], [box for _ in views]),
                *(self.image_size, self.jitter, rng),
            )
        raise UserError(f"{self._root}: none of {len(self._paths)} images can be used")

    def _box(self, path: Path, image) -> SquareBox:
        if self._detect is None:
            return central_square(image, self.extent)
        if path not in self._boxes:
            self._boxes[path] = max(self._detect(image), key=lambda box: box.side, default=None)
        if self._boxes[path] is None:
            raise UserError(f"{path}: no face found")
        return self._boxes[path]
