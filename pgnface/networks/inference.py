"""Running a network on faces of photos: crop, predict, and back into the photo's pixels."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface.data.cropping import SquareBox, crop, upright_square, warp_points
from pgnface.geometry import Pose, flip_axes
from pgnface.geometry.landmarks import LANDMARK_MIRROR
from pgnface.networks import PoseGuidanceNetwork, Prediction, join_predictions, split_prediction

if TYPE_CHECKING:
    from pathlib import Path

    from pgnface.morphable import MorphableModel


def resolve_network(checkpoint: str | Path | PoseGuidanceNetwork) -> PoseGuidanceNetwork:
    """A network as it is, or that of a checkpoint, on the GPU where it can be used."""
    if isinstance(checkpoint, torch.nn.Module):
        return checkpoint
    from pgnface import _C
    from pgnface.training import load_network

    return load_network(checkpoint, "cuda" if torch.cuda.is_available() and _C.has_cuda else "cpu")


def crop_faces(
    images: Sequence[NDArray[np.uint8]], boxes: Sequence[SquareBox], size: int
) -> tuple[Tensor, Tensor]:
    """One face from each image: crops ``(N, 3, size, size)`` in [0, 1], warps ``(N, 2, 3)``.

    Args:
        images: ``(H, W, 3)`` uint8 RGB, of any sizes; one for each box.
        boxes: where the faces are.
        size: pixels of the crops.
    """
    pairs = [crop(image, box, size) for image, box in zip(images, boxes, strict=True)]
    stack = np.stack([np.moveaxis(face, -1, 0) for face, _ in pairs])
    warps = torch.from_numpy(np.stack([warp for _, warp in pairs])).float()
    return torch.from_numpy(stack).float() / 255, warps


def uncrop(prediction: Prediction, warps: Tensor) -> Prediction:
    """A prediction for crops, in pixels of the images that they were cut from.

    Args:
        prediction: of ``N`` crops.
        warps: ``(N, 2, 3)`` crop pixels to image pixels: a scale, a turn and a shift, as
            :func:`pgnface.data.cropping.crop` returns. Depths are scaled alike.
    """
    scale = torch.linalg.det(warps[:, :, :2]).sqrt()
    turn = torch.eye(3).to(warps).repeat(len(warps), 1, 1)
    turn[:, :2, :2] = warps[:, :, :2] / scale[:, None, None]
    pose, position_map = prediction.pose, prediction.position_map
    points = position_map.flatten(2).transpose(1, 2)
    return prediction._replace(
        position_map=warp_points(warps, points).transpose(1, 2).view_as(position_map),
        landmarks=warp_points(warps, prediction.landmarks),
        posed_landmarks=warp_points(warps, prediction.posed_landmarks),
        annotated_landmarks=warp_points(warps, prediction.annotated_landmarks),
        posed_annotated_landmarks=warp_points(warps, prediction.posed_annotated_landmarks),
        pose=Pose(
            pose.scale * scale,
            flip_axes(turn @ pose.image_rotation, dim=-2),
            warp_points(warps, pose.translation[:, None])[:, 0],
        ),
    )


@torch.no_grad()
def predict(network: PoseGuidanceNetwork, crops: Tensor, batch_size: int = 32) -> Prediction:
    """Predict crops ``(N, 3, S, S)`` batch by batch; the result is on the CPU."""
    device = network.landmark_offsets.device
    with _evaluating(network):
        parts = [to_cpu(network(chunk.to(device))) for chunk in crops.split(batch_size)]
    return join_predictions(parts)


@torch.no_grad()
def predict_faces(
    network: PoseGuidanceNetwork,
    images: Sequence[NDArray[np.uint8]],
    boxes: Sequence[SquareBox],
    passes: int = 1,
    mirror: bool = False,
    keep_boxes: bool = False,
) -> Prediction:
    """Predict one face in each image, in that image's pixels, on the network's device.

    Args:
        network: run in evaluation mode.
        images: ``(H, W, 3)`` uint8 RGB, one for each box.
        boxes: where the faces are.
        passes: 2 cuts the crops anew, upright around the landmarks of the first pass, which makes
            the result depend less on the detector's habits and on the head's roll.
        mirror: in the last pass the network sees the mirror image of each face too
            (:func:`predict_both_sides`).
        keep_boxes: the boxes are known well, and are only turned upright for a second pass.
    """
    if passes < 1:
        raise ValueError(f"passes must be at least 1, got {passes}")
    for _ in range(passes - 1):
        upright = boxes_around(predict_faces(network, images, boxes))
        if keep_boxes:
            boxes = [a._replace(angle=b.angle) for a, b in zip(boxes, upright, strict=True)]
        else:
            boxes = upright
    if mirror:
        return predict_faces_twice(network, images, boxes).prediction
    with _evaluating(network):
        crops, warps = _crops_for(network, images, boxes)
        return uncrop(network(crops), warps)


class BothSides(NamedTuple):
    """What a network says of ``N`` faces that it saw as they are and in the mirror.

    Attributes:
        prediction: of both together.
        mirror_error: ``(N,)``, mean 2D distance of the landmarks that it saw in the one and in the
            other, in percent of sqrt(w h) of their mean's box. A few percent of a face; background,
            where the network has nothing to go by, has far more.
    """

    prediction: Prediction
    mirror_error: Tensor


@torch.no_grad()
def predict_faces_twice(
    network: PoseGuidanceNetwork,
    images: Sequence[NDArray[np.uint8]],
    boxes: Sequence[SquareBox],
) -> BothSides:
    """One pass of :func:`predict_faces` with ``mirror``, and how far the two sides agree."""
    with _evaluating(network):
        crops, warps = _crops_for(network, images, boxes)
        both = predict_both_sides(network, crops)
    return both._replace(prediction=uncrop(both.prediction, warps))


def predict_both_sides(network: PoseGuidanceNetwork, crops: Tensor) -> BothSides:
    """Predict crops ``(N, 3, S, S)`` with the mean landmarks of the crops and their mirror images.

    A side counts by how well the face model fits its landmarks (by ``1 / (1 + e^2)`` with its
    :func:`fit_error` e): both alike for most faces, and one alone where the other sees no face or
    another one. What the landmarks decide follows: a solved pose, and the posed landmarks.
    Coefficients, position map and a regressed pose are those of the crops themselves.
    """
    own, mirrored = split_prediction(network(torch.cat((crops, crops.flip(-1)))), [len(crops)] * 2)
    swap = list(LANDMARK_MIRROR)
    turned = mirrored.landmarks[:, swap]
    turned = torch.cat((crops.shape[-1] - turned[..., :1], turned[..., 1:]), -1)
    trust = torch.stack([1 / (1 + fit_error(side).square()) for side in (own, mirrored)])
    own_share, turned_share = (trust / trust.sum(0))[..., None, None]
    mean = own_share * own.landmarks + turned_share * turned
    distance = (own.landmarks - turned)[..., :2].norm(dim=-1).mean(-1)
    prediction = network.complete(
        own.identity,
        own.expression,
        own.position_map,
        mean,
        own_share[..., 0] * own.landmark_weights
        + turned_share[..., 0] * mirrored.landmark_weights[:, swap],
        None if network.pose_head is None else own.pose,
    )
    return BothSides(prediction, 100 * distance / _size(mean))


def fit_error(prediction: Prediction) -> Tensor:
    """How far the face model is from the landmarks that it is posed by: ``(N,)``, mean 2D distance
    in percent of sqrt(w h) of the landmarks' box. A large one tells that something is wrong.
    """
    distance = (prediction.posed_landmarks - prediction.landmarks)[..., :2].norm(dim=-1)
    return 100 * distance.mean(-1) / _size(prediction.landmarks)


def _size(landmarks: Tensor) -> Tensor:
    """sqrt(w h) ``(N,)`` of the landmarks' boxes."""
    return (landmarks.amax(1) - landmarks.amin(1))[:, :2].prod(-1).sqrt()


