"""Skin: pigments with their blotches, pores, freckles, moles, folds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .appearance import Appearance, skin_color
from .chart import FaceChart, step_between


def paint_skin(chart: FaceChart, person: Appearance, rng: np.random.Generator) -> Tensor:
    """Bare skin ``(3, size, size)`` in linear RGB."""
    melanin = torch.full_like(chart.lips, person.melanin)
    blood = torch.full_like(chart.lips, person.blood)
    p = chart.landmarks

    # Blood shows on cheeks, nose, chin and round the eyes; the forehead is yellower and darker.
    flush = rng.uniform(0.05, 0.3)
    for place, width, strength in (
        ((p[2] + p[31]) / 2, 15, 1.0),
        ((p[14] + p[35]) / 2, 15, 1.0),
        (p[30], 7, rng.uniform(0.5, 1.5)),
        (p[8] + p.new_tensor((0.0, 10.0)), 10, 0.5),
        (p[31], 4, 0.8),
        (p[35], 4, 0.8),
    ):
        blood = blood + flush * strength * chart.spot(place, width)
    if person.blush:
        for cheek, eye in ((p[3], p[40]), (p[13], p[47])):
            blood = blood + 0.7 * person.blush * chart.spot((cheek + 2 * eye) / 3, 13, 8)
    blood = blood + rng.uniform(0.02, 0.1) * chart.noise(rng, 18)
    blood = blood + 0.03 * chart.noise(rng, 6)

    tan = rng.uniform(0.0, 0.12) * (0.5 + person.melanin)
    melanin = melanin + tan * step_between(chart.plane[..., 1], 0, 45)
    melanin = melanin + 0.05 * (0.3 + person.melanin) * chart.noise(rng, 25)
    melanin = melanin + 0.015 * (0.5 + person.age) * chart.noise(rng, 8)
    ring = torch.exp(-(chart.eyes.clamp(min=0) / 7.0).square())
    tired = rng.uniform(0.0, 0.3) + 0.15 * person.age
    melanin, blood = (
        melanin + tired * ring * (0.4 + 0.4 * person.melanin),
        blood + 0.3 * tired * ring,
    )
    melanin = melanin + _freckles(chart, person, rng) + _moles(chart, person, rng)

    two = torch.stack((melanin.clamp(min=0.02), blood.clamp(min=0.02)))
    base = torch.from_numpy(skin_color(0.0, 0.0)).to(two.device)
    per_melanin = torch.from_numpy(np.log(skin_color(1.0, 0.0) / skin_color(0.0, 0.0)))
    per_blood = torch.from_numpy(np.log(skin_color(0.0, 1.0) / skin_color(0.0, 0.0)))
    log_color = torch.stack((per_melanin, per_blood), 1).to(two.device) @ two.flatten(1)
    skin = base[:, None, None] * log_color.exp().unflatten(1, two.shape[1:])

    pores = 0.03 * chart.noise(rng, 1.2) + 0.02 * chart.noise(rng, 2.6)
    return skin * (1 + pores * (0.6 + 0.8 * person.age)) * _folds(chart, person, rng)


def _freckles(chart: FaceChart, person: Appearance, rng: np.random.Generator) -> Tensor | float:
    if not person.freckles:
        return 0.0
    p = chart.landmarks
    spread = chart.spot(p[29], 32, 15) + 0.25 * chart.spot(
        p[27] + p.new_tensor((0.0, 40.0)), 35, 20
    )
    grains = step_between(chart.noise(rng, 1.8), 1.3 - 0.5 * person.freckles, 2.2)
    return (0.25 + 0.5 * person.freckles) * grains * spread


def _moles(chart: FaceChart, person: Appearance, rng: np.random.Generator) -> Tensor | float:
    total: Tensor | float = 0.0
    for _ in range(person.moles):
        place = chart.plane.new_tensor((rng.uniform(-60, 60), rng.uniform(-90, 50)))
        total = total + rng.uniform(0.5, 1.6) * chart.spot(place, rng.uniform(0.5, 1.3))
    return total


def _folds(chart: FaceChart, person: Appearance, rng: np.random.Generator) -> Tensor:
    depth = {"nasolabial": 0.28, "under_eyes": 0.18, "crow": 0.18, "forehead": 0.22}
    width = {"nasolabial": 2.2, "under_eyes": 1.6, "crow": 0.9, "forehead": 1.1}
    shade = torch.ones_like(chart.lips)
    for name, distance in chart.folds.items():
        strength = depth[name] * rng.uniform(0.2, 1.0) * (0.12 + person.age)
        wobble = distance + 0.8 * chart.noise(rng, 7)
        shade = shade - strength * torch.exp(-(wobble / width[name]).square())
    return shade
