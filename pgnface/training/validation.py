"""How good a network is on held-out faces, and the calibration of its frontal pose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pgnface.data.batch import FaceBatch
from pgnface.evaluation.metrics import mean_pose_error, shape_error, sparse_nme
from pgnface.geometry import mean_rotation, rotation_distance

if TYPE_CHECKING:
    from pgnface.data.source import Source
    from pgnface.networks import PoseGuidanceNetwork

    from .loader import BatchSource

_IMAGES_PER_PASS = 32
_CALIBRATION_IMAGES = 512


class HeldOut:
    """The held-out faces of a run, and those it calibrates on; drawn when first asked for.

    Args:
        sources: held out, by name.
        images: of each.
        training: what the run draws from.
    """

    def __init__(self, sources: dict[str, Source], images: int, training: BatchSource) -> None:
        self._sources, self._images, self._training = sources, images, training

    @cached_property
    def _drawn(self) -> dict[str, list[FaceBatch]]:
        return {
            name: held_out_batches(source, self._images) for name, source in self._sources.items()
        }

    @cached_property
    def _calibration(self) -> list[FaceBatch]:
        return calibration_batches(self._training.sources, _CALIBRATION_IMAGES)

    def measure(self, network: PoseGuidanceNetwork) -> dict[str, dict[str, float]]:
        """Calibrate a network, and its errors by source as of :func:`validate`."""
        training = network.training
        network.eval()
        held_out = self._drawn
        calibrate(network, self._calibration)
        results = {name: validate(network, batches) for name, batches in held_out.items()}
        network.train(training)
        return results


def held_out_batches(source: Source, images: int) -> list[FaceBatch]:
    """The first ``images`` images of a source, in batches of a moderate size."""
    return list(_batches(source, images))


def calibration_batches(sources: Iterable[Source], images: int) -> list[FaceBatch]:
    """Batches of the sources whose poses are annotated, about ``images`` images of each.

    A source yields one kind of labels, so its first batch tells whether it is asked for more.
    """
    kept = []
    for source in sources:
        for batch in _batches(source, images):
            if not bool((batch.annotated[:, None] & (batch.pose_weight > 0)).any()):
                break
            kept.append(batch)
    return kept


def _batches(source: Source, images: int) -> Iterator[FaceBatch]:
    size = min(images, _IMAGES_PER_PASS)
    return (source.batch(step, size) for step in range(-(-images // size)))


@torch.no_grad()
def validate(network: PoseGuidanceNetwork, batches: Iterable[FaceBatch]) -> dict[str, float]:
    """Mean errors over batches; what the labels do not allow is left out.

    The network is run as it is: put it in evaluation mode first.

    Returns:
        ``nme``: 2D, percent of the true landmark box, of the position map's landmarks;
        ``posed_nme``: of the posed model's; ``pose``: mean absolute error of the angles in
        degrees; ``shape_mm``: mean vertex distance of the neutral shape after rigid alignment.
    """
    device = network.pose_offset.device
    values: dict[str, list[Tensor]] = {}
    rotations: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        batch = batch.to(device)
        prediction = network(batch.images)
        annotated = batch.annotated.repeat_interleave(batch.frames)
        labelled = (batch.landmark_weights[..., :2] > 0).all(-1).all(-1).flatten()
        target = batch.landmarks.flatten(0, 1)[..., :2]
        for name, own, moved in (
            ("nme", prediction.landmarks, prediction.annotated_landmarks),
            ("posed_nme", prediction.posed_landmarks, prediction.posed_annotated_landmarks),
        ):
            points = torch.where(annotated[:, None, None], moved, own)[..., :2]
            values.setdefault(name, []).append(sparse_nme(points[labelled], target[labelled]))
        known = batch.pose_weight.flatten() > 0
        own = prediction.pose.rotation
        rotation = torch.where(
            annotated[:, None, None], network.annotated_rotation(prediction.pose), own
        )
        rotations.append((rotation[known], batch.pose.rotation.flatten(0, 1)[known]))
        known = batch.coefficient_weight.repeat_interleave(batch.frames) > 0
        if known.any():
            truth = network.model.vertices(batch.identity.repeat_interleave(batch.frames, 0)[known])
            found = network.model.vertices(prediction.identity[known])
            values.setdefault("shape_mm", []).append(shape_error(found, truth))
    means = {name: torch.cat(parts) for name, parts in values.items()}
    result = {name: float(parts.mean()) for name, parts in means.items() if len(parts)}
    found, truth = map(torch.cat, zip(*rotations, strict=True))
    if len(truth):
        result["pose"] = mean_pose_error(found, truth).mean
    return result


@torch.no_grad()
def calibrate(network: PoseGuidanceNetwork, batches: Iterable[FaceBatch]) -> int:
    """Set the constant rotation between the model's frontal pose and the annotation's.

    ``annotated = predicted @ pose_offset`` with the chordal mean of
    ``predicted^T annotated`` over training samples, taken once over all and once more over those
    within three times the median distance of it (annotations hold impossible angles).

    Args:
        network: its ``pose_offset`` is set; unchanged when no sample has an annotated pose.
        batches: training batches.

    Returns:
        Number of samples used.
    """
    device = network.pose_offset.device
    offsets = []
    for batch in batches:
        batch = batch.to(device)
        used = (batch.annotated[:, None] & (batch.pose_weight > 0)).flatten()
        predicted = network(batch.images[used]).pose.rotation
        annotated = batch.pose.rotation.flatten(0, 1)[used]
        offsets.append(predicted.transpose(-1, -2) @ annotated)
    if not offsets:
        return 0
    offset = torch.cat(offsets)
    distance = rotation_distance(offset, mean_rotation(offset))
    inliers = offset[distance <= 3 * distance.median() + 1e-3]
    network.pose_offset.copy_(mean_rotation(inliers))
    return len(inliers)
