"""What the protocols on MICC Florence measure, each a function of arrays.

* :func:`prnet_nme`: Feng et al., *Joint 3D Face Reconstruction and Dense Alignment with Position
  Map Regression Network*, ECCV 2018, after Jackson et al., ICCV 2017: ICP finds correspondences and
  is then forgotten; the mean distance between prediction and truth as they lie in the picture is
  divided by the outer interocular distance.
* :func:`deng_rmse`: Deng et al., *Accurate 3D Face Reconstruction with Weakly-Supervised Learning*,
  CVPRW 2019, with what its author writes in microsoft/Deep3DFaceReconstruction, thread 23: a
  similarity ICP for each mesh, and the root mean square distance from the scan's vertices within
  95 mm of its nose tip to the planes of the prediction. They also cut the forehead, but do not say
  where; here it stays unless the caller leaves it out of the scan.
* :func:`ganfit_distance`: Gecer et al., *GANFIT*, CVPR 2019, by the code published with
  *Fast-GANFIT* (TPAMI 2021): of each of the two meshes the part within 95 mm of its nose tip is
  aligned to the other by a similarity ICP, and the mean distances of both directions are averaged.
  The code measures to the surface, though the paper says to the plane. Their truth is a template
  registered to the scan; of a person's two frontal scans the nearer one counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from pgnface.evaluation.metrics import (
    IDENTITY,
    Alignment,
    Surface,
    align_surface,
    icp,
)
from pgnface.evaluation.metrics.surface import check_points

#: Radius around the nose tip in mm.
RADIUS = 95.0

#: Outer corners of the eyes.
EYE_CORNERS = (36, 45)

_FEW, _SETTLED = 2000, 1e-5


class PlaneErrors(NamedTuple):
    """Distances of one scan.

    Attributes:
        rmse: root mean square of ``distances``.
        distances: ``(N,)`` signed, of the scan's vertices in the crop to the prediction's planes.
        kept: ``(S,)`` which vertices of the scan these are.
        alignment: of the prediction to the scan.
    """

    rmse: float
    distances: NDArray[np.float64]
    kept: NDArray[np.bool_]
    alignment: Alignment


def prnet_nme(predicted: ArrayLike, true: ArrayLike, true_landmarks: ArrayLike) -> float:
    """Mean distance in percent of the outer interocular distance (PRNet's protocol).

    Args:
        predicted: vertices ``(V, 3)`` in image space.
        true: vertices of the face region of the scan ``(S, 3)``, posed as it was rendered.
        true_landmarks: ``(68, 3)``, posed alike.

    The mean difference in depth is removed, as the picture leaves it open.

    Raises:
        ValueError: for wrong shapes.
    """
    predicted, true = check_points("predicted", predicted), check_points("true", true)
    corners = check_points("true_landmarks", true_landmarks)[list(EYE_CORNERS)]
    # Each true vertex gets the predicted one that is nearest once the two are aligned.
    start = Alignment(1.0, np.eye(3), np.array([0, 0, true[:, 2].mean() - predicted[:, 2].mean()]))
    aligned = icp(predicted, true, initial=start).alignment.apply(predicted)
    _, nearest = cKDTree(aligned).query(true)
    gaps = predicted[nearest] - true
    gaps[:, 2] -= gaps[:, 2].mean()
    distance = np.linalg.norm(gaps, axis=1).mean()
    return float(100 * distance / np.linalg.norm(corners[0] - corners[1]))


def deng_rmse(
    scan: ArrayLike,
    nose_tip: ArrayLike,
    vertices: ArrayLike,
    triangles: ArrayLike,
    *,
    initial: Alignment = IDENTITY,
    radius: float = RADIUS,
) -> PlaneErrors:
    """Point-to-plane error in mm after a similarity ICP (Deng's protocol).

    Args:
        scan: vertices ``(S, 3)`` mm.
        nose_tip: ``(3,)`` mm.
        vertices, triangles: the prediction, ``(V, 3)`` and ``(T, 3)``.
        initial: of the prediction to the scan, by landmarks.
        radius: of the crop, mm.

    Raises:
        ValueError: for wrong shapes, or a crop with fewer than six vertices.
    """
    scan = check_points("scan", scan)
    kept = _near("scan", scan, nose_tip, radius)
    crop = scan[kept]
    fit = align_surface(Surface(vertices, triangles), crop, initial=initial)
    placed = Surface(fit.alignment.apply(vertices), triangles)
    nearest = placed.nearest(crop)
    distances = ((crop - nearest.points) * placed.normals(nearest.triangles)).sum(1)
    return PlaneErrors(float(np.sqrt(np.mean(distances**2))), distances, kept, fit.alignment)


def ganfit_distance(
    true_vertices: ArrayLike,
    true_triangles: ArrayLike,
    true_nose_tip: ArrayLike,
    vertices: ArrayLike,
    triangles: ArrayLike,
    nose_tip: ArrayLike,
    *,
    initial: Alignment = IDENTITY,
    radius: float = RADIUS,
) -> float:
    """Symmetric mean distance in mm after a similarity ICP each way (GANFIT's protocol).

    Args:
        true_vertices, true_triangles: the (registered) scan, mm.
        true_nose_tip: ``(3,)`` mm.
        vertices, triangles: the prediction.
        nose_tip: ``(3,)`` on the prediction.
        initial: of the prediction to the scan, by landmarks.
        radius: of the crops, mm.

    Raises:
        ValueError: for wrong shapes, or a crop with fewer than six vertices.
    """
    true_vertices = check_points("true_vertices", true_vertices)
    vertices = initial.apply(check_points("vertices", vertices))
    tips = np.asarray(true_nose_tip, np.float64), initial.apply(nose_tip)
    there = true_vertices[_near("true_vertices", true_vertices, tips[0], radius)]
    back = vertices[_near("vertices", vertices, tips[1], radius)]
    surfaces = Surface(vertices, triangles), Surface(true_vertices, true_triangles)
    ways = [_mean_after_icp(*way) for way in zip((there, back), surfaces, strict=True)]
    return float(np.mean(ways))


def _mean_after_icp(points: NDArray, surface: Surface) -> float:
    """Similarity ICP until the error settles to about 0.001 mm: a part of the points does most."""
    few = icp(points[:: -(-len(points) // _FEW)], surface, scale=True, tolerance=_SETTLED)
    fit = icp(points, surface, scale=True, tolerance=_SETTLED, initial=few.alignment, iterations=5)
    return float(fit.distances.mean())


def _near(name: str, points: NDArray, centre: ArrayLike, radius: float) -> NDArray[np.bool_]:
    centre = np.asarray(centre, np.float64)
    if centre.shape != (3,):
        raise ValueError(f"the nose tip must have shape (3,), got {centre.shape}")
    kept = np.linalg.norm(points - centre, axis=1) <= radius
    if kept.sum() < 6:
        raise ValueError(f"{name}: {kept.sum()} vertices lie within {radius:g} mm of the nose tip")
    return kept
