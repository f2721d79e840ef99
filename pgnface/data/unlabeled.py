"""What sources without labels share: several crops of one photo, whose warps are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .augment import CropJitter, degrade, mirror_image
from .batch import FaceBatch
from .cropping import SquareBox, warp_image
from .images import to_tensor


@dataclass(frozen=True)
class Crops:
    """Crops of one subject.

    Attributes:
        name: where they come from.
        images: ``(F, S, S, 3)`` uint8.
        warps: ``(F, 2, 3)``, crop pixels to pixels of the photo.
    """

    name: str
    images: NDArray[np.uint8]
    warps: NDArray[np.float64]


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
) -> Crops:
    """One random crop of each image about its box, all mirrored or none."""
    mirrored = rng.random() < 0.5
    crops, warps = [], []
    for image, box in zip(images, boxes, strict=True):
        if mirrored:
            box = SquareBox(image.shape[1] - box.x, box.y, box.side)
            image = mirror_image(image)
        warp = jitter.warp(box, size, rng)
        crops.append(degrade(warp_image(image, warp, size), rng))
        warps.append(warp)
    return Crops(name, np.stack(crops), np.stack(warps))


def collate_crops(
    crops: Sequence[Crops], same_image: bool, identity_count: int, expression_count: int
) -> FaceBatch:
    """An unlabelled batch of subjects."""
    images = torch.stack([torch.stack([to_tensor(i) for i in c.images]) for c in crops])
    return FaceBatch.create(
        images,
        identity_count=identity_count,
        expression_count=expression_count,
        warp=torch.from_numpy(np.stack([c.warps for c in crops])).float(),
        same_image=torch.full((len(crops),), same_image),
        names=[c.name for c in crops],
    )
