"""Lips, the surroundings of the eyes, and the parts of a model that are not skin."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .appearance import Appearance
from .chart import FaceChart, step_between


def paint_lips(
    albedo: Tensor, chart: FaceChart, person: Appearance, rng: np.random.Generator
) -> Tensor:
    """Lips: redder skin, or lipstick; darker where they meet."""
    cover = step_between(chart.lips + 0.25 * chart.noise(rng, 4), 0.6, -0.9)
    redness = rng.uniform(0.35, 0.9)
    own = albedo * torch.exp(-redness * albedo.new_tensor((0.22, 0.8, 0.62))[:, None, None])
    paint = albedo.new_tensor(person.lip_color)[:, None, None].expand_as(albedo)
    lips = torch.lerp(own, paint, person.lip_paint)
    creases = torch.stack((chart.plane[..., 0] / 0.9, chart.plane[..., 1] / 6), dim=-1)
    lips = lips * (1 + 0.08 * chart.noise_at(rng, creases, 2.0))
    seam = 1 - rng.uniform(0.4, 0.75) * torch.exp(-(chart.lip_line / 1.0).square())
    return torch.lerp(albedo, lips, cover) * (1 - cover + cover * seam)


def paint_eye_surroundings(
    albedo: Tensor, chart: FaceChart, person: Appearance, rng: np.random.Generator
) -> Tensor:
    """Eye shadow over the upper lids, the lash line, and the red rim of the lids."""
    above = chart.plane[..., 1] > chart.landmarks[36:48, 1].mean() - 1.5
    result = albedo
    if person.shadow:
        reach = rng.uniform(4, 10)
        cover = person.shadow * torch.exp(-(chart.upper_lids / reach).square()) * above
        paint = albedo.new_tensor(person.shadow_color)[:, None, None].expand_as(albedo)
        result = torch.lerp(result, paint, cover)
    rim = torch.exp(-(chart.eyes / 1.5).square())
    result = result * (1 - rim * albedo.new_tensor((0.1, 0.3, 0.28))[:, None, None])
    lash = torch.exp(-(chart.upper_lids / (0.9 + person.eyeliner)).square())
    lower = torch.exp(-((chart.eyes - 0.3) / 0.8).square())
    dark = (0.45 + 0.5 * person.eyeliner) * lash + 0.35 * person.eyeliner * lower
    return result * (1 - 0.92 * dark.clamp(0, 1))


def paint_regions(
    albedo: Tensor, chart: FaceChart, person: Appearance, rng: np.random.Generator
) -> Tensor:
    """Whatever the model's regions name besides skin: eyeballs and the inside of the mouth."""
    for name, share in chart.regions.items():
        if "eye" in name:
            paint = _eyeball(albedo, chart, person, rng)
        elif "teeth" in name:
            paint = _constant(albedo, (0.72, 0.66, 0.52)) * rng.uniform(0.6, 1.0)
        elif "mouth" in name:
            paint = _mouth(albedo, chart, rng)
        else:
            continue
        albedo = torch.lerp(albedo, paint, share.clamp(0, 1))
    return albedo


def _eyeball(
    albedo: Tensor, chart: FaceChart, person: Appearance, rng: np.random.Generator
) -> Tensor:
    """Sclera, iris and pupil by the distance from the middle of the eye's opening."""
    p = chart.landmarks
    gaze = p.new_tensor((rng.normal(0, 0.8), rng.normal(0, 0.4)))
    radius = rng.uniform(5.6, 6.2)
    sclera = _constant(albedo, (0.80, 0.76, 0.72)) * rng.uniform(0.8, 1.0)
    corner = torch.exp(-chart.eyes.neg().clamp(min=0) / 2.0)[None]
    result = sclera * (1 - corner * albedo.new_tensor((0.3, 0.5, 0.5))[:, None, None])
    iris = _constant(albedo, person.iris)
    streaks = 1 + 0.3 * chart.noise(rng, 1.0)
    for start in (36, 42):
        middle = p[start : start + 6].mean(0) + gaze
        distance = (chart.plane - middle).norm(dim=-1)
        limbus = 1 - 0.6 * step_between(distance, 0.75 * radius, radius)
        result = torch.lerp(
            result, iris * streaks * limbus, step_between(distance, radius + 0.5, radius - 0.5)
        )
        pupil = step_between(distance, 0.4 * radius, 0.25 * radius)
        result = result * (1 - 0.97 * pupil)
    return result


def _mouth(albedo: Tensor, chart: FaceChart, rng: np.random.Generator) -> Tensor:
    return _constant(albedo, (0.10, 0.022, 0.018)) * rng.uniform(0.4, 1.2)


def _constant(like: Tensor, color: tuple[float, float, float]) -> Tensor:
    return like.new_tensor(color)[:, None, None].expand_as(like)
