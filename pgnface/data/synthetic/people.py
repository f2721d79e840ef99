"""The source of rendered people."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pgnface import ops
from pgnface.geometry import Pose
from pgnface.geometry.pose import apply_pose
from pgnface.morphable import MorphableModel
from pgnface.morphable.albedo import Appearance, FaceChart, paint
from pgnface.render import Light, random_light, self_shadow, shade, shadow_transfer
from pgnface.render.renderer import sample_texture

from ..augment import degrade
from ..batch import FaceBatch
from ..source import step_generator, subject_count
from . import props
from .backgrounds import PhotoBackgrounds, random_background
from .sampling import ExpressionSampler, pose_in_crop, sample_angles, sample_identity

_POOL_STREAM = 1_000_003  # keeps the random numbers of the pool apart from those of the steps


class _Person(NamedTuple):
    """One of the pool: everything about a subject but the shape."""

    appearance: Appearance
    outfit: props.Outfit
    albedo: Tensor
    strands: Tensor
    gloss: float


class SyntheticSource:
    """Rendered people with exact labels, in pictures that resemble snapshots.

    A subject has one shape and one albedo; its frames differ in expression, pose, light, place in
    the crop, background and image quality. Landmarks are the model's own (``annotated`` is false).
    The pose is exact, image = pose applied to the model's vertices (weak perspective).

    Args:
        model: the face model; copied to the CPU.
        image_size: pixels of the square pictures.
        frames: of each subject.
        seed: people of different seeds are different people.
        people: number of albedos and outfits, each painted when first met and kept; shapes are
            drawn anew for every subject.
        texture_size: of the albedos, in pixels.
        supersample: pictures are drawn this many times larger and averaged down.
        backgrounds: a folder of photos to put behind the faces; generated pictures when missing.
        surroundings: draw skull, hair, neck, glasses and so on.
        degrade_images: lower the quality as cameras do, and put things in front of the face.

    Attributes:
        skipped: background photos that could not be read.

    Raises:
        ValueError: for a size or number below 1.
        FileNotFoundError: when ``backgrounds`` holds no image.
    """

    def __init__(
        self,
        model: MorphableModel,
        image_size: int,
        frames: int = 2,
        seed: int = 0,
        *,
        people: int = 64,
        texture_size: int = 256,
        supersample: int = 2,
        backgrounds: str | Path | None = None,
        surroundings: bool = True,
        degrade_images: bool = True,
    ):
        numbers = {
            "image_size": image_size,
            "frames": frames,
            "people": people,
            "texture_size": texture_size,
            "supersample": supersample,
        }
        for name, value in numbers.items():
            if value < 1:
                raise ValueError(f"SyntheticSource: {name} must be at least 1, got {value}")
        self.model = copy.deepcopy(model).cpu()
        self.image_size = image_size
        self.frames = frames
        self.seed = seed
        self.skipped: dict[str, str] = {}
        self._people_count = people
        self._supersample = supersample
        self._degrade = degrade_images
        self._background = (
            random_background
            if backgrounds is None
            else PhotoBackgrounds(backgrounds, self.skipped)
        )
        self._expressions = ExpressionSampler(self.model.expression_names)
        self._chart = FaceChart(self.model, texture_size)
        self._pool: dict[int, _Person] = {}
        self._surroundings = surroundings
        triangles = self.model.triangles
        if surroundings:
            triangles = torch.cat((triangles, props.TRIANGLES + self.model.vertex_count))
        prop_count = len(props.TEXTURE) if surroundings else 0
        self._adjacency = ops.build_adjacency(triangles, self.model.vertex_count + prop_count)
        self._transfer = shadow_transfer(self.model.mean, self.model.triangles)
        self._mean_normals = ops.vertex_normals(self.model.mean[None], self.model.adjacency)[0]

    def batch(self, step: int, size: int) -> FaceBatch:
        """See :class:`pgnface.data.source.Source`."""
        subjects, frames = subject_count(size, self.frames), self.frames
        rng = step_generator(self.seed, step)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        identity = torch.from_numpy(sample_identity(rng, subjects, self.model.identity_count))
        expression = torch.from_numpy(self._expressions(rng, subjects * frames))
        angles = torch.from_numpy(sample_angles(rng, subjects, frames)).flatten(0, 1)
        who = rng.integers(0, self._people_count, subjects).tolist()
        people = [self._person(number) for number in who]

        shape = self.model.vertices(identity.repeat_interleave(frames, 0), expression)
        landmarks = shape[:, self.model.landmarks]
        jitter = np.clip(rng.standard_normal((len(angles), 3)), -2.5, 2.5) * (0.035, 0.035, 0.06)
        pose = pose_in_crop(landmarks, angles, self.image_size, torch.from_numpy(jitter).float())
        pictures = self._draw(shape, identity, pose, people, random_light(len(angles), generator))
        image = self._finish(pictures, rng)

        def per_frame(values: Tensor) -> Tensor:
            return values.unflatten(0, (subjects, frames))

        return FaceBatch.create(
            per_frame(image),
            landmarks=per_frame(apply_pose(pose, landmarks)),
            landmark_weights=torch.ones(subjects, frames, 68, 3),
            identity=identity,
            expression=per_frame(expression),
            coefficient_weight=torch.ones(subjects),
            pose=Pose(*map(per_frame, pose)),
            pose_weight=torch.ones(subjects, frames),
            names=[f"synthetic/{self.seed}/{step}/{i}" for i in range(subjects)],
        )

    def _person(self, number: int) -> _Person:
        if number not in self._pool:
            rng = np.random.default_rng([self.seed, _POOL_STREAM, number])
            appearance = Appearance.random(rng)
            strands = rng.standard_normal((1, 12, 96), dtype=np.float32)
            self._pool[number] = _Person(
                appearance,
                props.random_outfit(rng, appearance),
                paint(self._chart, appearance, rng),
                torch.from_numpy(1 + 0.3 * strands).clamp(0.3, 1.8),
                rng.uniform(0.02, 0.22),
            )
        return self._pool[number]

    def _draw(
        self, shape: Tensor, identity: Tensor, pose: Pose, people: list[_Person], light: Light
    ) -> tuple[Tensor, Tensor]:
        """Colours ``(N, S, S, 3)`` in linear RGB, premultiplied, and coverage ``(N, S, S, 1)``."""
        frames, scale = self.frames, self._supersample
        size = self.image_size * scale
        local = light.turned(pose.rotation)
        coefficients = local.coefficients
        points = shape
        if self._surroundings:
            neutral = self.model.landmark_points(identity)
            placed = [
                props.place(neutral[i], person.outfit, person.appearance)
                for i, person in enumerate(people)
            ]
            around, colors = (torch.stack(part) for part in zip(*placed, strict=True))
            points = torch.cat((shape, around.repeat_interleave(frames, 0)), dim=1)
        normals = ops.vertex_normals(points, self._adjacency)
        lit = shade(normals, coefficients).clamp(min=0.01)
        faces = self.model.vertex_count
        shadow = self_shadow(self._transfer, self._mean_normals, coefficients)
        lit = torch.cat((lit[:, :faces] * shadow, lit[:, faces:]), dim=1)
        shine = self._highlights(normals[:, :faces], local, pose, people) * shadow

        attributes = torch.zeros(*points.shape[:2], 9)
        attributes[:, :faces, :2] = self.model.uv * 2 - 1
        attributes[..., 2:5] = lit
        attributes[:, :faces, 5:8] = shine
        if self._surroundings:
            attributes[:, faces:, :2] = props.TEXTURE
            attributes[:, faces:, 2:5] *= colors.repeat_interleave(frames, 0)
            attributes[:, faces:, 8] = 1 + props.STRANDED

        posed = apply_pose(pose, points) * scale
        fragments = ops.rasterize(posed, self._adjacency.triangles, size, size)
        values = ops.interpolate(attributes, self._adjacency.triangles, fragments)
        texture = torch.stack([person.albedo for person in people]).repeat_interleave(frames, 0)
        uv = (values[..., :2] + 1) / 2
        albedo = sample_texture(texture, uv)
        if self._surroundings:
            kind = values[..., 8:]
            strands = torch.stack([person.strands for person in people])
            streaks = sample_texture(strands.repeat_interleave(frames, 0), uv)
            # 0 on the face, 1 on plain props, 2 on hair.
            prop = 1 + (streaks - 1) * (kind - 1).clamp(min=0)
            albedo = torch.where(kind > 0.5, prop, albedo)
        covered = (fragments.triangle_ids >= 0)[..., None].float()
        color = (albedo * values[..., 2:5] + values[..., 5:8]) * covered
        return color, covered

    def _highlights(
        self, normals: Tensor, light: Light, pose: Pose, people: list[_Person]
    ) -> Tensor:
        """The key lamp's reflection on oily skin (Blinn 1977), at the vertices."""
        viewer = pose.rotation[:, 2]
        half = torch.nn.functional.normalize(light.directions[:, 0] + viewer, dim=-1)
        gloss = torch.tensor([person.gloss for person in people]).repeat_interleave(self.frames)
        facing = (normals * half[:, None]).sum(-1, keepdim=True).clamp(min=0)
        return gloss[:, None, None] * facing.pow(14) * light.colors[:, :1]

    def _finish(self, pictures: tuple[Tensor, Tensor], rng: np.random.Generator) -> Tensor:
        """Exposure, display gamma, background and camera: ``(N, 3, S, S)`` in [0, 1]."""
        color, covered = pictures
        size, scale = self.image_size, self._supersample

        def averaged(values: Tensor) -> Tensor:
            if scale == 1:
                return values
            return values.unflatten(2, (size, scale)).unflatten(1, (size, scale)).mean((2, 4))

        color, covered = averaged(color), averaged(covered)
        shown = (color / covered.clamp(min=1e-3)).clamp(1e-4, 1) ** (1 / 2.2)
        behind = np.stack([self._background(rng, size) for _ in range(len(color))])
        image = torch.lerp(torch.from_numpy(behind), shown, covered)
        if not self._degrade:
            return image.permute(0, 3, 1, 2).contiguous()
        pixels = (image * 255).round().byte().numpy()
        pixels = np.stack([degrade(picture, rng) for picture in pixels])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
