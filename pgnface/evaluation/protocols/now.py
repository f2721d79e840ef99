"""NoW (Sanyal et al., *Learning to Regress 3D Face Shape and Expression from an Image without 3D
Supervision*, CVPR 2019), as its published evaluation code measures it.

1. The neutral prediction is placed on the scan by seven landmarks: similarity of least squares.
2. The scan is cropped to a ball. With the bottom of the nose ``b``, the middle ``m`` of the inner
   eye corners and the distance ``e`` of the outer ones, its centre is ``b + 0.3 (m - b)`` and its
   radius ``1.4 (e + |m - b|) / 2``.
3. Scale, rotation and translation of the prediction are refined to minimise the sum of the squared
   distances from the scan's vertices in the crop to the prediction's surface.
4. Those distances, unsigned and in mm, are the result. Median, mean and standard deviation are
   taken over the distances of all images, so a scan counts by its number of vertices.

The metrical variant keeps the prediction's scale: 1 and 3 are rigid motions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgnface._errors import UserError
from pgnface.evaluation.meshes import read_mesh
from pgnface.evaluation.metrics import Alignment, Surface, align_points, align_surface
from pgnface.evaluation.metrics.surface import check_points
from pgnface.evaluation.predictions import open_predictions
from pgnface.evaluation.result import Result, Table, map_of_crop

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork

#: The seven landmarks in iBUG's numbers: outer and inner corner of the right eye, inner and outer
#: one of the left, bottom of the nose, right and left corner of the mouth.
LANDMARKS = (36, 39, 42, 45, 33, 48, 54)

#: Millimetres in the units that predictions may have.
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


class NowResult(NamedTuple):
    """One image.

    Attributes:
        distances: ``(N,)`` mm, of the scan's vertices in the crop.
        kept: ``(S,)`` which vertices of the scan these are.
        alignment: of the prediction to the scan.
    """

    distances: NDArray[np.float64]
    kept: NDArray[np.bool_]
    alignment: Alignment


@dataclass(frozen=True)
class DistanceSummary:
    """Statistics of distances in mm that are pooled over images.

    Attributes:
        median, mean, std: over all distances.
        images: how many.
    """

    median: float
    mean: float
    std: float
    images: int


def face_ball(landmarks: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """Centre ``(3,)`` and radius of the crop, from a scan's seven landmarks ``(7, 3)``.

    Raises:
        ValueError: for another shape.
    """
    landmarks = _seven("landmarks", landmarks)
    bottom = landmarks[4]
    up = (landmarks[1] + landmarks[2]) / 2 - bottom
    eyes = float(np.linalg.norm(landmarks[0] - landmarks[3]))
    return bottom + 0.3 * up, 1.4 * (eyes + float(np.linalg.norm(up))) / 2


def now_distances(
    scan: ArrayLike,
    scan_landmarks: ArrayLike,
    vertices: ArrayLike,
    triangles: ArrayLike,
    landmarks: ArrayLike,
    *,
    metrical: bool = False,
    unit: Literal["mm", "cm", "m"] = "mm",
) -> NowResult:
    """Distances from a scan to a prediction.

    Args:
        scan: vertices ``(S, 3)`` mm.
        scan_landmarks: ``(7, 3)`` mm, in the order of :data:`LANDMARKS`.
        vertices, triangles: the prediction, ``(V, 3)`` and ``(T, 3)``.
        landmarks: ``(7, 3)`` on the prediction.
        metrical: keep the prediction's scale.
        unit: of the prediction; without ``metrical`` it does not matter.

    Raises:
        ValueError: for wrong shapes, an unknown unit, or a crop without vertices.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    scan, scan_landmarks = check_points("scan", scan), _seven("scan_landmarks", scan_landmarks)
    centre, radius = face_ball(scan_landmarks)
    kept = np.linalg.norm(scan - centre, axis=1) <= radius
    if not kept.any():
        raise ValueError(f"no vertex of the scan lies within {radius:.1f} mm of its face's centre")
    scale = UNITS[unit]
    surface = Surface(np.asarray(vertices, np.float64) * scale, triangles)
    start = align_points(_seven("landmarks", landmarks) * scale, scan_landmarks, scale=not metrical)
    fit = align_surface(surface, scan[kept], scale=not metrical, initial=start)
    return NowResult(fit.distances, kept, fit.alignment)


