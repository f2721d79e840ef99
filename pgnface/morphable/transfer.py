"""Landmarks, texture coordinates and regions of one face model on the mesh of another.

The one mean face is registered to the other, rigidly and then by non-rigid ICP, and each vertex of
the other takes the values of the nearest point of the bent surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from pgnface.evaluation.metrics import (
    IDENTITY,
    Alignment,
    Surface,
    align_points,
    icp,
)
from pgnface.evaluation.metrics.surface import check_mesh
from pgnface.geometry.registration import nonrigid_icp

from .load import load_model
from .model import MorphableModel

Part = Literal["landmarks", "uv", "regions"]
#: What can be carried from model to model.
PARTS: tuple[Part, ...] = get_args(Part)

# The part of a face that every model has, as a distance from the tip of the nose in mm.
_CORE = 85.0
# Vertices of the source that are enough for a rigid alignment.
_SAMPLES = 1500
_TRIM = 0.2
# Where the tip of the nose may be beside the foremost point, in mm upwards: lips and chin come
# before it where a head is tilted.
_STARTS = (0.0, 25.0, 50.0)
_NOSE_TIP = 30
# Landmarks whose places differ little from one model's style to another's.
_SAME_STYLE = slice(27, 68)
_STIFFNESS = (30.0, 10.0, 3.0, 1.0)
_STEPS = 4


class Transferred(NamedTuple):
    """What one model's annotations become on another mesh of ``V`` vertices.

    Attributes:
        landmarks: ``(68,)`` vertex ids.
        uv: ``(V, 2)`` texture coordinates in [0, 1]. Vertices beyond the model's border have those
            of the border.
        regions: ``(V,)`` numbers into ``region_names``.
        region_names: the model's.
        distances: ``(V,)`` mm from the vertices to the bent model: large beyond its border.
        landmark_distances: ``(68,)`` mm from where the bent model has its landmarks to the vertices
            that stand for them: limited by the mesh's resolution.
    """

    landmarks: NDArray[np.int64]
    uv: NDArray[np.float64]
    regions: NDArray[np.int64]
    region_names: tuple[str, ...]
    distances: NDArray[np.float64]
    landmark_distances: NDArray[np.float64]


def transfer(
    model: MorphableModel,
    vertices: ArrayLike,
    triangles: ArrayLike,
    *,
    landmarks: ArrayLike | None = None,
) -> Transferred:
    """Carry a model's landmarks, texture coordinates and regions to another mean face.

    Args:
        model: what to carry them from.
        vertices: ``(V, 3)`` the other mean face or head, in mm and roughly in our axes (x to the
            subject's left, y up, z out of the face), wherever it lies.
        triangles: ``(T, 3)`` counter-clockwise from outside.
        landmarks: ``(68,)`` vertex ids of the other face where they are known already, which then
            make the start of the registration instead of the search for the nose. They are not
            pulled upon, since the styles of jaw and brows differ.

    Raises:
        ValueError: for wrong shapes, or a mesh on which the model's face cannot be laid.
    """
    vertices, triangles = check_mesh(vertices, triangles)
    bent = register(model, vertices, triangles, landmarks=landmarks)
    surface = Surface(bent, model.triangles.cpu().numpy())
    found = surface.nearest(vertices)
    corners = surface.triangles[found.triangles]
    weights = found.barycentrics
    uv = (weights[..., None] * model.uv.cpu().numpy()[corners]).sum(1)
    nearest_corner = np.take_along_axis(corners, weights.argmax(1)[:, None], axis=1)[:, 0]
    ids, gaps = _nearest_vertices(bent[model.landmarks.cpu().numpy()], vertices, triangles)
    return Transferred(
        ids,
        uv.clip(0, 1),
        model.regions.cpu().numpy()[nearest_corner].astype(np.int64),
        model.region_names,
        found.distances,
        gaps,
    )


def landmarks_by_transfer(vertices: ArrayLike, triangles: ArrayLike) -> NDArray[np.int64]:
    """The 68 landmarks ``(68,)`` of a mean face of unknown topology, from the built-in model.

    For formats whose files hold none. Takes seconds; a model that is converted to npz keeps them.

    Args and errors: as :func:`transfer`.
    """
    vertices, triangles = check_mesh(vertices, triangles)
    model = _builtin()
    bent = register(model, vertices, triangles)
    return _nearest_vertices(bent[model.landmarks.numpy()], vertices, triangles)[0]


def with_annotations(
    model: MorphableModel,
    carried: Transferred,
    parts: Sequence[Part] = PARTS,
) -> MorphableModel:
    """A copy of a model with the annotations that :func:`transfer` found for it.

    Args:
        model: whose mean face the transfer was to.
        carried: what :func:`transfer` returned.
        parts: which of them to take; the others stay the model's own.

    Raises:
        ValueError: for another name of a part, or a model of another number of vertices.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise ValueError(f"parts: expected some of {', '.join(PARTS)}, got {', '.join(unknown)}")
    if len(carried.uv) != model.vertex_count:
        raise ValueError(
            f"carried: expected the annotations of {model.vertex_count} vertices, "
            f"got {len(carried.uv)}"
        )
    regions, region_names = model.regions, model.region_names
    if "regions" in parts:
        regions, region_names = torch.from_numpy(carried.regions), carried.region_names
    return MorphableModel(
        model.mean,
        model.identity_basis,
        model.expression_basis,
        model.triangles,
        torch.from_numpy(carried.uv) if "uv" in parts else model.uv,
        torch.from_numpy(carried.landmarks) if "landmarks" in parts else model.landmarks,
        name=model.name,
        expression_names=model.expression_names,
        license=model.license,
        regions=regions,
        region_names=region_names,
        notes=[*model.notes, f"by registration: {', '.join(parts)}"],
    )


def register(
    model: MorphableModel,
    vertices: ArrayLike,
    triangles: ArrayLike,
    *,
    landmarks: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """The model's mean face ``(V', 3)`` bent onto another one; arguments as :func:`transfer`."""
    source, source_triangles = model.mean.double().cpu().numpy(), model.triangles.cpu().numpy()
    alignment = align_face(model, vertices, triangles, landmarks=landmarks)
    return nonrigid_icp(
        alignment.apply(source),
        source_triangles,
        vertices,
        triangles,
        stiffness=_STIFFNESS,
        iterations=_STEPS,
    )


def align_face(
    model: MorphableModel,
    vertices: ArrayLike,
    triangles: ArrayLike,
    *,
    landmarks: ArrayLike | None = None,
) -> Alignment:
    """The motion that lays the model's mean face on another one; arguments as
    :func:`transfer`.

    Without landmarks the search starts with the tip of the nose on the foremost point near the
    plane of symmetry, and at points above it; the start that ends nearest to the surface wins.
    """
    vertices, triangles = check_mesh(vertices, triangles)
    source = model.mean.double().cpu().numpy()
    points = source[model.landmarks.cpu().numpy()]
    if landmarks is not None:
        goals = vertices[np.asarray(landmarks)]
        starts = [align_points(points[_SAME_STYLE], goals[_SAME_STYLE])]
    else:
        tip = _foremost_point(vertices[np.unique(triangles)])
        lifts = np.array([(0, lift, 0) for lift in _STARTS])
        starts = [IDENTITY._replace(translation=tip + lift - points[_NOSE_TIP]) for lift in lifts]
    core = _core(model, source, points[_NOSE_TIP])
    surface = Surface(vertices, triangles)
    fits = [
        icp(core, surface, metric="plane", trim=_TRIM, initial=start, iterations=40)
        for start in starts
    ]
    return min(fits, key=lambda fit: np.sqrt(np.mean(fit.distances[fit.kept] ** 2))).alignment


def _core(model: MorphableModel, source: NDArray, tip: NDArray) -> NDArray[np.float64]:
    """Evenly chosen vertices of the skin around the nose."""
    near = np.linalg.norm(source - tip, axis=1) < _CORE
    near &= model.regions.cpu().numpy() == 0
    chosen = np.flatnonzero(near)
    return source[chosen[:: max(1, len(chosen) // _SAMPLES)]]


def _foremost_point(vertices: NDArray) -> NDArray[np.float64]:
    """The point of largest z near the middle of x."""
    middle, width = (vertices[:, 0].min() + vertices[:, 0].max()) / 2, np.ptp(vertices[:, 0])
    near = vertices[np.abs(vertices[:, 0] - middle) <= width / 10]
    return near[near[:, 2].argmax()]


def _nearest_vertices(points, vertices, triangles) -> tuple[NDArray[np.int64], NDArray]:
    """Ids of the vertices in triangles that are nearest to points, and their distances."""
    used = np.unique(triangles)
    gaps, index = cKDTree(vertices[used]).query(points)
    return used[index], gaps


@cache
def _builtin() -> MorphableModel:
    return load_model()
