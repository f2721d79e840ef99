"""What varies between rendered faces: identity, expression, pose, place in the crop."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface.geometry import Pose, rotation_from_angles
from pgnface.geometry.pose import apply_pose
from pgnface.morphable.model import PCA_NAME

from ..cropping import BOX_SCALE, square_boxes

# Plausible combinations of the ARKit blendshapes (names without their side): the range from which
# each takes part at full strength. What one act leaves out is zero.
_ACTS: dict[str, tuple[float, dict[str, tuple[float, float]]]] = {
    "smile": (
        5.0,
        {
            "mouthSmile": (0.5, 1.0),
            "cheekSquint": (0.2, 0.8),
            "eyeSquint": (0.0, 0.6),
            "mouthUpperUp": (0.0, 0.5),
            "mouthLowerDown": (0.0, 0.5),
            "mouthDimple": (0.0, 0.4),
        },
    ),
    "laugh": (
        2.0,
        {
            "mouthSmile": (0.6, 1.0),
            "jawOpen": (0.15, 0.6),
            "cheekSquint": (0.4, 1.0),
            "eyeSquint": (0.2, 0.9),
            "mouthUpperUp": (0.2, 0.7),
            "noseSneer": (0.0, 0.3),
        },
    ),
    "speak": (
        4.0,
        {
            "jawOpen": (0.05, 0.5),
            "mouthFunnel": (0.0, 0.6),
            "mouthPucker": (0.0, 0.5),
            "mouthLowerDown": (0.0, 0.5),
            "mouthUpperUp": (0.0, 0.3),
            "mouthStretch": (0.0, 0.4),
        },
    ),
    "shout": (0.7, {"jawOpen": (0.6, 1.0), "mouthStretch": (0.0, 0.5), "browDown": (0.0, 0.6)}),
    "surprise": (
        1.5,
        {
            "browInnerUp": (0.4, 1.0),
            "browOuterUp": (0.4, 1.0),
            "eyeWide": (0.3, 1.0),
            "jawOpen": (0.0, 0.5),
        },
    ),
    "anger": (
        1.2,
        {
            "browDown": (0.4, 1.0),
            "eyeSquint": (0.1, 0.7),
            "noseSneer": (0.0, 0.8),
            "mouthPress": (0.0, 0.8),
            "mouthFrown": (0.0, 0.5),
        },
    ),
    "sadness": (
        1.2,
        {
            "mouthFrown": (0.3, 0.9),
            "browInnerUp": (0.3, 1.0),
            "mouthShrugLower": (0.0, 0.6),
            "eyeSquint": (0.0, 0.4),
        },
    ),
    "pout": (
        0.8,
        {"mouthPucker": (0.4, 1.0), "mouthFunnel": (0.0, 0.4), "cheekPuff": (0.0, 0.4)},
    ),
    "pressed lips": (
        0.8,
        {"mouthPress": (0.3, 1.0), "mouthRollLower": (0.0, 0.8), "mouthRollUpper": (0.0, 0.8)},
    ),
}
_SIDE = re.compile(r"(_L|_R|Left|Right)$")


def sample_identity(rng: np.random.Generator, count: int, modes: int) -> NDArray[np.float32]:
    """Coefficients ``(count, modes)``: normal, cut off at 2.5 standard deviations."""
    return np.clip(rng.standard_normal((count, modes)), -2.5, 2.5).astype(np.float32)


class ExpressionSampler:
    """Random expressions of a face model.

    With ARKit blendshape names, combinations that faces make (smiles, speech, blinks, gazes) plus
    a few stray activations; normal coefficients, weaker for some faces, for principal components;
    small half-normal ones for expressions of other names.

    Args:
        names: the model's expression names; sides are marked ``_L`` and ``_R`` or ``Left`` and
            ``Right``.
    """

    def __init__(self, names: Sequence[str]):
        self.names = list(names)
        self._members: dict[str, list[int]] = {}
        for i, name in enumerate(self.names):
            self._members.setdefault(_SIDE.sub("", name), []).append(i)
        known = {part for _, parts in _ACTS.values() for part in parts} & self._members.keys()
        self.has_blendshapes = len(known) >= 8
        self.has_components = all(name.startswith(PCA_NAME) for name in self.names)

    def __call__(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """Coefficients ``(count, E)``."""
        size = (count, len(self.names))
        if self.has_components:
            return rng.uniform(0.1, 1, (count, 1)).astype(np.float32) * sample_identity(rng, *size)
        if not self.has_blendshapes:
            spread = rng.uniform(0.1, 0.7, (count, 1)) * (rng.random(size) < 0.5)
            return (spread * np.abs(rng.standard_normal(size))).astype(np.float32)
        return np.stack([self._one(rng) for _ in range(count)]).astype(np.float32)

    def _one(self, rng: np.random.Generator) -> NDArray[np.float64]:
        result = np.zeros(len(self.names))
        odds = np.array([weight for weight, _ in _ACTS.values()])
        if rng.random() < 0.75:
            act = list(_ACTS.values())[rng.choice(len(odds), p=odds / odds.sum())][1]
            strength = rng.uniform(0.25, 1.0)
            for part, (low, high) in act.items():
                self._add(result, part, strength * rng.uniform(low, high), rng)
        for _ in range(rng.integers(0, 4)):
            result[rng.integers(len(result))] += 0.25 * abs(rng.standard_normal())
        if rng.random() < 0.12:
            self._add(result, "eyeBlink", rng.uniform(0.3, 1.0), rng, asymmetry=0.05)
        self._look(result, rng.normal(0, 0.3), rng.normal(0, 0.2))
        return np.clip(result, 0, 1)

    def _add(
        self,
        result: NDArray,
        part: str,
        value: float,
        rng: np.random.Generator,
        asymmetry: float = 0.2,
    ) -> None:
        members = self._members.get(part, ())
        for i in members:
            result[i] += value * (1 + asymmetry * rng.standard_normal() * (len(members) == 2))

    def _look(self, result: NDArray, left: float, up: float) -> None:
        """Turn both eyes alike; ``left`` is the subject's."""
        vertical = "eyeLookUp" if up > 0 else "eyeLookDown"
        for i in self._members.get(vertical, ()):
            result[i] += abs(up)
        for part, toward_left in (("eyeLookOut", True), ("eyeLookIn", False)):
            for i in self._members.get(part, ()):
                is_left_eye = self.names[i].endswith(("_L", "Left"))
                if (is_left_eye == toward_left) == (left > 0):
                    result[i] += abs(left)


