"""Steadiness over the frames of a video of one person: no truth is needed.

* Jitter: mean acceleration (second difference over frames) of the landmarks, in percent of their
  box, and of the head pose, in degrees; per frame squared, so compare videos of one frame rate.
* Identity: how far the identity coefficients of single frames, and the neutral faces that they
  describe, lie from their mean over the video.

Every frame is predicted by itself, in a box that is cut anew around the first prediction, so that
the detector's own tremble hardly counts. Boxes of frames without a detection are interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import NothingFoundError, UserError
from pgnface.evaluation.metrics import (
    coefficient_spread,
    landmark_jitter,
    pose_jitter,
    shape_spread,
)
from pgnface.evaluation.report import describe
from pgnface.evaluation.result import Result, Table

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork

_BATCH = 32


def evaluate_video(
    videos: Sequence[str | Path],
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    frames: int = 200,
    detector: str = "auto",
) -> Result:
    """Measure a network on videos of one face each.

    Args:
        videos: files, or folders of frames in the order of their names.
        checkpoint: the network.
        frames: most frames of a video, from its beginning; at least 3.
        detector: finds the face.

    Raises:
        UserError: for fewer frames, or when no video can be measured.
    """
    from pgnface.data.detectors import build_detector
    from pgnface.networks.inference import resolve_network

    if frames < 3:
        raise UserError(f"frames must be at least 3, got {frames}")
    network = resolve_network(checkpoint)
    detect = build_detector(detector)
    rows, skipped = {}, {}
    for video in map(Path, videos):
        try:
            rows[video.name] = _measure(network, _read_frames(video, frames), detect)
        except (ValueError, OSError) as error:
            skipped[str(video)] = str(error)
    if not rows:
        reason = next(iter(skipped.values()), "none was given")
        raise UserError(f"no video could be measured: {reason}")
    if len(rows) > 1:
        values = np.array(list(rows.values()))
        rows["mean"] = (*values[:, :4].mean(0).tolist(), *map(int, values[:, 4:].sum(0)))
    return Result(
        title="Steadiness in videos",
        facts={
            "predictions": describe(checkpoint),
            "videos": len(rows) - (len(rows) > 1),
            "left_out": len(skipped),
        },
        tables=(
            Table(
                "Jitter per frame squared, spread over frames",
                (
                    "landmarks, %",
                    "pose, degrees",
                    "identity, std",
                    "neutral face, mm",
                    "frames",
                    "not detected",
                ),
                rows,
                digits=3,
            ),
        ),
        skipped=skipped,
    )


def _measure(network, images, detect) -> tuple[float, float, float, float, int, int]:
    from pgnface.data.video import follow_face, interpolate_boxes
    from pgnface.networks import join_predictions
    from pgnface.networks.inference import model_on_cpu, predict_faces, to_cpu

    found = follow_face(images, detect)
    missing = sum(box is None for box in found)
    if missing == len(found):
        raise NothingFoundError("no face found")
    boxes = interpolate_boxes(found)
    prediction = join_predictions(
        [
            to_cpu(predict_faces(network, images[i : i + _BATCH], boxes[i : i + _BATCH], passes=2))
            for i in range(0, len(images), _BATCH)
        ]
    )
    with torch.no_grad():
        neutral = model_on_cpu(network.model).vertices(prediction.identity)
    return (
        float(landmark_jitter(prediction.landmarks[..., :2])),
        float(pose_jitter(prediction.pose.rotation)),
        float(coefficient_spread(prediction.identity)),
        float(shape_spread(neutral)),
        len(images),
        missing,
    )


def _read_frames(path: Path, count: int) -> list[NDArray[np.uint8]]:
    from pgnface.data.images import list_images, read_image
    from pgnface.data.video import Video

    if path.is_dir():
        return [read_image(image) for image in list_images(path)[:count]]
    return [image for _, image in islice(Video(path).frames(), count)]
