"""FaceWarehouse (Cao et al., TVCG 2014), as Tewari et al. (*MoFA*, ICCV 2017; *FML*, CVPR 2019) and
Deng et al. (CVPRW 2019) use it: 9 people with 20 expressions each, 180 meshes.

The prediction, with its expression, is aligned by a similarity ICP; the mean distance in mm from
the vertices of the face region of the registered mesh to the prediction's surface is averaged over
the meshes. Published numbers depend on the region (Deng et al. have a small and a large one) and
were taken on meshes that had been subdivided; neither the region nor the list of people is part of
the data set, so both are arguments here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgnface._errors import UserError
from pgnface.evaluation.meshes import read_mesh, read_vertex_ids
from pgnface.evaluation.metrics import IDENTITY, Alignment, Surface, align_points, align_surface
from pgnface.evaluation.metrics.surface import check_points
from pgnface.evaluation.predictions import open_predictions
from pgnface.evaluation.result import ErrorMap, Result, Table

from .now import LANDMARKS, face_ball

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork


class RegionErrors(NamedTuple):
    """Distances of one mesh.

    Attributes:
        distances: ``(R,)`` of the region's vertices.
        alignment: of the prediction to the truth.
    """

    distances: NDArray[np.float64]
    alignment: Alignment


def region_distances(
    true_vertices: ArrayLike,
    region: ArrayLike,
    vertices: ArrayLike,
    triangles: ArrayLike,
    *,
    initial: Alignment = IDENTITY,
    scale: bool = True,
) -> RegionErrors:
    """Distances from the vertices of a region to a prediction after ICP.

    Args:
        true_vertices: ``(S, 3)`` mm.
        region: vertex numbers ``(R,)``.
        vertices, triangles: the prediction, ``(V, 3)`` and ``(T, 3)``.
        initial: of the prediction to the truth, by landmarks.
        scale: align by a similarity rather than a rigid motion.

    Raises:
        ValueError: for wrong shapes, numbers out of range or fewer than six vertices.
    """
    true_vertices = check_points("true_vertices", true_vertices)
    region = np.asarray(region)
    if region.ndim != 1 or region.dtype.kind not in "iu":
        raise ValueError(
            f"region must be integers of shape (R,), got {region.dtype} {region.shape}"
        )
    if len(region) and not 0 <= region.min() <= region.max() < len(true_vertices):
        raise ValueError(
            f"region: expected numbers from 0 to {len(true_vertices) - 1}, got {region.min()} to "
            f"{region.max()}"
        )
    fit = align_surface(
        Surface(vertices, triangles), true_vertices[region], scale=scale, initial=initial
    )
    return RegionErrors(fit.distances, fit.alignment)


def evaluate_facewarehouse(
    root: str | Path,
    landmarks: str | Path,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    predictions: str | Path | None = None,
    region: str | Path | None = None,
    subjects: Sequence[int] = (),
    mm_per_unit: float = 100.0,
) -> Result:
    """Measure FaceWarehouse (:func:`pgnface.data.benchmarks.list_facewarehouse`).

    Args:
        root: the data set's folder.
        landmarks: text file of the vertex numbers of the seven landmarks of :data:`.now.LANDMARKS`
            on the data set's meshes.
        checkpoint: the network to measure.
        predictions: measure the meshes of this folder instead: ``Tester_1/pose_0.obj``, with the
            seven landmarks beside each, ``.npy`` or ``.txt``.
        region: text file of the region's vertex numbers; default: the ball of NoW's crop on the
            first mesh.
        subjects: numbers of the people; all by default.
        mm_per_unit: of the data set's meshes, whose unit is about 10 cm.

    Raises:
        FileNotFoundError: when a folder is missing.
        UserError: when a file is damaged or nothing can be measured.
    """
    from pgnface.data.benchmarks import list_facewarehouse

    if not mm_per_unit > 0:
        raise UserError(f"mm_per_unit must be positive, got {mm_per_unit}")
    skipped: dict[str, str] = {}
    samples = list_facewarehouse(root, skipped)
    if subjects:
        samples = [sample for sample in samples if sample.subject in subjects]
        missing = set(subjects) - {sample.subject for sample in samples}
        if missing:
            raise UserError(f"{root}: subjects {sorted(missing)} are not there")
    predict = open_predictions(checkpoint, predictions, landmarks=LANDMARKS, expression=True)
    ids = read_vertex_ids(landmarks, len(LANDMARKS))
    kept = read_vertex_ids(region) if region is not None else None
    errors: dict[int, list[float]] = {}
    first = None
    for sample in samples:
        try:
            mesh = read_mesh(sample.mesh)
            vertices = mesh.vertices * mm_per_unit
            if ids.max() >= len(vertices):
                raise UserError(f"{landmarks}: vertex {ids.max()} of {len(vertices)}")
            if kept is None:
                centre, radius = face_ball(vertices[ids])
                kept = np.flatnonzero(np.linalg.norm(vertices - centre, axis=1) <= radius)
            face = predict(sample.name, sample.image)
            start = align_points(face.landmarks, vertices[ids], scale=True)
            found = region_distances(vertices, kept, face.vertices, face.triangles, initial=start)
        except ValueError as error:
            skipped[sample.name] = str(error)
            continue
        errors.setdefault(sample.subject, []).append(float(found.distances.mean()))
        if first is None:
            values = np.full(len(vertices), np.nan)
            values[kept] = found.distances
            first = ErrorMap(vertices, mesh.triangles, values)
    if not errors:
        raise UserError(f"{root}: nothing could be measured: {next(iter(skipped.values()))}")
    rows = {f"subject {subject}": _row(values) for subject, values in errors.items()}
    every = [value for values in errors.values() for value in values]
    return Result(
        title="FaceWarehouse",
        facts={
            "predictions": predict.source,
            "root": str(root),
            "meshes": len(every),
            "region_vertices": len(kept),
            "left_out": len(skipped),
        },
        tables=(
            Table(
                "Mean distance, mm",
                ("mean", "std", "meshes"),
                {"all": _row(every), **rows},
                key="facewarehouse",
            ),
        ),
        errors={"meshes": np.array(every)},
        skipped=skipped,
        error_map=first,
    )


def _row(values: list[float]) -> tuple[float, float, int]:
    return float(np.mean(values)), float(np.std(values)), len(values)