def summarise_distances(distances: Iterable[ArrayLike]) -> DistanceSummary:
    """Median, mean and standard deviation over the distances of all images, pooled.

    Raises:
        ValueError: when there are none.
    """
    parts = [np.asarray(part, np.float64) for part in distances]
    pooled = np.concatenate(parts) if parts else np.zeros(0)
    if not len(pooled):
        raise ValueError("distances: expected those of at least one image, got none")
    return DistanceSummary(
        float(np.median(pooled)), float(pooled.mean()), float(pooled.std()), len(parts)
    )


def evaluate_now(
    root: str | Path,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    predictions: str | Path | None = None,
    metrical: bool = False,
    unit: Literal["mm", "cm", "m"] = "mm",
) -> Result:
    """Measure the validation set of NoW (:func:`pgnface.data.benchmarks.list_now`).

    Args:
        root: the data set's folder.
        checkpoint: the network whose neutral faces are measured.
        predictions: measure the meshes of this folder instead: ``SUBJECT/CHALLENGE/IMAGE.obj`` or
            ``.ply``, and the seven landmarks beside it, ``.npy`` or ``.txt``.
        metrical: keep the predictions' scale.
        unit: of the predictions in the folder.

    Raises:
        FileNotFoundError: when a folder is missing.
        UserError: when no sample can be measured.
    """
    from pgnface.data.benchmarks import list_now
    from pgnface.data.benchmarks.now import read_box

    skipped: dict[str, str] = {}
    samples = list_now(root, "validation", skipped)
    predict = open_predictions(checkpoint, predictions, landmarks=LANDMARKS)
    distances: dict[str, list[NDArray]] = {}
    scan_of, scan = None, None
    error_map = None
    for sample in samples:
        try:
            if sample.scan != scan_of:  # the samples of a person follow each other
                scan_of, scan = sample.scan, read_mesh(sample.scan)
            box = read_box(sample.box) if sample.box and predictions is None else None
            face = predict(sample.name, sample.image, box)
            found = now_distances(
                scan.vertices,
                sample.landmarks,
                *face,
                metrical=metrical,
                unit=unit if predictions is not None else "mm",
            )
        except ValueError as error:
            skipped[sample.name] = str(error)
            continue
        if error_map is None:
            error_map = map_of_crop(*scan, found.kept, found.distances)
        distances.setdefault(sample.challenge, []).append(found.distances)
    every = [part for parts in distances.values() for part in parts]
    if not every:
        raise UserError(f"{root}: no sample could be measured: {next(iter(skipped.values()))}")
    summaries = {name: summarise_distances(parts) for name, parts in distances.items()}
    rows = {"all": summarise_distances(every), **summaries}
    return Result(
        title="NoW, metrical" if metrical else "NoW",
        facts={
            "predictions": predict.source,
            "root": str(root),
            "images": len(every),
            "left_out": len(skipped),
        },
        tables=(
            Table(
                "Distance from scan to prediction, mm",
                ("median", "mean", "std", "images"),
                {
                    name.replace("_", " "): (s.median, s.mean, s.std, s.images)
                    for name, s in rows.items()
                },
                key="now_metrical" if metrical else "now",
            ),
        ),
        errors={name: np.concatenate(parts) for name, parts in distances.items()},
        skipped=skipped,
        error_map=error_map,
    )


def _seven(name: str, landmarks: ArrayLike) -> NDArray[np.float64]:
    landmarks = check_points(name, landmarks)
    if len(landmarks) != len(LANDMARKS):
        raise ValueError(f"{name} must have shape (7, 3), got {landmarks.shape}")
    return landmarks
