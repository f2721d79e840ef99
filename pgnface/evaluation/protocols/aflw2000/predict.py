"""Predictions for the readable faces of AFLW2000-3D, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface._errors import UserError
from pgnface.data.annotation import Annotation, read_annotation
from pgnface.data.cropping import SquareBox, square_box
from pgnface.data.images import read_image
from pgnface.evaluation.metrics import dense_nme
from pgnface.networks import PoseGuidanceNetwork, Prediction
from pgnface.networks.inference import predict_faces, to_cpu

from .boxes import BoxRule
from .dense import DenseBasis


@dataclass(frozen=True)
class Sample:
    """One readable face of the data set; with its true vertices, where they are asked for."""

    path: Path
    image: NDArray[np.uint8]
    annotation: Annotation
    box: SquareBox
    vertices: NDArray[np.float64] | None = None


@dataclass
class Results:
    """Everything measured, in the order of ``paths``; ``dense``: errors ``(N,)`` by their kind."""

    paths: list[Path]
    landmarks: Tensor
    posed_landmarks: Tensor
    rotations: Tensor
    annotated_rotations: Tensor
    true: Tensor
    true_rotations: Tensor
    angles: Tensor
    has_depth: Tensor
    dense: dict[str, Tensor]


def predict_samples(
    network: PoseGuidanceNetwork,
    paths: Sequence[Path],
    boxes: BoxRule,
    batch_size: int,
    skipped: dict[str, str],
    basis: DenseBasis | None = None,
    passes: int = 1,
    mirror: bool = False,
    keep_boxes: bool = False,
) -> Results:
    """Predict every sample; those that cannot be used go to ``skipped`` with the reason."""
    if batch_size < 1:
        raise UserError(f"batch size must be at least 1, got {batch_size}")
    vertices = network.model.vertex_count
    if basis is not None and vertices != len(basis.mean):
        raise UserError(
            f"dense errors need the network's face model to have the {len(basis.mean)} vertices of "
            f"the annotation's, but {network.model.name} has {vertices}"
        )
    kept: list[Path] = []
    dense: list[dict[str, Tensor]] = []
    parts: list[tuple[Tensor, ...]] = []
    for samples in _batches(_readable(paths, boxes, skipped, basis), batch_size):
        prediction = predict_faces(
            network,
            [sample.image for sample in samples],
            [sample.box for sample in samples],
            passes=passes,
            mirror=mirror,
            keep_boxes=keep_boxes,
        )
        if basis is not None:
            dense.append(_dense_errors(network, prediction, samples))
        annotated_rotation = network.annotated_rotation(prediction.pose).cpu()
        prediction = to_cpu(prediction)
        truth = [sample.annotation for sample in samples]
        kept += [sample.path for sample in samples]
        parts.append(
            (
                prediction.annotated_landmarks,
                prediction.posed_annotated_landmarks,
                prediction.pose.rotation,
                annotated_rotation,
                *(
                    torch.stack([torch.as_tensor(getattr(a, name)) for a in truth]).float()
                    for name in ("landmarks", "rotation", "angles")
                ),
                torch.tensor([a.has_depth for a in truth]),
            )
        )
    joined = [torch.cat(column) for column in zip(*parts, strict=True)] or [torch.empty(0)] * 8
    columns = {kind: torch.cat([part[kind] for part in dense]) for kind in dense[:1] and dense[0]}
    return Results(kept, *joined, columns)


def _readable(
    paths: Sequence[Path], boxes: BoxRule, skipped: dict[str, str], basis: DenseBasis | None
) -> Iterator[Sample]:
    """Samples that can be used; the others go to ``skipped`` with the reason."""
    for path in paths:
        try:
            annotation = read_annotation(path.with_suffix(".mat"))
            image = read_image(path)
            vertices = basis.vertices(annotation, len(image)) if basis is not None else None
            box = boxes(image, square_box(annotation.landmarks))
        except (ValueError, OSError) as error:
            skipped[path.name] = str(error)
            continue
        yield Sample(path, image, annotation, box, vertices)


@torch.no_grad()
def _dense_errors(
    network: PoseGuidanceNetwork, prediction: Prediction, samples: Sequence[Sample]
) -> dict[str, Tensor]:
    """Errors ``(N,)`` of all vertices, in two and three dimensions and both variants."""
    found = network.model.vertices(prediction.identity, prediction.expression, prediction.pose)
    found = found.cpu()
    true = torch.from_numpy(np.stack([sample.vertices for sample in samples])).float()
    landmarks = np.stack([sample.annotation.landmarks for sample in samples])
    landmarks = torch.from_numpy(landmarks).float()
    errors = {}
    for variant in ("mean_z", "min_z"):
        errors[f"2d_dense_{variant}"] = dense_nme(found[..., :2], true[..., :2], variant, landmarks)
        errors[f"3d_dense_{variant}"] = dense_nme(found, true, variant, landmarks)
    return errors


def _batches(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
