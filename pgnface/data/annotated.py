"""What sources of photos with landmarks share: crops with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.geometry import Pose
from pgnface.geometry.landmarks import EYES, LANDMARK_MIRROR, MOUTH

from .augment import (
    CropJitter,
    degrade,
    mirror_image,
    mirror_landmarks,
    mirror_rotation,
    rotation_in_crop,
)
from .batch import FaceBatch
from .cropping import SquareBox, box_warp, invert_warp, square_box, warp_image, warp_points
from .images import read_image, to_tensor
from .source import EpochOrder, stand_ins, step_generator


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A face in a photo and its labels, in pixels of the photo.

    Attributes:
        path: the photo.
        name: for reports.
        landmarks: ``(68, 3)``; zeros where unknown.
        weights: ``(68, 3)`` of each coordinate; 0 where it is unknown.
        rotation: ``(3, 3)`` of the head, if it is known.
        box: the face's square; :func:`square_box` of the landmarks when missing.
    """

    path: Path
    name: str
    landmarks: NDArray[np.float64]
    weights: NDArray[np.float64]
    rotation: NDArray[np.float64] | None = None
    box: SquareBox | None = None

    @property
    def square(self) -> SquareBox:
        """What is cut out."""
        known = self.landmarks[self.weights[:, 0] > 0]
        return self.box or square_box(known)

    def mirrored(self, width: int) -> AnnotatedPhoto:
        """The labels of the mirrored photo."""
        box = self.box and self.box.mirrored(width)
        return replace(
            self,
            landmarks=mirror_landmarks(self.landmarks, width),
            weights=self.weights[list(LANDMARK_MIRROR)],
            rotation=None if self.rotation is None else mirror_rotation(self.rotation),
            box=box,
        )


class AnnotatedSource:
    """Annotated photos as training batches of one frame a subject.

    Args:
        photos: the photos.
        image_size: pixels of the crops.
        seed: of the order and the augmentation.
        augment: random mirroring, crops, colours, occluders and noise; without it, crops as in the
            evaluation, in the order of the photos.
        identity_count, expression_count: sizes of the coefficients, which are unknown here.
        jitter: how much the crops vary.
        skipped: photos that were left out already, and why; grows with those that cannot be read.
        what: what the photos are, for the error.

    Raises:
        UserError: without photos.
    """

    frames = 1

    def __init__(
        self,
        photos: Sequence[AnnotatedPhoto],
        image_size: int,
        *,
        seed: int = 0,
        augment: bool = True,
        identity_count: int = 0,
        expression_count: int = 0,
        jitter: CropJitter | None = None,
        skipped: dict[str, str] | None = None,
        what: str = "the photos",
    ) -> None:
        self.image_size = image_size
        self.seed = seed
        self.augment = augment
        self.jitter = jitter or CropJitter()
        self.skipped: dict[str, str] = {} if skipped is None else skipped
        self._sizes = {"identity_count": identity_count, "expression_count": expression_count}
        self._photos = list(photos)
        if not self._photos:
            raise UserError(f"{what}: no usable sample ({len(self.skipped)} skipped)")
        self._order = EpochOrder(len(self._photos), seed)

    def __len__(self) -> int:
        return len(self._photos)

    def batch(self, step: int, size: int) -> FaceBatch:
        """See :class:`pgnface.data.source.Source`."""
        faces = [self._face(step, slot, size) for slot in range(max(size, 1))]
        return _collate(faces, self._sizes)

    def _face(self, step: int, slot: int, size: int) -> _Face:
        """A sample; where its image is broken, the next in order in its place."""
        rng = step_generator(self.seed, step, slot)
        start = step * size + slot
        for position in stand_ins(start, len(self._photos)):
            index = self._order[position] if self.augment else position % len(self._photos)
            photo = self._photos[index]
            try:
                image = read_image(photo.path)
            except UserError as error:
                self.skipped[photo.name] = str(error)
                continue
            return self._crop(photo, image, rng)
        raise UserError(f"no image of {len(self._photos)} can be read, the last: {photo.path}")

    def _crop(self, photo: AnnotatedPhoto, image: NDArray, rng: np.random.Generator) -> _Face:
        if self.augment and rng.random() < 0.5:
            photo, image = photo.mirrored(image.shape[1]), mirror_image(image)
        box = photo.square
        if self.augment:
            known = photo.landmarks if photo.weights[[*EYES, *MOUTH], 0].all() else None
            warp = self.jitter.warp(box, self.image_size, rng, known)
            crop = degrade(warp_image(image, warp, self.image_size), rng)
        else:
            warp = box_warp(box, self.image_size)
            crop = warp_image(image, warp, self.image_size)
        has_rotation = photo.rotation is not None
        landmarks = warp_points(invert_warp(warp), photo.landmarks)
        return _Face(
            photo.name,
            crop,
            np.where(photo.weights > 0, landmarks, 0),
            photo.weights,
            rotation_in_crop(photo.rotation if has_rotation else np.eye(3), warp),
            float(has_rotation),
            warp,
        )


@dataclass(frozen=True)
class _Face:
    name: str
    crop: NDArray[np.uint8]
    landmarks: NDArray
    weights: NDArray
    rotation: NDArray
    pose_weight: float
    warp: NDArray


def _collate(faces: Sequence[_Face], sizes: dict[str, int]) -> FaceBatch:
    def stack(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(face, name) for face in faces])[:, None]).float()

    count = len(faces)
    return FaceBatch.create(
        torch.stack([to_tensor(face.crop) for face in faces])[:, None],
        landmarks=stack("landmarks"),
        landmark_weights=stack("weights"),
        annotated=torch.ones(count, dtype=torch.bool),
        pose=Pose(torch.ones(count, 1), stack("rotation"), torch.zeros(count, 1, 3)),
        pose_weight=stack("pose_weight"),
        warp=stack("warp"),
        names=[face.name for face in faces],
        **sizes,
    )
