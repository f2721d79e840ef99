"""The source of rendered people."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface.geometry import Pose
from pgnface.geometry.pose import apply_pose
from pgnface.morphable import MorphableModel
from pgnface.morphable.albedo import Appearance, FaceChart, paint
from pgnface.render import random_light

from ..augment import CropJitter, degrade
from ..batch import FaceBatch
from ..source import step_generator, subject_count
from .backgrounds import PhotoBackgrounds, random_background
from .drawing import Painter, Person, with_strands
from .props import random_outfit
from .sampling import ExpressionSampler, pose_in_crop, sample_angles, sample_identity

JITTER = CropJitter(scale=0.06, shift=0.035, angle=0)
_POOL_STREAM = 1_000_003  # keeps the random numbers of the pool apart from those of the steps


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
        margin: side of a picture over that of a face's crop.
        jitter: how much size and place in the crop vary; heads turn by themselves.

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
        margin: float = 1.0,
        jitter: CropJitter = JITTER,
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
        self._degrade = degrade_images
        self._margin = margin
        self.jitter = jitter
        self._background = (
            random_background
            if backgrounds is None
            else PhotoBackgrounds(backgrounds, self.skipped)
        )
        self._expressions = ExpressionSampler(self.model.expression_names)
        self._chart = FaceChart(self.model, texture_size)
        self._pool: dict[int, Person] = {}
        self._painter = Painter(self.model, image_size, supersample, surroundings)

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
        spread = (self.jitter.shift, self.jitter.shift, self.jitter.scale)
        jitter = np.clip(rng.standard_normal((len(angles), 3)), -2.5, 2.5) * spread
        pose = pose_in_crop(
            *(landmarks, angles, self.image_size, torch.from_numpy(jitter).float(), self._margin)
        )
        light = random_light(len(angles), generator)
        image = self._finish(*self._painter.draw(shape, identity, pose, people, light), rng)

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

    def _person(self, number: int) -> Person:
        if number not in self._pool:
            rng = np.random.default_rng([self.seed, _POOL_STREAM, number])
            appearance = Appearance.random(rng)
            self._pool[number] = Person(
                appearance,
                random_outfit(rng, appearance),
                with_strands(paint(self._chart, appearance, rng), rng),
                rng.uniform(0.02, 0.22),
            )
        return self._pool[number]

    def _finish(
        self, color: NDArray[np.float32], cover: NDArray[np.float32], rng: np.random.Generator
    ) -> Tensor:
        """Display gamma, background and camera: ``(N, 3, S, S)`` in [0, 1]."""
        shown = np.clip(color / np.maximum(cover, 1e-3), 1e-4, 1) ** np.float32(1 / 2.2)
        pictures = []
        for front, share in zip(shown, cover, strict=True):
            behind = self._background(rng, self.image_size)
            picture = np.rint((behind + share * (front - behind)) * 255).astype(np.uint8)
            pictures.append(self._photographed(picture, rng) if self._degrade else picture)
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255

    def _photographed(
        self, picture: NDArray[np.uint8], rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        picture = degrade(picture, rng)
        if rng.random() < 0.06:
            # Crops that reach beyond their photo end in black.
            edge = max(1, int(rng.uniform(0.03, 0.2) * self.image_size))
            side = (np.s_[:edge], np.s_[-edge:], np.s_[:, :edge], np.s_[:, -edge:])
            picture[side[rng.integers(4)]] = 0
        return picture
