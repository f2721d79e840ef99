"""REALY (Chai et al., *REALY: Rethinking the Evaluation of 3D Face Reconstruction*, ECCV 2022),
after its published evaluation code.

1. The prediction is placed on the scan by seven key points: similarity of least squares.
2. For each region (nose, mouth, forehead, cheek) apart, rigid ICP without scale from the region's
   vertices to the prediction, with the region's key points weighing as much as all its vertices
   together (for the cheek a quarter).
3. The region is bent onto the prediction by non-rigid ICP, guided at first by the key points (not
   for the cheek); the prediction's nearest points to the bent region are the region's
   correspondences.
4. The error is the mean distance from the region's vertices, where they were, to these
   correspondences, times the scan's metrical scale: mm (the paper calls it NMSE).

Step 3 uses :func:`pgnface.geometry.registration.nonrigid_icp` with their falling stiffness. Its
units differ from theirs, their first step follows the key points alone, and their key points fade
from step to step: bent regions agree in kind, not to the digit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from pgnface._errors import UserError
from pgnface.evaluation.meshes import Mesh, find_mesh, read_mesh
from pgnface.evaluation.metrics import Alignment, Surface, align_points
from pgnface.evaluation.metrics.surface import check_mesh, check_points
from pgnface.evaluation.predictions import NetworkPredictions, PredictedMesh
from pgnface.evaluation.result import ErrorMap, Result, Table
from pgnface.geometry.landmarks import LANDMARK_COUNT

from .now import LANDMARKS

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork

REGIONS = ("nose", "mouth", "forehead", "cheek")

KEYPOINT_COUNT = 85

_LIPS = (*range(48, 61), 64)
#: Key points of the rigid ICP. Those from 68 on are REALY's own; predictions may lack them.
RIGID_KEYPOINTS = {
    "nose": (*range(27, 36), 70, 71),
    "mouth": _LIPS,
    "forehead": (*range(36, 48), *range(17, 27)),
    "cheek": (*_LIPS, 76, 77, 36, 41, 40, 39, 42, 47, 46, 45, 7, 8, 9),
}
#: Key points of the non-rigid ICP.
BENDING_KEYPOINTS = {
    "nose": tuple(range(27, 36)),
    "mouth": _LIPS,
    "forehead": (*range(36, 48), *range(17, 27)),
    "cheek": (),
}
_WEIGHT = {"nose": 1.0, "mouth": 1.0, "forehead": 1.0, "cheek": 0.25}
# 150, then 50 exp(-d / 2) for d = 0, 1, 2. The weight falls alike; at 50 it is theirs, 4.
_STIFFNESS = (150.0, 50.0, 30.3, 18.4)
_LANDMARK_WEIGHT = 12.0
_SETTLED = 1e-6


class RegionResult(NamedTuple):
    """One region of one scan.

    Attributes:
        error: mean of ``distances``.
        distances: ``(R,)`` of the region's vertices to their correspondences.
        alignment: of the prediction to the scan, by the rigid steps.
    """

    error: float
    distances: NDArray[np.float64]
    alignment: Alignment


def align_globally(keypoints: ArrayLike, true_keypoints: ArrayLike) -> Alignment:
    """The similarity of seven key points, of ``(K, 3)`` with K at least 68."""
    chosen = list(LANDMARKS)
    return align_points(
        check_points("keypoints", keypoints)[chosen],
        check_points("true_keypoints", true_keypoints)[chosen],
        scale=True,
    )


def align_region(
    surface: Surface,
    keypoints: ArrayLike,
    region_vertices: ArrayLike,
    true_keypoints: ArrayLike,
    *,
    weight: float = 1.0,
    iterations: int = 100,
) -> Alignment:
    """Rigid ICP from a region to a surface.

    Args:
        surface: the prediction.
        keypoints: the region's key points on it, ``(L, 3)``.
        region_vertices: ``(R, 3)``.
        true_keypoints: ``(L, 3)``.
        weight: of all key points together, against that of all vertices together.
        iterations: largest number of steps.

    Returns:
        the alignment of the surface to the region, of scale 1.
    """
    region = check_points("region_vertices", region_vertices)
    keypoints = check_points("keypoints", keypoints)
    target = np.concatenate((region, check_points("true_keypoints", true_keypoints)))
    weights = np.ones(len(target))
    weights[len(region) :] = weight * len(region) / len(keypoints)
    alignment, before = Alignment(1.0, np.eye(3), np.zeros(3)), np.inf
    for _ in range(iterations):
        nearest = surface.nearest(alignment.inverse().apply(region)).points
        source = np.concatenate((nearest, keypoints))
        alignment = align_points(source, target, weights=weights)
        gaps = alignment.apply(source) - target
        error = np.average((gaps**2).sum(1), weights=weights)
        if abs(before - error) < _SETTLED:
            break
        before = error
    return alignment


def region_error(
    region: str,
    region_mesh: Mesh | tuple[ArrayLike, ArrayLike],
    true_keypoints: ArrayLike,
    vertices: ArrayLike,
    triangles: ArrayLike,
    keypoints: ArrayLike,
) -> RegionResult:
    """The error of one region in the scan's unit.

    Args:
        region: one of :data:`REGIONS`.
        region_mesh: vertices ``(R, 3)`` and triangles of the scan's region.
        true_keypoints: ``(85, 3)`` on the scan.
        vertices, triangles: the prediction, ``(V, 3)`` and ``(T, 3)``.
        keypoints: ``(K, 3)`` on it, K from 68 to 85: only so many are used.

    Raises:
        ValueError: for an unknown region or wrong shapes.
    """
    from pgnface.geometry.registration import nonrigid_icp

    if region not in REGIONS:
        raise ValueError(f"region must be one of {', '.join(REGIONS)}, got {region!r}")
    keypoints = check_points("keypoints", keypoints)
    true_keypoints = check_points("true_keypoints", true_keypoints)
    if not LANDMARK_COUNT <= len(keypoints) <= len(true_keypoints):
        raise ValueError(
            f"keypoints must be 68 to {len(true_keypoints)} points, got {len(keypoints)}"
        )
    scan, scan_triangles = check_mesh(*region_mesh)
    start = align_globally(keypoints, true_keypoints)
    chosen = [k for k in RIGID_KEYPOINTS[region] if k < len(keypoints)]
    refined = align_region(
        Surface(start.apply(vertices), triangles),
        start.apply(keypoints[chosen]),
        scan,
        true_keypoints[chosen],
        weight=_WEIGHT[region],
    )
    alignment = refined.after(start)
    placed, marks = alignment.apply(vertices), alignment.apply(keypoints)
    guides = None
    if bending := list(BENDING_KEYPOINTS[region]):
        _, ids = cKDTree(scan).query(true_keypoints[bending])
        guides = (ids, marks[bending])
    bent = nonrigid_icp(
        scan,
        scan_triangles,
        placed,
        triangles,
        landmarks=guides,
        landmark_weight=_LANDMARK_WEIGHT,
        stiffness=_STIFFNESS,
    )
    distances = np.linalg.norm(Surface(placed, triangles).nearest(bent).points - scan, axis=1)
    return RegionResult(float(distances.mean()), distances, alignment)


def evaluate_realy(
    root: str | Path,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    images: str | Path | None = None,
    predictions: str | Path | None = None,
    keypoints: str | Path | None = None,
) -> Result:
    """Measure REALY (:func:`pgnface.data.benchmarks.list_realy`).

    Args:
        root: folder of the regions, the key points and the metrical scales.
        checkpoint: the network to measure, with its predicted expressions and 68 of the key points.
        images: folder of the photos; default: ``root``.
        predictions: measure the meshes ``NAME.obj`` of this folder instead, of one topology.
        keypoints: with ``predictions``, the published barycentric file of the topology's 85 key
            points: JSON, ``[[triangle, first weight, second weight], ...]``.

    Raises:
        FileNotFoundError: when a folder is missing.
        UserError: when a file is damaged or nothing can be measured.
    """
    from pgnface.data.benchmarks import list_realy

    skipped: dict[str, str] = {}
    samples = list_realy(root, images, skipped)
    if predictions is None:
        predict = NetworkPredictions(checkpoint, landmarks=range(LANDMARK_COUNT), expression=True)
    elif keypoints is None:
        raise UserError("predictions of a folder need keypoints, the topology's barycentric file")
    else:
        predict = _KeypointPredictions(predictions, keypoints)
    errors: dict[str, dict[str, list[float]]] = {}
    error_map = None
    for sample in samples:
        try:
            face = predict(sample.name, sample.image)
            meshes = {region: read_mesh(path) for region, path in sample.regions.items()}
            found = {
                region: sample.scale * region_error(region, mesh, sample.keypoints, *face).distances
                for region, mesh in meshes.items()
            }
        except ValueError as error:
            skipped[sample.name] = str(error)
            continue
        view = errors.setdefault("side" if sample.view else "frontal", {})
        for region, distances in found.items():
            view.setdefault(region, []).append(float(distances.mean()))
        if error_map is None:
            error_map = _error_map(meshes, found)
    if not errors:
        raise UserError(f"{root}: nothing could be measured: {next(iter(skipped.values()))}")
    rows = {}
    for view, regions in errors.items():
        rows.update(_rows(view, regions))
    return Result(
        title="REALY",
        facts={
            "predictions": predict.source,
            "root": str(root),
            "images": sum(len(regions["nose"]) for regions in errors.values()),
            "left_out": len(skipped),
        },
        tables=(Table("Error by region, mm", (*REGIONS, "all"), rows, key="realy", digits=3),),
        errors={
            region: np.concatenate([regions[region] for regions in errors.values()])
            for region in REGIONS
        },
        skipped=skipped,
        error_map=error_map,
    )


def read_barycentric(path: str | Path) -> NDArray[np.float64]:
    """The published key points of a topology ``(85, 3)``: triangle number, two weights.

    Raises:
        UserError: naming the file, for anything else.
    """
    try:
        table = np.array(json.loads(Path(path).read_text()), np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: expected JSON of 85 key points ({error})") from error
    if table.shape != (KEYPOINT_COUNT, 3) or not np.isfinite(table).all() or table[:, 0].min() < 0:
        raise UserError(
            f"{path}: expected 85 times triangle, weight, weight, got shape {table.shape}"
        )
    return table


class _KeypointPredictions:
    """Meshes of one topology, with key points by barycentric coordinates."""

    def __init__(self, folder: str | Path, keypoints: str | Path) -> None:
        self._folder, self.source = Path(folder), str(folder)
        if not self._folder.is_dir():
            raise FileNotFoundError(f"no such folder: {folder}")
        self._path, self._table = keypoints, read_barycentric(keypoints)

    def __call__(self, name: str, image: Path) -> PredictedMesh:
        mesh = read_mesh(find_mesh(self._folder / name))
        faces = self._table[:, 0].astype(int)
        if faces.max() >= len(mesh.triangles):
            raise UserError(
                f"{self._path}: triangle {faces.max()}, but {name} has {len(mesh.triangles)}"
            )
        first, second = self._table[:, 1], self._table[:, 2]
        weights = np.stack((first, second, 1 - first - second), 1)[..., None]
        points = (mesh.vertices[mesh.triangles[faces]] * weights).sum(1)
        return PredictedMesh(*mesh, points)


def _error_map(meshes: Mapping[str, Mesh], distances: Mapping[str, NDArray]) -> ErrorMap:
    """The four regions of a scan as one mesh."""
    vertices = np.concatenate([mesh.vertices for mesh in meshes.values()])
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes.values())])
    triangles = [mesh.triangles + s for mesh, s in zip(meshes.values(), starts, strict=False)]
    return ErrorMap(vertices, np.concatenate(triangles), np.concatenate(list(distances.values())))


def _rows(view: str, regions: Mapping[str, list[float]]) -> dict[str, tuple[float, ...]]:
    """Means of the regions and of all, and the standard deviations over the images."""
    means = [float(np.mean(regions[region])) for region in REGIONS]
    several = len(regions["nose"]) > 1
    stds = [float(np.std(regions[r], ddof=1)) if several else float("nan") for r in REGIONS]
    return {view: (*means, float(np.mean(means))), f"{view}, std": (*stds, float("nan"))}
