"""Meshes as files that other programs open: GLB, OBJ and PLY, through trimesh.

Model space (x to the subject's left, y up, z out of the face) has the axes of glTF, whose assets
are y up and face +z, so no axis is turned. glTF is in metres: GLB files hold a thousandth of the
model's millimetres. OBJ and PLY carry no unit and keep millimetres.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pgnface._errors import UserError

if TYPE_CHECKING:
    import trimesh

#: File formats, by their suffix without the dot.
FORMATS = ("glb", "obj", "ply")


def build_mesh(
    vertices: ArrayLike,
    triangles: ArrayLike,
    *,
    colors: ArrayLike | None = None,
    texture: ArrayLike | None = None,
    uv: ArrayLike | None = None,
) -> trimesh.Trimesh:
    """A :class:`trimesh.Trimesh` with colours per vertex or a texture.

    Args:
        vertices: ``(V, 3)``.
        triangles: ``(T, 3)``, counter-clockwise seen from outside.
        colors: ``(V, 3)`` sRGB in [0, 1].
        texture: ``(H, W, 3)`` uint8 sRGB; needs ``uv``.
        uv: ``(V, 2)`` in [0, 1], u right, v down.

    Raises:
        ValueError: for wrong shapes, for both colours and texture, or a texture without uv.
    """
    import trimesh

    vertices, triangles = np.asarray(vertices, np.float64), np.asarray(triangles, np.int64)
    _require_shape("vertices", vertices, (None, 3))
    _require_shape("triangles", triangles, (None, 3))
    if texture is None:
        if colors is not None:
            colors = np.asarray(colors)
            _require_shape("colors", colors, (len(vertices), 3))
            colors = _to_bytes(colors)
        return trimesh.Trimesh(vertices, triangles, vertex_colors=colors, process=False)
    if uv is None or colors is not None:
        raise ValueError("texture needs uv and excludes colors")
    from PIL import Image

    texture, uv = np.asarray(texture), np.asarray(uv).astype(np.float64)
    _require_shape("texture", texture, (None, None, 3))
    _require_shape("uv", uv, (len(vertices), 2))
    uv[:, 1] = 1 - uv[:, 1]  # trimesh counts v upwards
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(texture), metallicFactor=0.0, roughnessFactor=0.8
    )
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return trimesh.Trimesh(vertices, triangles, visual=visual, process=False)


def save_mesh(path: str | Path, vertices: ArrayLike, triangles: ArrayLike, **appearance) -> Path:
    """Write a model-space mesh (millimetres) in the format of the path's suffix.

    Args:
        path: ends in .glb, .obj or .ply.
        vertices, triangles, appearance: as for :func:`build_mesh`. OBJ and PLY hold colours per
            vertex (OBJ as the common ``v x y z r g b`` extension), not a texture.

    Raises:
        ValueError: for an unknown suffix or wrong shapes.
        UserError: when the file cannot be written.
    """
    path = Path(path)
    file_format = path.suffix.lower().lstrip(".")
    if file_format not in FORMATS:
        raise ValueError(f"path must end in one of {', '.join(FORMATS)}, got {path.name!r}")
    if file_format != "glb" and appearance.get("texture") is not None:
        raise ValueError(f"a {file_format} file holds colors, not a texture")
    if file_format == "glb":
        vertices = np.asarray(vertices, np.float64) / 1000
        if appearance.get("colors") is not None:
            appearance["colors"] = _linear(np.asarray(appearance["colors"]))
    data = build_mesh(vertices, triangles, **appearance).export(file_type=file_format)
    try:
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return path


def _to_bytes(colors: np.ndarray) -> np.ndarray:
    return (colors.clip(0, 1) * 255).round().astype(np.uint8)


def _linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB to linear light, which glTF expects of vertex colours (IEC 61966-2-1)."""
    srgb = srgb.clip(0, 1)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _require_shape(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    matches = array.ndim == len(shape) and all(
        want in (None, size) for want, size in zip(shape, array.shape, strict=True)
    )
    if not matches:
        wanted = ", ".join("*" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
