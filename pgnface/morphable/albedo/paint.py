"""Painting a whole face."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..model import MorphableModel
from .appearance import Appearance
from .chart import FaceChart
from .features import paint_eye_surroundings, paint_lips, paint_regions
from .hair import paint_beard, paint_brows, paint_hairline
from .skin import paint_skin


def paint(chart: FaceChart, person: Appearance, rng: np.random.Generator) -> Tensor:
    """The albedo ``(3, size, size)`` of a person: linear RGB, in the model's texture layout.

    Args:
        chart: of the model.
        person: colouring and features.
        rng: the details that :class:`Appearance` leaves open.
    """
    albedo = paint_skin(chart, person, rng)
    albedo = paint_beard(albedo, chart, person, rng)
    albedo = paint_lips(albedo, chart, person, rng)
    albedo = paint_eye_surroundings(albedo, chart, person, rng)
    albedo = paint_brows(albedo, chart, person, rng)
    albedo = paint_hairline(albedo, chart, person, rng)
    return paint_regions(albedo, chart, person, rng).clamp(0.004, 0.95)


def random_albedo(
    model: MorphableModel, size: int, generator: torch.Generator, count: int = 1
) -> Tensor:
    """Albedos of random people.

    Making the maps of a model takes seconds; to paint many people one after another, keep a
    :class:`FaceChart` and call :func:`paint`.

    Args:
        model: any with 68 landmarks; eyes and mouth are painted where ``model.regions`` has them.
        size: height and width in pixels.
        generator: on the CPU; the result depends on nothing else.
        count: number of people.

    Returns:
        ``(count, 3, size, size)`` linear RGB in [0, 1].

    Raises:
        ValueError: for a count or size below 1.
    """
    if count < 1:
        raise ValueError(f"random_albedo: count must be at least 1, got {count}")
    chart = FaceChart(model, size)
    seeds = torch.randint(2**62, (count,), generator=generator).tolist()
    people = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        people.append(paint(chart, Appearance.random(rng), rng))
    return torch.stack(people)
