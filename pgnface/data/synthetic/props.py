"""What surrounds a face mask: skull or hair, ears, neck, shoulders, long hair, hat, glasses.

Simple closed surfaces in model space, placed by the subject's landmarks and drawn with the face in
one z-buffer, so that they hide each other as they do in reality. The topology is the same for
everybody; what a person does not have is shrunk to a point, which draws nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pgnface.morphable.albedo import Appearance, skin_color


class Part(NamedTuple):
    """One surface.

    Attributes:
        points: ``(P, 3)`` of a unit sphere or, for tubes, ``(rings, corners)`` flattened.
        triangles: ``(T, 3)`` counter-clockwise seen from outside.
        texture: ``(P, 2)`` coordinates in [-1, 1] along and across hair strands.
    """

    points: Tensor
    triangles: Tensor
    texture: Tensor


def sphere(rows: int, columns: int) -> Part:
    """A unit sphere with its poles on the y axis."""
    v, u = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    polar = v / (rows - 1) * math.pi
    azimuth = u / columns * 2 * math.pi
    points = torch.stack(
        (polar.sin() * azimuth.sin(), polar.cos(), polar.sin() * azimuth.cos()), dim=-1
    )
    texture = torch.stack((u / columns * 2 - 1, v / (rows - 1) * 2 - 1), dim=-1)
    return Part(points.flatten(0, 1), _sheet(rows, columns), texture.flatten(0, 1))


def tube(rings: int, corners: int = 5) -> Part:
    """Topology of a tube along ``rings`` points; :func:`bend` places it."""
    zeros = torch.zeros(rings * corners, 3)
    return Part(zeros, _sheet(rings, corners), zeros[:, :2])


def bend(path: Tensor, radius: float, corners: int = 5) -> Tensor:
    """Vertices ``(rings * corners, 3)`` of a tube along a path ``(rings, 3)``."""
    tangent = torch.gradient(path, dim=0)[0]
    tangent = torch.nn.functional.normalize(tangent, dim=-1)
    reference = path.new_tensor((0.1, 0.2, 1.0)).expand_as(tangent)
    across = torch.nn.functional.normalize(torch.linalg.cross(tangent, reference), dim=-1)
    other = torch.linalg.cross(tangent, across)
    angle = torch.arange(corners) * (2 * math.pi / corners)
    around = angle.cos()[:, None] * across[:, None] + angle.sin()[:, None] * other[:, None]
    return (path[:, None] + radius * around).flatten(0, 1)


def _sheet(rows: int, columns: int) -> Tensor:
    """Triangles of a grid whose columns go round."""
    ids = torch.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = ids[:-1], ids[:-1].roll(-1, 1), ids[1:], ids[1:].roll(-1, 1)
    triangles = torch.cat((torch.stack((a, c, b), -1), torch.stack((b, c, d), -1)))
    return triangles.flatten(0, -2)


_RING = 17  # points of a rim of glasses
_EYE_RADIUS = 12.0  # mm
PARTS = {
    "skull": sphere(20, 28),
    "hair": sphere(18, 28),
    "long_right": sphere(12, 12),
    "long_left": sphere(12, 12),
    "ear_right": sphere(9, 10),
    "ear_left": sphere(9, 10),
    "neck": sphere(12, 16),
    "shoulders": sphere(12, 24),
    "hat": sphere(12, 28),
    "brim": sphere(7, 28),
    "eye_right": sphere(13, 14),
    "eye_left": sphere(13, 14),
    "mouth": sphere(9, 12),
    "rim_right": tube(_RING),
    "rim_left": tube(_RING),
    "bridge": tube(4),
    "arm_right": tube(4),
    "arm_left": tube(4),
}
TRIANGLES = torch.cat(
    [
        part.triangles + offset
        for part, offset in zip(
            PARTS.values(),
            np.cumsum([0, *(len(part.points) for part in PARTS.values())]).tolist(),
            strict=False,
        )
    ]
).int()
TEXTURE = torch.cat([part.texture for part in PARTS.values()])
STRANDED = torch.cat(
    [
        torch.full((len(part.points),), float(name in ("hair", "long_right", "long_left")))
        for name, part in PARTS.items()
    ]
)


class Outfit(NamedTuple):
    """What one person has on and around the head; lengths in mm."""

    hair_volume: float
    hair_bumps: tuple[float, ...]
    hair_front: float
    long_hair: float
    long_width: float
    bald: bool
    ears: bool
    hat: bool
    hat_color: tuple[float, float, float]
    brim: float
    cloth: tuple[float, float, float]
    glasses: bool
    glasses_color: tuple[float, float, float]
    glasses_width: float
    glasses_round: float
    neck_width: float


def random_outfit(rng: np.random.Generator, person: Appearance) -> Outfit:
    """An outfit that goes with a person."""
    bearded = person.beard != "none"
    long_hair = rng.random() < (0.15 if bearded else 0.75)
    return Outfit(
        hair_volume=rng.uniform(3, 12) if bearded else rng.uniform(5, 26),
        hair_bumps=tuple(0.03 * rng.standard_normal(12)),
        hair_front=rng.uniform(-6, 10),
        long_hair=rng.uniform(60, 150) if long_hair else 0.0,
        long_width=rng.uniform(16, 38),
        bald=bool(bearded and rng.random() < 0.15),
        ears=bool(not long_hair or rng.random() < 0.3),
        hat=bool(rng.random() < 0.12),
        hat_color=tuple(0.01 + 0.7 * rng.random(3) ** 2),
        brim=float(rng.choice([0.0, rng.uniform(95, 125)])),
        cloth=tuple(0.01 + 0.8 * rng.random(3) ** 2),
        glasses=bool(rng.random() < 0.16),
        glasses_color=tuple(0.01 + 0.25 * rng.random(3) ** 3),
        glasses_width=rng.uniform(0.6, 2.0),
        glasses_round=rng.uniform(0.0, 1.0),
        neck_width=rng.uniform(44, 60),
    )


def place(
    landmarks: Tensor, outfit: Outfit, person: Appearance, holes: bool
) -> tuple[Tensor, Tensor]:
    """Vertices ``(P, 3)`` in model space and albedo ``(P, 3)`` in linear RGB of all parts.

    Args:
        landmarks: ``(68, 3)`` of the subject's neutral face.
        outfit, person: what to put on.
        holes: whether the model has holes for eyes and mouth, to be filled.
    """
    p = landmarks
    ear = (p[0] + p[16]) / 2
    half = float((p[16, 0] - p[0, 0]) / 2)
    brow = float(p[17:27, 1].mean())
    forehead = float(p[27, 2])
    # Crown about as far above the brows as the chin is below them; the skull is longer than wide.
    tall = 0.42 * (brow - float(p[8, 1])) + 40
    deep = 0.5 * (forehead - float(ear[2])) + 52
    middle = ear.new_tensor((float(ear[0]), brow + 4, forehead - deep - 16))
    skin = tuple(skin_color(person.melanin, person.blood).tolist())
    hair = person.hair
    volume = outfit.hair_volume

    places: dict[str, Tensor] = {}
    colors: dict[str, tuple[float, ...] | Tensor] = dict.fromkeys(PARTS, skin)

    def ellipsoid(name: str, center, axes, color, keep: bool = True) -> None:
        center = p.new_tensor([float(c) for c in center])
        size = p.new_tensor([float(a) for a in axes]) * keep
        places[name] = PARTS[name].points * size + center
        colors[name] = color

    x, y, z = middle.tolist()
    skull_axes = (half + 1, tall, deep)
    ellipsoid("skull", (x, y, z), skull_axes, skin)
    # Hair sits higher and further back than the skull, which leaves the forehead free.
    lift = 0.45 * volume + 8
    ellipsoid(
        "hair",
        (x, y + lift, z - 2 + outfit.hair_front),
        (half + 3 + 0.7 * volume, tall + 0.6 * volume, deep + 2 + 0.4 * volume),
        hair,
        not outfit.bald,
    )
    bumpy = _bumpy(places["hair"], outfit.hair_bumps)
    # A fringe may reach the brows, but no curl comes out of the bridge of the nose.
    back = torch.where(bumpy[:, 1] < brow + 6, forehead - 30, math.inf)
    places["hair"] = torch.cat((bumpy[:, :2], torch.minimum(bumpy[:, 2], back)[:, None]), dim=1)
    for name, sign in (("long_right", -1), ("long_left", 1)):
        ellipsoid(
            name,
            (x + sign * (half + 4 + 0.3 * volume), y - 0.5 * outfit.long_hair, z - 14),
            (outfit.long_width, 55 + 0.62 * outfit.long_hair, 42),
            hair,
            outfit.long_hair > 0 and not outfit.bald,
        )
    ear_height = float((p[0, 1] + p[16, 1] + p[1, 1] + p[15, 1]) / 4)
    for name, sign in (("ear_right", -1), ("ear_left", 1)):
        ellipsoid(
            name,
            (ear[0] + sign * (half + 3), ear_height + 4, float(ear[2]) - 12),
            (7, 27, 14),
            tuple(c * f for c, f in zip(skin, (1.0, 0.85, 0.82), strict=True)),
            outfit.ears,
        )
    chin = float(p[8, 1])
    jaw_back = float(ear[2]) - 18
    ellipsoid("neck", (x, chin - 35, jaw_back), (outfit.neck_width, 150, 58), skin)
    ellipsoid("shoulders", (x, chin - 150, jaw_back - 25), (215, 85, 90), outfit.cloth)
    ellipsoid(
        "hat",
        (x, y + 0.52 * tall, z),
        (half + 12, 0.62 * tall, deep + 10),
        outfit.hat_color,
        outfit.hat,
    )
    ellipsoid(
        "brim",
        (x, y + 0.36 * tall, z + 22),
        (outfit.brim * 0.85, 5, outfit.brim),
        outfit.hat_color,
        outfit.hat and outfit.brim > 0,
    )
    ball = PARTS["eye_right"].points[:, [0, 2, 1]] * p.new_tensor((1.0, -1.0, 1.0))
    for name, eye in (("eye_right", p[36:42]), ("eye_left", p[42:48])):
        center = eye.mean(0) - p.new_tensor((0.0, 0.0, _EYE_RADIUS - 0.5))
        places[name] = center + ball * (_EYE_RADIUS * holes)
        colors[name] = _eye_colors(ball[:, 2:], person)
    mouth = p[60:68].mean(0) - p.new_tensor((0.0, 6.0, 24.0))
    ellipsoid("mouth", mouth, (25, 26, 12), (0.07, 0.016, 0.013), holes)
    places |= _glasses(p, outfit)
    for name in ("rim_right", "rim_left", "bridge", "arm_right", "arm_left"):
        colors[name] = outfit.glasses_color
    points = torch.cat([places[name] for name in PARTS])
    albedo = torch.cat(
        [
            torch.as_tensor(colors[name], dtype=p.dtype).expand(len(part.points), 3)
            for name, part in PARTS.items()
        ]
    )
    return points, albedo


def _eye_colors(forward: Tensor, person: Appearance) -> Tensor:
    """Colours ``(P, 3)`` of a ball by the cosine ``(P, 1)`` of the angle to the gaze."""
    sclera, iris = forward.new_tensor((0.72, 0.68, 0.64)), forward.new_tensor(person.iris)
    color = torch.where(forward > math.cos(math.radians(32)), iris, sclera)
    return torch.where(forward > math.cos(math.radians(10)), iris * 0.1, color)


def _bumpy(points: Tensor, bumps: tuple[float, ...]) -> Tensor:
    """A surface with smooth bumps and a parting, along its offsets from the middle."""
    middle = points.mean(0)
    offset = points - middle
    x, y, z = torch.nn.functional.normalize(offset + 1e-6, dim=-1).unbind(-1)
    swell = torch.zeros_like(x)
    for k in range(0, len(bumps), 4):
        a, b, c, d = bumps[k : k + 4]
        rate = 2.0 + k
        swell = swell + a * torch.sin(rate * x + 40 * d) + b * torch.cos(rate * y + 40 * c) * z
    return middle + offset * (1 + swell)[:, None]


def _glasses(p: Tensor, outfit: Outfit) -> dict[str, Tensor]:
    names = ("rim_right", "rim_left", "bridge", "arm_right", "arm_left")
    if not outfit.glasses:
        return {name: p[27].expand(len(PARTS[name].points), 3) for name in names}
    result, centers = {}, {}
    angle = torch.linspace(0, 2 * math.pi, _RING)
    # Between a circle and a rounded rectangle.
    power = 1 - 0.45 * (1 - outfit.glasses_round)
    circle = torch.stack((angle.cos(), angle.sin()), dim=-1)
    outline = circle.sign() * circle.abs() ** power
    front = float(p[28, 2]) + 4
    for name, eye in (("rim_right", p[36:42]), ("rim_left", p[42:48])):
        center = eye.mean(0)
        centers[name] = center
        path = torch.stack(
            (
                center[0] + 26 * outline[:, 0],
                center[1] - 3 + (16 + 6 * outfit.glasses_round) * outline[:, 1],
                torch.full_like(angle, front) - (outline[:, 0] * 26).square() / 180,
            ),
            dim=-1,
        )
        result[name] = bend(path, outfit.glasses_width)
    y = float(p[27, 1])

    def line(start: tuple[float, ...], end: tuple[float, ...]) -> Tensor:
        share = torch.linspace(0, 1, 4)[:, None]
        path = torch.lerp(p.new_tensor(start), p.new_tensor(end), share)
        return bend(path, outfit.glasses_width)

    right, left = (float(centers[name][0]) for name in ("rim_right", "rim_left"))
    result["bridge"] = line((right + 26, y, front - 4), (left - 26, y, front - 4))
    for name, start, end in (("arm_right", right - 26, p[0]), ("arm_left", left + 26, p[16])):
        outer = float(end[0]) * 1.04
        result[name] = line((start, y, front - 4), (outer, y, float(end[2]) - 15))
    return result
