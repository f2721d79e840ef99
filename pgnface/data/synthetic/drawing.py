"""Pictures of posed people: face and surroundings in one z-buffer, lit, in linear RGB."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pgnface import ops
from pgnface.geometry import Pose
from pgnface.geometry.pose import apply_pose
from pgnface.morphable import MorphableModel
from pgnface.morphable.albedo import Appearance
from pgnface.render import Light, self_shadow, shade, shadow_transfer

from . import props

_STRIP = 0.25  # width of what is appended to the albedo for the surroundings, in albedo widths
_NEAR_BORDER = 5.0  # mm
_SHININESS = 14  # Blinn's exponent of skin


class Person(NamedTuple):
    """Everything about a subject but the shape.

    Attributes:
        appearance: colouring and features.
        outfit: what surrounds the face.
        texture: ``(3, T, T + T // 4)`` linear RGB: the albedo, and beside it white above strands of
            hair, for the surroundings.
        gloss: strength of highlights on the skin.
    """

    appearance: Appearance
    outfit: props.Outfit
    texture: Tensor
    gloss: float


def with_strands(albedo: Tensor, rng: np.random.Generator) -> Tensor:
    """The texture of a :class:`Person` from the albedo ``(3, T, T)``."""
    size = albedo.shape[-1]
    strip = torch.ones(3, size, int(_STRIP * size))
    half, width = size // 2, strip.shape[2]
    noise = torch.from_numpy(rng.standard_normal((1, 1, 6, max(2, width // 2)), dtype=np.float32))
    strands = F.interpolate(noise, (size - half, width), mode="bilinear", align_corners=False)
    strip[:, half:] = (1 + 0.4 * strands[0]).clamp(0.25, 1.9)
    return torch.cat((albedo, strip), dim=2)


class Painter:
    """Draws people of one face model.

    Args:
        model: the face model, on the CPU.
        image_size: pixels of the square pictures.
        supersample: pictures are drawn this many times larger and averaged down.
        surroundings: draw what is around the face too.
    """

    def __init__(
        self, model: MorphableModel, image_size: int, supersample: int, surroundings: bool
    ):
        self._model = model
        self._image_size = image_size
        self._supersample = supersample
        self._surroundings = surroundings
        triangles, uv = model.triangles, model.uv * model.uv.new_tensor((1 / (1 + _STRIP), 1.0))
        if surroundings:
            triangles = torch.cat((triangles, props.TRIANGLES + model.vertex_count))
            uv = torch.cat((uv, _strip_coordinates()))
        self._grid = uv * 2 - 1
        self._holes = has_holes(model)
        self._adjacency = ops.build_adjacency(triangles, len(uv))
        self._transfer = shadow_transfer(model.mean, model.triangles)
        self._mean_normals = ops.vertex_normals(model.mean[None], model.adjacency)[0]

    def draw(
        self, shape: Tensor, identity: Tensor, pose: Pose, people: list[Person], light: Light
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Pictures of subjects, several frames of each.

        Args:
            shape: ``(B * F, V, 3)`` vertices in model space.
            identity: ``(B, I)``: where the surroundings go.
            pose: ``(B * F)``.
            people: B.
            light: ``(B * F)`` in the viewer's frame.

        Returns:
            Linear RGB ``(B * F, S, S, 3)``, premultiplied by the coverage ``(B * F, S, S, 1)``.
        """
        frames = len(shape) // len(people)
        local = light.turned(pose.rotation)
        coefficients = local.coefficients
        points, colors = shape, None
        if self._surroundings:
            neutral = self._model.landmark_points(identity)
            placed = [
                props.place(neutral[i], person.outfit, person.appearance, self._holes)
                for i, person in enumerate(people)
            ]
            around, colors = (torch.stack(part) for part in zip(*placed, strict=True))
            points = torch.cat((shape, around.repeat_interleave(frames, 0)), dim=1)
        normals = ops.vertex_normals(points, self._adjacency)
        faces = self._model.vertex_count
        attributes = torch.zeros(*points.shape[:2], 6)
        attributes[..., :2] = self._grid
        lit = attributes[..., 2:5]
        lit[:] = shade(normals, coefficients).clamp(min=0.01)
        shadow = self_shadow(self._transfer, self._mean_normals, coefficients)
        lit[:, :faces] *= shadow
        if colors is not None:
            lit[:, faces:] *= colors.repeat_interleave(frames, 0)
        gloss = torch.tensor([person.gloss for person in people]).repeat_interleave(frames)
        shine = _highlights(normals[:, :faces], local.directions[:, 0], pose.rotation[:, 2])
        attributes[:, :faces, 5:] = shine * shadow * gloss[:, None, None]
        posed = apply_pose(pose, points) * self._supersample
        key = local.colors[:, :1]
        # A subject at a time: what is in work then fits in the cache, which is twice as fast.
        pictures = [
            self._shaded(posed[part], attributes[part], person.texture, key[part])
            for person, part in zip(
                people, (slice(i, i + frames) for i in range(0, len(posed), frames)), strict=True
            )
        ]
        color, cover = (np.concatenate(part) for part in zip(*pictures, strict=True))
        return color, cover

    def _shaded(
        self, posed: Tensor, attributes: Tensor, texture: Tensor, key: Tensor
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        size = self._image_size * self._supersample
        fragments = ops.rasterize(posed, self._adjacency.triangles, size, size)
        values = ops.interpolate(attributes, self._adjacency.triangles, fragments)
        albedo = F.grid_sample(
            texture.expand(len(posed), -1, -1, -1),
            values[..., :2],
            padding_mode="border",
            align_corners=False,
        )
        # Nothing is lit where nothing is drawn, so these are premultiplied.
        color = albedo.permute(0, 2, 3, 1) * values[..., 2:5]
        color = color.addcmul_(values[..., 5:], key[:, None])
        return self._averaged(color), self._averaged(fragments.mask.float()[..., None])

    def _averaged(self, pictures: Tensor) -> NDArray[np.float32]:
        arrays, size = pictures.contiguous().numpy(), self._image_size
        if self._supersample == 1:
            return arrays
        smaller = [cv2.resize(a, (size, size), interpolation=cv2.INTER_AREA) for a in arrays]
        return np.stack(smaller).reshape(len(arrays), size, size, -1)


def _strip_coordinates() -> Tensor:
    """Where the surroundings look into the strip beside the albedo: uv ``(P, 2)``."""
    share = (props.TEXTURE + 1) / 2
    strands = torch.stack((0.1 + 0.8 * share[:, 0], 0.55 + 0.4 * share[:, 1]), dim=-1)
    white = torch.tensor((0.5, 0.25)).expand_as(strands)
    place = torch.where(props.STRANDED[:, None] > 0, strands, white)
    return torch.stack(((1 + _STRIP * place[:, 0]) / (1 + _STRIP), place[:, 1]), dim=-1)


def has_holes(model: MorphableModel) -> bool:
    """Whether a border of the mesh, edges of one triangle only, runs round the eyes."""
    corners = model.triangles.long()
    edges = torch.cat([corners[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))]).sort(1).values
    edges, count = edges.unique(dim=0, return_counts=True)
    border = model.mean[edges[count == 1].unique()]
    distance = torch.cdist(model.mean[model.landmarks[36:48]], border).amin(1)
    return bool(distance.median() < _NEAR_BORDER)


def _highlights(normals: Tensor, lamp: Tensor, viewer: Tensor) -> Tensor:
    """Blinn's highlight (1977) ``(N, V, 1)`` of lamps ``(N, 3)`` for viewers ``(N, 3)``."""
    half = F.normalize(lamp + viewer, dim=-1)
    return (normals @ half[..., None]).clamp(min=0).pow(_SHININESS)
