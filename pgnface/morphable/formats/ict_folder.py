"""Reader of ICT-FaceKit as it is published, a folder of OBJ files (Li et al., Learning Formation of
Physically-Based Face Attributes, CVPR 2020).

Centimetres, our axes, v up; quads; the same vertices in the same order in every file.
``generic_neutral_mesh.obj`` is the mean, ``identity000.obj`` and so on the mean plus one standard
deviation of each mode, every other file the mean with one full expression.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from pgnface.geometry.landmarks import LANDMARK_MIRROR
from pgnface.morphable.model import MorphableModel

from .assemble import CARRIED_OVER, outward
from .npz import integer_tensor

FORMAT = "ICT-FaceKit folder of OBJ files"
NEUTRAL = "generic_neutral_mesh.obj"
Region = Literal["narrow face", "face", "head", "all"]
#: How many vertices, from the first, belong to a region: as ICT-FaceKit's readme lists them.
REGIONS: dict[Region, int] = {"narrow face": 6706, "face": 9409, "head": 14062, "all": 26719}
_MM_PER_CM = 10.0
_SYMMETRY = 0.5  # cm; the neutral face's landmarks are mirror images up to 0.0005
# The readme's Multi-PIE points, which are iBUG's.
# fmt: off
_LANDMARKS = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088,
    3443, 268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509,
    978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360,
    1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841,
    5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)
# fmt: on


def matches(contents: Mapping[str, Any], path: Path) -> bool:
    """Whether a folder is of this format; also the one above, the repository's root."""
    return _folder(path) is not None


def read(
    contents: Mapping[str, Any],
    path: Path,
    landmarks: np.ndarray | None = None,
    region: Region = "narrow face",
) -> MorphableModel:
    """The model in a folder, cropped to a region.

    Args:
        region: ``"narrow face"`` without ears and neck; ``"face"`` with them; ``"head"`` also with
            the sockets of eyes and mouth; ``"all"`` with eyeballs, teeth and lashes too.

    Raises:
        ValueError: naming the file, for one that cannot be read or has other vertices.
    """
    folder = _folder(path)
    if region not in REGIONS:
        raise ValueError(f"region: expected one of {', '.join(REGIONS)}, got {region!r}")
    vertices, triangles, uv = _read_mesh(folder / NEUTRAL)
    total = len(vertices)
    count = min(REGIONS[region], total)
    identities = sorted(folder.glob("identity[0-9]*.obj"))
    expressions, notes = _expression_files(folder, identities)

    def displacements(files: list[Path]) -> torch.Tensor:
        shapes = [_read_vertices(file, total) - vertices for file in files]
        shapes = np.stack(shapes)[:, :count] if shapes else np.zeros((0, count, 3))
        return torch.from_numpy((shapes * _MM_PER_CM).astype(np.float32))

    mean = (vertices[:count] * _MM_PER_CM).astype(np.float32)
    triangles = outward(mean, triangles[(triangles < count).all(1)])
    notes.append(f"the {region} of the mesh: {count} of {total} vertices")
    if landmarks is None and total == REGIONS["all"]:
        landmarks = np.array(_LANDMARKS)
        points = vertices[landmarks]
        if np.abs(points[list(LANDMARK_MIRROR)] * (-1, 1, 1) - points).max() > _SYMMETRY:
            raise ValueError(
                f"{NEUTRAL}: its vertices are not in the order that the readme's landmarks and "
                "regions refer to; an early version of ICT-FaceKit has another: take a newer one"
            )
    elif landmarks is None:
        from pgnface.morphable.transfer import landmarks_by_transfer

        landmarks = landmarks_by_transfer(mean, triangles)
        notes.append(CARRIED_OVER)
    chart = np.stack((uv[:count, 0], 1 - uv[:count, 1]), 1)
    used = np.unique(triangles)
    if not ((chart[used] >= 0) & (chart[used] <= 1)).all():
        from pgnface.morphable.unwrap import unwrap

        chart = unwrap(mean, triangles)
        notes.append("texture coordinates computed: the file's leave the square, or are missing")
    return MorphableModel(
        torch.from_numpy(mean),
        displacements(identities),
        displacements(expressions),
        torch.from_numpy(triangles),
        torch.from_numpy(np.clip(np.nan_to_num(chart), 0, 1).astype(np.float32)),
        integer_tensor(landmarks),
        name="ict_facekit",
        expression_names=[file.stem for file in expressions],
        license="ICT-FaceKit, MIT licence, (c) 2020 USC Institute for Creative Technologies",
        notes=notes,
    )


