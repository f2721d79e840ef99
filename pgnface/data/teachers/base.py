"""What a teacher is, and the teacher that is a trained network of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface.data.cropping import SquareBox
from pgnface.geometry.landmarks import LANDMARK_MIRROR

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork

_BATCH = 64


class Teacher(Protocol):
    """Sees landmarks in faces.

    Attributes:
        digest: differs between teachers that may answer differently.
    """

    digest: str

    def both_sides(
        self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[SquareBox]
    ) -> tuple[Tensor, Tensor]:
        """Landmarks seen in faces and in their mirror images.

        Args:
            images: ``(H, W, 3)`` uint8 RGB, one for each box.
            boxes: where the faces are, roughly.

        Returns:
            Twice ``(N, 68, 3)`` in pixels of the images as they are given, in the style of the
            annotation, depth up to a constant; NaN where no face is seen.
        """
        ...


class NetworkTeacher:
    """A trained network, by its landmarks in the style of the annotation it learned.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: PoseGuidanceNetwork) -> None:
        self.network = network
        digest = hashlib.sha256()
        for value in network.state_dict().values():
            digest.update(value.cpu().contiguous().numpy().tobytes())
        self.digest = digest.hexdigest()

    def both_sides(
        self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[SquareBox]
    ) -> tuple[Tensor, Tensor]:
        """See :class:`Teacher`."""
        from pgnface.networks.inference import crop_faces, predict, uncrop

        size = self.network.config.image_size
        crops, warps = crop_faces(images, boxes, size)
        mirrored = predict(self.network, crops.flip(-1), _BATCH)
        points = mirrored.annotated_landmarks[:, list(LANDMARK_MIRROR)]
        points = torch.cat((size - points[..., :1], points[..., 1:]), -1)
        mirrored = mirrored._replace(annotated_landmarks=points)
        return tuple(
            uncrop(prediction, warps).annotated_landmarks
            for prediction in (predict(self.network, crops, _BATCH), mirrored)
        )
