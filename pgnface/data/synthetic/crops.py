"""Rendered people as unlabelled photos: several crops of one picture."""

from __future__ import annotations

from pgnface.data.augment import CropJitter
from pgnface.data.batch import FaceBatch
from pgnface.data.cropping import SquareBox
from pgnface.data.source import step_generator, subject_count
from pgnface.data.unlabeled import collate_crops, random_crops
from pgnface.morphable import MorphableModel

from .people import SyntheticSource

_MARGIN = 1.5  # room for the crops to differ


class SyntheticCrops:
    """What a folder of unlabelled photos would hold if its people were rendered.

    Args:
        model: the face model.
        image_size: pixels of the crops.
        frames: crops of each picture.
        seed: of people and crops.
        jitter: how much the crops vary; each is degraded on its own, as a photo's crops are.
        **settings: of :class:`SyntheticSource`.
    """

    def __init__(
        self,
        model: MorphableModel,
        image_size: int,
        frames: int = 2,
        seed: int = 0,
        jitter: CropJitter | None = None,
        **settings,
    ) -> None:
        self.frames = frames
        self._image_size = image_size
        self._seed = seed
        self._jitter = jitter or CropJitter()
        self._pictures = SyntheticSource(
            *(model, round(image_size * _MARGIN), 1, seed),
            margin=_MARGIN,
            degrade_images=False,
            **settings,
        )

    @property
    def skipped(self) -> dict[str, str]:
        """Background photos that could not be read."""
        return self._pictures.skipped

    def batch(self, step: int, size: int) -> FaceBatch:
        """See :class:`pgnface.data.source.Source`."""
        pictures = self._pictures.batch(step, subject_count(size, self.frames))
        images = (pictures.images.permute(0, 2, 3, 1) * 255).round().byte().numpy()
        side = images.shape[1]
        box = SquareBox(side / 2, side / 2, side / _MARGIN)
        crops = [
            random_crops(
                name,
                [image] * self.frames,
                [box] * self.frames,
                self._image_size,
                self._jitter,
                step_generator(self._seed, step, slot),
            )
            for slot, (name, image) in enumerate(zip(pictures.names, images, strict=True))
        ]
        sizes = pictures.identity.shape[-1], pictures.expression.shape[-1]
        return collate_crops(crops, True, *sizes)
