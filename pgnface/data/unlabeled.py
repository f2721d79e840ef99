"""What sources of photos without coefficients share: random crops whose warps are known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.geometry.landmarks import LANDMARK_MIRROR

from .augment import CropJitter, degrade, mirror_image, mirror_landmarks
from .batch import FaceBatch
from .cropping import SquareBox, invert_warp, warp_image, warp_points
from .images import to_tensor
from .source import stand_ins, step_generator, subject_count


@dataclass(frozen=True)
class Crops:
    """Crops of one subject.

    Attributes:
        name: where they come from.
        images: ``(F, S, S, 3)`` uint8.
        warps: ``(F, 2, 3)``, crop pixels to pixels of the photo.
        landmarks: ``(F, 68, 3)`` in pixels of the crops; zeros where unknown.
        weights: ``(F, 68, 3)`` of each coordinate; 0 where it is unknown.
    """

    name: str
    images: NDArray[np.uint8]
    warps: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    weights: NDArray[np.float64]


class Landmarks(NamedTuple):
    """Points ``(68, 3)`` in pixels of a photo, and the weights ``(68, 3)`` of their coordinates."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]


def central_square(image: NDArray, extent: float = 1.0) -> SquareBox:
    """The square about an image's centre, ``extent`` times as long as the image's longer side."""
    height, width = image.shape[:2]
    return SquareBox(width / 2, height / 2, extent * max(height, width))


def random_crops(
    name: str,
    images: Sequence[NDArray[np.uint8]],
    boxes: Sequence[SquareBox],
    size: int,
    jitter: CropJitter,
    rng: np.random.Generator,
    landmarks: Sequence[Landmarks | None] | None = None,
) -> Crops:
    """One random crop of each image about its box, all mirrored or none, with its landmarks."""
    mirrored = rng.random() < 0.5
    crops, warps = [], []
    points, weights = np.zeros((2, len(images), 68, 3))
    for i, (image, box) in enumerate(zip(images, boxes, strict=True)):
        labels = landmarks[i] if landmarks else None
        if mirrored:
            box = box.mirrored(image.shape[1])
            labels = labels and Landmarks(
                mirror_landmarks(labels.points, image.shape[1]),
                labels.weights[list(LANDMARK_MIRROR)],
            )
            image = mirror_image(image)
        warp = jitter.warp(box, size, rng, labels and labels.points)
        crops.append(degrade(warp_image(image, warp, size), rng))
        warps.append(warp)
        if labels is not None:
            weights[i] = labels.weights
            moved = warp_points(invert_warp(warp), labels.points)
            points[i] = np.where(labels.weights > 0, moved, 0)
    return Crops(name, np.stack(crops), np.stack(warps), points, weights)


def collate_crops(
    crops: Sequence[Crops], same_image: bool, identity_count: int, expression_count: int
) -> FaceBatch:
    """A batch of subjects without coefficients."""
    images = torch.stack([torch.stack([to_tensor(i) for i in c.images]) for c in crops])
    weights = torch.from_numpy(np.stack([c.weights for c in crops])).float()
    return FaceBatch.create(
        images,
        identity_count=identity_count,
        expression_count=expression_count,
        warp=torch.from_numpy(np.stack([c.warps for c in crops])).float(),
        landmarks=torch.from_numpy(np.stack([c.landmarks for c in crops])).float(),
        landmark_weights=weights,
        annotated=(weights > 0).flatten(1).any(1),
        same_image=torch.full((len(crops),), same_image),
        names=[c.name for c in crops],
    )


class Views(NamedTuple):
    """What the frames of a subject are cut from: an image and a box for each, and landmarks where
    they are known; and their name.
    """

    name: str
    images: Sequence[NDArray[np.uint8]]
    boxes: Sequence[SquareBox]
    landmarks: Sequence[Landmarks | None] | None = None


class UnlabeledSource(ABC):
    """A source of faces without coefficients; see :class:`pgnface.data.source.Source`.

    A subclass has a length, names the item at a place of its endless order and gives its views. An
    item that cannot be used is counted in ``skipped``, and the next in order takes its place.

    Args:
        image_size: pixels of the crops.
        frames: crops of each subject.
        seed: of the order and the augmentation.
        identity_count, expression_count: sizes of the coefficients, which are unknown here.
        jitter: how much the crops vary.

    Raises:
        UserError: for fewer than one frame.
    """

    same_image = True
    """Whether the frames of a subject are crops of one photo."""

    def __init__(
        self,
        image_size: int,
        frames: int,
        seed: int,
        identity_count: int,
        expression_count: int,
        jitter: CropJitter | None,
    ) -> None:
        if frames < 1:
            raise UserError(f"{type(self).__name__}: frames must be at least 1, got {frames}")
        self.image_size = image_size
        self.frames = frames
        self.seed = seed
        self.jitter = jitter or CropJitter()
        self.skipped: dict[str, str] = {}
        self._sizes = (identity_count, expression_count)

    def batch(self, step: int, size: int) -> FaceBatch:
        """See :class:`pgnface.data.source.Source`."""
        count = subject_count(size, self.frames)
        crops = [self._crops(step, slot, count) for slot in range(count)]
        return collate_crops(crops, self.same_image, *self._sizes)

    def _crops(self, step: int, slot: int, count: int) -> Crops:
        rng = step_generator(self.seed, step, slot)
        for position in stand_ins(step * count + slot, len(self)):
            try:
                views = self._views(position, rng)
            except UserError as error:
                self.skipped[self._name(position)] = str(error)
                continue
            return random_crops(
                *(views.name, views.images, views.boxes, self.image_size, self.jitter, rng),
                views.landmarks,
            )
        raise UserError(f"{type(self).__name__}: none of {len(self)} images can be used")

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _name(self, position: int) -> str:
        """The item at a place of the endless order, for reports."""

    @abstractmethod
    def _views(self, position: int, rng: np.random.Generator) -> Views:
        """The item's images and boxes, one for each frame.

        Raises:
            UserError: when it cannot be used.
        """