def sample_angles(rng: np.random.Generator, subjects: int, frames: int) -> NDArray[np.float32]:
    """Pitch, yaw and roll in degrees ``(subjects, frames, 3)``.

    Half of the subjects look about straight ahead, the others anywhere up to profile. Frames of a
    subject turn about a common direction, so that they share visible skin.
    """
    size = (subjects, 1)
    kind = rng.random(size)
    frontal = 18 * rng.standard_normal(size)
    side = np.where(rng.random(size) < 0.5, -1, 1)
    base = np.where(
        kind < 0.5,
        frontal,
        side * np.where(kind < 0.8, rng.uniform(10, 60, size), rng.uniform(55, 90, size)),
    )
    shape = (subjects, frames)
    yaw = base + (14 if frames > 1 else 0) * rng.standard_normal(shape)
    wild = 1 + 1.2 * (rng.random(shape) < 0.15)
    pitch = 11 * wild * rng.standard_normal(shape) - 3
    roll = 9 * wild * rng.standard_normal(shape)
    # A rotation in this order swings widely when pitch and roll are large near profile.
    calm = 1 - 0.4 * np.clip(np.abs(yaw) / 90, 0, 1)
    angles = np.stack(
        (np.clip(pitch, -45, 45) * calm, np.clip(yaw, -92, 92), np.clip(roll, -50, 50) * calm), -1
    )
    return angles.astype(np.float32)


def pose_in_crop(
    landmarks: Tensor, angles: Tensor, image_size: int, jitter: Tensor, margin: float = 1.0
) -> Pose:
    """The pose that puts a face where a crop around its landmarks has it.

    Args:
        landmarks: ``(N, 68, 3)`` model space.
        angles: ``(N, 3)`` degrees.
        image_size: pixels of the crop.
        jitter: ``(N, 3)`` shift in x and y, as parts of the crop, and log of the enlargement: how
            far a detector's box lies from the true one.
        margin: side of the picture over that of the crop.
    """
    rotation = rotation_from_angles(angles)
    unit = Pose(rotation.new_ones(len(rotation)), rotation, rotation.new_zeros(len(rotation), 3))
    box = square_boxes(apply_pose(unit, landmarks), BOX_SCALE * margin)
    scale = image_size / box[:, 2] * jitter[:, 2].exp()
    shift = image_size * (0.5 + jitter[:, :2]) - scale[:, None] * box[:, :2]
    return Pose(scale, rotation, torch.cat((shift, shift.new_zeros(len(shift), 1)), dim=1))
