"""A face model at a glance: mean, landmarks, texture coordinates, modes and expressions."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface import ops
from pgnface.geometry import Pose, flip_axes, rotation_from_angles
from pgnface.morphable import MorphableModel, SkinnedModel
from pgnface.morphable.model import PCA_NAME

from .lighting import ambient_light, directional_light, shade
from .overlay import draw_landmarks
from .renderer import render

_COLUMNS = 6
_FILL = 0.8  # of a tile that the mean face takes
_SKIN = (0.80, 0.72, 0.66)
_PAPER = 0.96
_BATCH = 12  # pictures at a time: keeps memory small for models of 50,000 vertices


class _Tile(NamedTuple):
    title: str
    vertices: Tensor
    """``(V, 3)`` in model space."""
    yaw: float = 0.0


def model_sheet(
    model: MorphableModel,
    *,
    tile: int = 220,
    modes: int = 6,
    expressions: int = 18,
    deviations: float = 3.0,
) -> NDArray[np.uint8]:
    """A contact sheet ``(H, W, 3)`` of a model, RGB.

    First the mean from the front, from the side and half-way, its landmarks, a checkerboard in its
    texture coordinates, and the chart itself, unrolled with the landmarks in it. Then modes at
    minus and plus some standard deviations, and expressions at 1 (principal components at 2
    standard deviations); of a model with joints, each joint turned by 20 degrees about x.

    Args:
        model: the face model.
        tile: width and height of each picture, in pixels.
        modes: how many identity modes, at most.
        expressions: how many expressions, at most; evenly picked from all.
        deviations: of the modes.

    Raises:
        ValueError: when a tile is below 32 pixels.
    """
    if tile < 32:
        raise ValueError(f"tile: expected at least 32 pixels, got {tile}")
    mean = model.mean
    tiles = [_Tile("mean", mean), _Tile("yaw 45", mean, 45.0), _Tile("yaw 90", mean, 90.0)]
    pictures = _draw(model, tiles, tile)
    plain = _lit(model, _place(model, mean[None], tile), tile)[0]
    marked = draw_landmarks(plain, _place(model, mean[None], tile)[0, model.landmarks])
    pictures += [_titled(marked, "landmarks"), _checkered(model, tile), _chart(model, tile)]
    pictures += _draw(model, [*_modes(model, modes, deviations)], tile)
    _fill_row(pictures)
    pictures += _draw(model, _expressions(model, expressions), tile)
    if isinstance(model, SkinnedModel):
        _fill_row(pictures)
        pictures += _draw(model, _joints(model), tile)
    _fill_row(pictures)
    rows = np.stack(pictures).reshape(-1, _COLUMNS, tile, tile, 3)
    return np.ascontiguousarray(rows.transpose(0, 2, 1, 3, 4).reshape(-1, _COLUMNS * tile, 3))


def _modes(model: MorphableModel, count: int, deviations: float) -> list[_Tile]:
    basis = model.identity_basis[:count]
    return [
        _Tile(f"mode {i} {sign * deviations:+g} sd", model.mean + sign * deviations * mode)
        for i, mode in enumerate(basis)
        for sign in (-1, 1)
    ]


def _expressions(model: MorphableModel, count: int) -> list[_Tile]:
    count = min(count, model.expression_count)
    picked = np.unique(np.linspace(0, model.expression_count - 1, count).round().astype(int))
    tiles = []
    for i in picked:
        name, component = model.expression_names[i], model.expression_basis[i]
        size = 2 if name.startswith(PCA_NAME) else 1
        title = f"{name} +{size} sd" if size > 1 else name
        tiles.append(_Tile(title, model.mean + size * component))
    return tiles


def _joints(model: SkinnedModel) -> list[_Tile]:
    count = len(model.joint_names)
    angles = torch.zeros(count, count, 3, device=model.mean.device)
    angles[range(count), range(count), 0] = np.deg2rad(20)
    turned = model.vertices(joints=angles)
    return [_Tile(name, points) for name, points in zip(model.joint_names, turned, strict=True)]


def _place(model: MorphableModel, vertices: Tensor, tile: int, yaw: Tensor | None = None) -> Tensor:
    """Vertices ``(N, V, 3)`` in the pixels of a tile, all at one scale; the mean is centred."""
    size = (model.mean.amax(0) - model.mean.amin(0)).max()
    middle = (model.mean.amax(0) + model.mean.amin(0)) / 2
    angles = vertices.new_zeros(len(vertices), 3)
    if yaw is not None:
        angles[:, 1] = yaw
    scale = (_FILL * tile / size).expand(len(vertices))
    centre = vertices.new_tensor((tile / 2, tile / 2, 0)).expand(len(vertices), 3)
    pose = Pose(scale, rotation_from_angles(angles), centre)
    rotated = (vertices - middle) @ pose.image_rotation.transpose(-1, -2)
    return scale[:, None, None] * rotated + centre[:, None]


def _draw(model: MorphableModel, tiles: list[_Tile], size: int) -> list[NDArray[np.uint8]]:
    pictures = []
    for start in range(0, len(tiles), _BATCH):
        batch = tiles[start : start + _BATCH]
        vertices = torch.stack([tile.vertices for tile in batch])
        yaw = vertices.new_tensor([tile.yaw for tile in batch])
        images = _lit(model, _place(model, vertices, size, yaw), size)
        pictures += [_titled(image, tile.title) for image, tile in zip(images, batch, strict=True)]
    return pictures


def _lit(
    model: MorphableModel, points: Tensor, size: int, texture: Tensor | None = None
) -> NDArray[np.uint8]:
    """Pictures ``(N, size, size, 3)`` of vertices in pixels, in skin colour or with a texture."""
    light = _shading(model, points)
    surface: dict[str, Tensor] = {"colors": points.new_tensor(_SKIN) * light}
    if texture is not None:
        surface = {"texture": texture, "uv": model.uv, "shading": light}
    output = render(
        points,
        model.triangles,
        size,
        size,
        **surface,
        background=points.new_full((len(points), 3, size, size), _PAPER),
        supersample=2,
    )
    return _bytes(output.image)


def _shading(model: MorphableModel, points: Tensor) -> Tensor:
    """What a lamp at the upper left lets vertices ``(N, V, 3)`` send back, ``(N, V, 3)``."""
    normals = flip_axes(ops.vertex_normals(points, model.adjacency))
    lamp = torch.nn.functional.normalize(points.new_tensor((-0.4, 0.5, 1.0)), dim=0)
    light = ambient_light(points.new_full((3,), 0.3)) + directional_light(
        lamp, points.new_full((3,), 0.75)
    )
    return shade(normals, light.expand(len(points), -1, -1)).clamp(0.05, 1.2)


def _checkered(model: MorphableModel, size: int) -> NDArray[np.uint8]:
    """The mean with 16 x 16 squares on its chart, redder with u and greener with v."""
    at = (torch.arange(512, device=model.mean.device) + 0.5) / 512
    v, u = torch.meshgrid(at, at, indexing="ij")
    dark = ((u * 16).floor() + (v * 16).floor()) % 2
    texture = torch.stack((0.3 + 0.7 * u, 0.3 + 0.7 * v, torch.full_like(u, 0.6)))
    texture = texture * (1 - 0.5 * dark)
    points = _place(model, model.mean[None], size)
    return _titled(_lit(model, points, size, texture[None])[0], "uv, 16 squares a side")


def _chart(model: MorphableModel, size: int) -> NDArray[np.uint8]:
    """The unrolled mean: its light in the chart, and the landmarks there."""
    flat = torch.cat((model.uv * size, torch.zeros_like(model.uv[:, :1])), dim=1)[None]
    light = _shading(model, _place(model, model.mean[None], size))
    output = render(
        flat,
        model.triangles,
        size,
        size,
        colors=model.mean.new_tensor(_SKIN) * light,
        background=flat.new_full((1, 3, size, size), _PAPER),
        supersample=2,
    )
    marked = draw_landmarks(_bytes(output.image)[0], flat[0, model.landmarks])
    return _titled(marked, "chart")


def _bytes(images: Tensor) -> NDArray[np.uint8]:
    return (images.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _titled(picture: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    picture = np.ascontiguousarray(picture)
    size = len(picture) / 520
    cv2.putText(
        picture, title, (4, len(picture) - 5), cv2.FONT_HERSHEY_SIMPLEX, size, (60,) * 3, 1,
        cv2.LINE_AA,
    )  # fmt: skip
    return picture


def _fill_row(pictures: list[NDArray[np.uint8]]) -> None:
    blank = np.full_like(pictures[0], round(255 * _PAPER))
    pictures += [blank] * (-len(pictures) % _COLUMNS)
