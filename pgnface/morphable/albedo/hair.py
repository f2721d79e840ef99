"""Facial hair: brows, beard, and the hairline at the top of the forehead."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .appearance import Appearance
from .chart import FaceChart, step_between


def paint_brows(
    albedo: Tensor, chart: FaceChart, person: Appearance, rng: np.random.Generator
) -> Tensor:
    """Brows as a band that thins out to the temple, broken up into strokes along it."""
    along, above = chart.brows
    above = above - rng.uniform(-1.5, 2.5)
    arch = rng.uniform(-1.0, 2.0)
    above = above - arch * torch.exp(-((along - 0.65) / 0.25).square())
    reach = rng.uniform(0.85, 1.1)
    half = 0.5 * person.brow_thickness * (1 - 0.72 * (along / reach).clamp(0, 1) ** 1.5)
    # Hairs grow up at the nose and lie down towards the temple.
    places = torch.stack(
        (along * chart.brow_length / 6 - 0.25 * above, above / 0.9 + 1.5 * along), dim=-1
    )
    strokes = chart.noise_at(rng, places, 2.0)
    band = step_between((above.abs() + 0.35 * strokes) / half, 1.15, 0.55)
    ends = step_between(along, 1e-6, 0.08) * step_between(along, 1.0, 0.93)
    beyond = (chart.plane[..., 0].abs() > 2) & (chart.plane[..., 1] > 0)
    cover = (0.78 + 0.22 * strokes).clamp(0, 1) * band * ends * beyond * person.brow_density
    shade = albedo.new_tensor(person.hair) * rng.uniform(0.55, 0.95)
    return torch.lerp(albedo, shade[:, None, None].expand_as(albedo), cover.clamp(0, 0.95))


def paint_beard(
    albedo: Tensor, chart: FaceChart, person: Appearance, rng: np.random.Generator
) -> Tensor:
    """A beard in the person's style; the shaven keep a bluish shadow of the roots."""
    if person.beard == "none":
        return albedo
    wobble = 3.0 * chart.noise(rng, 12) + 1.2 * chart.noise(rng, 3)
    full = step_between(chart.beard + wobble, 2.0, -5.0)
    moustache = step_between(chart.moustache + 0.5 * wobble, 1.0, -2.0)
    off_lips = step_between(chart.lips, -0.3, 1.2)
    roots = torch.maximum(full, moustache) * off_lips
    # Roots through skin: less light, the red absorbed most.
    darkness = 0.35 * person.beard_strength * (1.2 if person.beard == "stubble" else 0.7)
    darkness = darkness * (1.0 - 0.6 * min(1.0, max(person.hair) / 0.3))
    tint = albedo.new_tensor((1.1, 0.95, 0.8))[:, None, None]
    grain = 1 + 0.45 * chart.noise(rng, 1.1)
    result = albedo * torch.exp(-darkness * tint * (roots * grain.clamp(0, 2)))
    if person.beard in ("shaven", "stubble"):
        return result
    cover = {
        "full": torch.maximum(full, moustache),
        "moustache": moustache,
        "goatee": torch.maximum(moustache * (rng.random() < 0.7), _goatee(chart, full, wobble)),
    }[person.beard]
    down = torch.stack((chart.plane[..., 0] / 1.1, chart.plane[..., 1] / 5), dim=-1)
    strands = chart.noise_at(rng, down, 2.0)
    cover = cover * off_lips * (0.72 + 0.2 * person.beard_strength + 0.18 * strands).clamp(0, 1)
    shade = albedo.new_tensor(person.hair)[:, None, None] * rng.uniform(0.7, 1.1)
    shade = shade * (1 + 0.3 * strands).clamp(min=0.2)
    return torch.lerp(result, shade, cover.clamp(0, 0.96))


def paint_hairline(
    albedo: Tensor, chart: FaceChart, person: Appearance, rng: np.random.Generator
) -> Tensor:
    """Scalp hair where the model reaches above the hairline, and down the temples."""
    x, y = chart.plane.unbind(-1)
    side = chart.landmarks[16, 0]
    across = x.abs() / side
    recession = rng.uniform(-4, 10) * torch.exp(-((across - 0.5) / 0.2).square())
    height = person.hairline + recession - 55 * step_between(across, 0.62, 1.08)
    edge = y - height + 3.0 * chart.noise(rng, 10) + 2.0 * chart.noise(rng, 2.5)
    places = torch.stack((x / 1.4 + y * x / 700, y / 9), dim=-1)
    strands = chart.noise_at(rng, places, 2.0)
    cover = step_between(edge, -4.0, 5.0) * step_between(y, 2.0, 14.0)
    shade = albedo.new_tensor(person.hair)[:, None, None] * (1 + 0.35 * strands).clamp(min=0.15)
    return torch.lerp(albedo, shade, (cover * (0.9 + 0.1 * strands)).clamp(0, 0.97))


def _goatee(chart: FaceChart, full: Tensor, wobble: Tensor) -> Tensor:
    half = (chart.landmarks[54, 0] - chart.landmarks[48, 0]) / 2
    return full * step_between(chart.plane[..., 0].abs() + wobble, float(half) + 4, float(half) - 2)
