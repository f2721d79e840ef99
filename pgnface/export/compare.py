"""How far an ONNX file is from the network that was written to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pgnface._errors import UserError
from pgnface.networks.inference import boxes_around, crop_faces, predict_faces

from .onnx_file import require
from .program import NamedOutputs

#: Largest difference that is rounding, in the outputs' units (pixels, standard deviations).
TOLERANCE = 1e-2
_NOISE = 5


@torch.no_grad()
def differences(module: NamedOutputs, path: str | Path, images: Tensor) -> dict[str, float]:
    """The greatest difference of each output between a network and its file in ONNX Runtime.

    Args:
        module: what was written, on the CPU.
        path: the file.
        images: ``(N, 3, S, S)`` RGB in [0, 1].

    Returns:
        By the output's name, in its unit: pixels for points and translation, standard deviations
        for coefficients.

    Raises:
        UserError: without the package onnxruntime.
    """
    require("onnxruntime")
    from .session import FaceSession

    expected, found = module(images), FaceSession(path).predict(images.numpy())
    return {
        name: float((torch.from_numpy(found[name]) - value).abs().max())
        for name, value in expected.items()
    }


def compare_onnx(module: NamedOutputs, path: str | Path, photos: Sequence[Path] = ()) -> None:
    """Print the differences on noise, and on the faces of photos.

    Raises:
        UserError: when a difference is not rounding, for photos without a face, or as
            :func:`differences`.
    """
    size = module.network.config.image_size
    noise = torch.rand(_NOISE, 3, size, size, generator=torch.Generator().manual_seed(0))
    pictures = {f"noise, {_NOISE} crops": noise}
    if photos:
        faces = _face_crops(module, photos)
        pictures[f"photos, {len(faces)} faces"] = faces
    for what, images in pictures.items():
        found = differences(module, path, images)
        listed = ", ".join(f"{name} {value:.1g}" for name, value in found.items())
        print(f"greatest difference from the network ({what}): {listed}")
        wrong = [name for name, value in found.items() if not value <= TOLERANCE]
        if wrong:
            raise UserError(f"{path} differs from the network in {', '.join(wrong)} on {what}")


def _face_crops(module: NamedOutputs, photos: Sequence[Path]) -> Tensor:
    """Crops of all faces as :func:`pgnface.reconstruct` cuts them."""
    from pgnface.data.detectors import build_detector
    from pgnface.data.images import read_image

    network, detector, crops = module.network, build_detector(), []
    for photo in photos:
        image = read_image(photo)
        if boxes := detector(image):
            images = [image] * len(boxes)
            boxes = boxes_around(predict_faces(network, images, boxes))
            crops.append(crop_faces(images, boxes, network.config.image_size)[0])
    if not crops:
        raise UserError(f"no face in {len(photos)} photo(s) to compare on")
    return torch.cat(crops)
