"""Meshes and points in files, as benchmarks and other people's predictions have them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError

#: Suffixes that predictions may have, in the order in which they are looked for.
MESH_SUFFIXES = (".obj", ".ply")


class Mesh(NamedTuple):
    """A triangle mesh.

    Attributes:
        vertices: ``(V, 3)``, in the order of the file; of an .obj, those that are in a triangle.
        triangles: ``(T, 3)``; a polygon of more corners is cut into several.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]


def read_mesh(path: str | Path) -> Mesh:
    """A mesh of an .obj, .ply or another format that trimesh reads.

    Raises:
        UserError: naming the file, when it is missing, damaged or without triangles.
    """
    import trimesh

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    # Materials and texture would split vertices at the seams and load pictures.
    options = {"skip_materials": True, "maintain_order": True} if path.suffix == ".obj" else {}
    try:
        mesh = trimesh.load_mesh(path, process=False, **options)
        vertices, triangles = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    except Exception as error:  # trimesh raises many kinds for files that are not what they say
        raise UserError(f"{path}: is not a readable mesh ({error})") from error
    if not len(triangles) or not np.isfinite(vertices).all():
        raise UserError(
            f"{path}: expected finite vertices and at least one triangle, got {len(vertices)} "
            f"vertices and {len(triangles)} triangles"
        )
    return Mesh(vertices.astype(np.float64), triangles.astype(np.int64))


def find_mesh(stem: str | Path) -> Path:
    """The file of a mesh whose suffix is not known.

    Raises:
        UserError: when there is none.
    """
    stem = Path(stem)
    for suffix in MESH_SUFFIXES:
        path = stem.parent / (stem.name + suffix)
        if path.is_file():
            return path
    raise UserError(f"{stem}: expected a mesh {' or '.join(stem.name + s for s in MESH_SUFFIXES)}")


def read_points(path: str | Path, count: int) -> NDArray[np.float64]:
    """Points ``(count, 3)`` of an .npy file, or a text file of three numbers a line.

    Raises:
        UserError: naming the file, when it is missing or holds anything else.
    """
    path = Path(path)
    try:
        points = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path)
        points = np.asarray(points, np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: expected {count} points ({error})") from error
    if points.shape != (count, 3) or not np.isfinite(points).all():
        raise UserError(f"{path}: expected {count} finite points in 3D, got shape {points.shape}")
    return points


def read_colors(path: str | Path) -> NDArray[np.float64] | None:
    """Colours ``(V, 3)`` in [0, 1] of a mesh's vertices, from the file or its texture; ``None``
    where there are none for each of the vertices of :func:`read_mesh`.
    """
    import trimesh

    mesh = trimesh.load_mesh(path, process=False, maintain_order=True)
    visual = mesh.visual
    if visual.kind == "texture" and getattr(visual.material, "image", None) is not None:
        visual = visual.to_color()
    elif visual.kind != "vertex":
        return None
    colors = np.asarray(visual.vertex_colors)[:, :3] / 255
    return colors if len(colors) == len(read_mesh(path).vertices) else None


def read_vertex_ids(path: str | Path, count: int | None = None) -> NDArray[np.int64]:
    """Vertex numbers from 0 in a text file, separated by blanks, commas or lines.

    Raises:
        UserError: naming the file, when it is missing, holds anything else or another count.
    """
    try:
        words = Path(path).read_text().replace(",", " ").split()
        ids = np.array([int(word) for word in words], np.int64)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: expected vertex numbers ({error})") from error
    if not len(ids) or ids.min() < 0 or (count is not None and len(ids) != count):
        wanted = "vertex numbers" if count is None else f"{count} vertex numbers"
        raise UserError(f"{path}: expected {wanted} from 0, got {len(ids)}")
    return ids