def _folder(path: Path) -> Path | None:
    places = (path, path / "FaceXModel")
    return next((place for place in places if (place / NEUTRAL).is_file()), None)


def _expression_files(folder: Path, identities: list[Path]) -> tuple[list[Path], list[str]]:
    """The files of the expressions that ``vertex_indices.json`` lists, or else of all."""
    files = {f.stem: f for f in sorted(folder.glob("*.obj")) if f.name != NEUTRAL}
    for file in identities:
        del files[file.stem]
    listed = folder / "vertex_indices.json"
    if not listed.is_file():
        return list(files.values()), []
    try:
        names = json.loads(listed.read_text())["expressions"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{listed.name}: expected a list of expressions ({error!r})") from error
    missing = [name for name in names if name not in files]
    if missing:
        raise ValueError(f"{listed.name}: lists {missing[0]}, but there is no {missing[0]}.obj")
    others = sorted(set(files) - set(names))
    note = [f"left out, not in {listed.name}: {', '.join(others)}"] if others else []
    return [files[name] for name in names], note


def _read_vertices(file: Path, count: int) -> np.ndarray:
    """The lines ``v x y z`` of an OBJ file in their order, ``(V, 3)``."""
    lines = [line[2:] for line in file.read_bytes().splitlines() if line.startswith(b"v ")]
    vertices = _numbers(file, lines, "v")
    if len(vertices) != count or vertices.shape[1:] != (3,):
        raise ValueError(
            f"{file.name}: expected {count} vertices as in {NEUTRAL}, got {len(vertices)}"
        )
    return vertices


def _read_mesh(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, triangles (polygons as fans) and a texture coordinate for each vertex, the first
    that a polygon gives it; NaN for a vertex without. All that these files hold, and nothing else
    of the format.
    """
    lines = file.read_bytes().splitlines()
    vertices = _numbers(file, [line[2:] for line in lines if line.startswith(b"v ")], "v")
    charts = _numbers(file, [line[3:] for line in lines if line.startswith(b"vt ")], "vt")
    uv = np.full((len(vertices), 2), np.nan)
    triangles = []
    try:
        for line in lines:
            if not line.startswith(b"f "):
                continue
            corners = [corner.split(b"/") for corner in line.split()[1:]]
            ids = [int(corner[0]) - 1 for corner in corners]
            triangles += [(ids[0], *ids[i : i + 2]) for i in range(1, len(ids) - 1)]
            for i, corner in zip(ids, corners, strict=True):
                if len(corner) > 1 and corner[1] and np.isnan(uv[i, 0]):
                    uv[i] = charts[int(corner[1]) - 1, :2]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{file.name}: damaged line {line[:60]!r} ({error})") from error
    ids = np.array(triangles, np.int64).reshape(-1, 3)
    if not len(ids) or ids.min() < 0 or ids.max() >= len(vertices):
        raise ValueError(f"{file.name}: expected polygons of vertices 1 to {len(vertices)}")
    return vertices, ids, uv


def _numbers(file: Path, lines: list[bytes], what: str) -> np.ndarray:
    """Rows of equally many numbers ``(len(lines), K)``."""
    try:
        numbers = np.array(b" ".join(lines).split(), np.float64)
        return numbers.reshape(len(lines), -1) if lines else np.zeros((0, 3))
    except ValueError as error:
        raise ValueError(f"{file.name}: damaged lines {what!r} ({error})") from error