def boxes_around(prediction: Prediction) -> list[SquareBox]:
    """The squares around the predicted landmarks in which the faces are upright, to crop anew.

    Annotation style, because boxes in training are drawn around annotated landmarks.
    """
    return [upright_square(points) for points in prediction.annotated_landmarks.cpu().numpy()]


def to_cpu(prediction: Prediction) -> Prediction:
    """A prediction without gradients on the CPU."""
    moved = {
        name: value.detach().cpu() for name, value in prediction._asdict().items() if name != "pose"
    }
    return Prediction(**moved, pose=Pose(*(part.detach().cpu() for part in prediction.pose)))


def _crops_for(
    network: PoseGuidanceNetwork, images: Sequence[NDArray[np.uint8]], boxes: Sequence[SquareBox]
) -> tuple[Tensor, Tensor]:
    """:func:`crop_faces` at the network's size and on its device."""
    device = network.landmark_offsets.device
    crops, warps = crop_faces(images, boxes, network.config.image_size)
    return crops.to(device), warps.to(device)


def model_on_cpu(model: MorphableModel) -> MorphableModel:
    """The model itself where it is on the CPU, else a copy there."""
    return model if model.mean.device.type == "cpu" else copy.deepcopy(model).cpu()


@contextmanager
def _evaluating(network: torch.nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
