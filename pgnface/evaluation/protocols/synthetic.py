"""Evaluation on rendered people that training never sees; everything is known exactly.

People are drawn from the network's own face model with a seed that no training run uses. Shapes are
compared without expression and pose: what is measured is who the network takes a person for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pgnface._errors import UserError
from pgnface._output import prepare_folder
from pgnface.geometry import angles_from_rotation
from pgnface.networks import PoseGuidanceNetwork
from pgnface.networks.inference import model_on_cpu, predict, resolve_network

from ..metrics import error_by_yaw, mean_pose_error, shape_error, sparse_nme, vertex_errors
from ..plots import Tile, contact_sheet, plot_cumulative_error
from ..report import Report, describe
from ..result import ErrorMap
from .mean_shape import normalise_to_box, place_in_box

if TYPE_CHECKING:
    from pgnface.data.batch import FaceBatch
    from pgnface.morphable import MorphableModel

#: Seed of the people that are kept for evaluation. Training seeds are small numbers of the user's.
HELD_OUT_SEED = 201_004_384
_FRAMES = 2
_TILES = 12


def evaluate_synthetic(
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    people: int = 64,
    batch_size: int = 32,
    output: str | Path | None = None,
    faces: FaceBatch | None = None,
) -> Report:
    """Landmark, pose and shape errors on rendered people, two pictures of each.

    Args:
        checkpoint: weights to load, or a network.
        people: how many.
        batch_size: faces in one run of the network.
        output: folder for metrics.json, cumulative_error.png and faces.png.
        faces: measure on these (of :func:`held_out_people`) instead.

    Raises:
        UserError: for fewer than one person or an output that cannot be written.
    """
    if people < 1 or batch_size < 1:
        raise UserError(f"people and batch size must be at least 1, got {people}, {batch_size}")
    if output is not None:
        output = prepare_folder(output)
    network = resolve_network(checkpoint)
    batch = faces
    if batch is None:
        batch = held_out_people(network.model, people, network.config.image_size)
    prediction = predict(network, batch.images, batch_size)
    true = batch.landmarks.flatten(0, 1)
    rotation = batch.pose.rotation.flatten(0, 1)
    methods = {
        "position_map": prediction.landmarks,
        "posed_model": prediction.posed_landmarks,
        "mean_shape": place_in_box(normalise_to_box(true).mean(0), true),
    }
    yaw = angles_from_rotation(rotation)[:, 1]
    errors = {name: sparse_nme(points[..., :2], true[..., :2]) for name, points in methods.items()}
    shape, error_map = _shape_errors(network, prediction.identity, batch.identity)
    report = Report(
        title="Rendered people, never seen in training",
        facts={
            "checkpoint": describe(checkpoint),
            "model": network.model.name,
            "people": batch.subjects,
            "images": len(true),
        },
        nme={
            "2d": {name: error_by_yaw(values, yaw) for name, values in errors.items()},
            "3d": {name: error_by_yaw(sparse_nme(p, true), yaw) for name, p in methods.items()},
        },
        pose={"as_predicted": mean_pose_error(prediction.pose.rotation, rotation)},
        shape=shape,
        errors=errors,
        error_map=error_map,
    )
    if output is not None:
        report.write_json(output)
        plot_cumulative_error(
            {name.replace("_", " "): e for name, e in errors.items()},
            output / "cumulative_error.png",
        )
        order = errors["position_map"].argsort().tolist()
        count = min(_TILES, (len(order) + 1) // 2)
        tiles = [_tile(batch, prediction.landmarks, errors["position_map"], i) for i in order]
        contact_sheet(
            {"Smallest errors": tiles[:count], "Largest errors": tiles[::-1][:count]},
            output / "faces.png",
        )
    return report


def held_out_people(
    model: MorphableModel, people: int, image_size: int, degrade: bool = True
) -> FaceBatch:
    """The first people of the held-out set, with two pictures of each.

    Args:
        model: the face model, on any device.
        people: how many.
        image_size: pixels of the pictures.
        degrade: with camera defects and things in front of the faces. Without it, pictures of
            different sizes show the same scenes but for the background.
    """
    from pgnface.data.synthetic import SyntheticSource

    source = SyntheticSource(
        model, image_size, frames=_FRAMES, seed=HELD_OUT_SEED, degrade_images=degrade
    )
    return source.batch(0, people * _FRAMES)


def _tile(batch: FaceBatch, landmarks: Tensor, errors: Tensor, i: int) -> Tile:
    image = (batch.images[i].permute(1, 2, 0) * 255).round().byte().numpy()
    true = batch.landmarks.flatten(0, 1)[i, :, :2].numpy()
    return Tile(image, landmarks[i, :, :2].numpy(), true, f"{errors[i]:.2f} %")


def _shape_errors(
    network: PoseGuidanceNetwork, predicted: Tensor, identity: Tensor
) -> tuple[dict[str, float], ErrorMap]:
    """Errors in mm of the predicted neutral shapes and of the mean face, and where the former lie.

    Args:
        predicted: ``(B * F, I)``.
        identity: ``(B, I)``, the truth.
    """
    model = model_on_cpu(network.model)
    with torch.no_grad():
        true = model.vertices(identity)
        frames = len(predicted) // len(identity)
        found = vertex_errors(model.vertices(predicted), true.repeat_interleave(frames, 0))
        errors = {
            "network": float(found.mean(-1).mean()),
            "mean_face": float(shape_error(model.mean.expand_as(true), true).mean()),
        }
    places = (model.mean.numpy(), model.triangles.numpy(), found.mean(0).numpy())
    return errors, ErrorMap(*places)
