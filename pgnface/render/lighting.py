"""Diffuse light in nine spherical-harmonic coefficients.

Ramamoorthi and Hanrahan, *An Efficient Representation for Irradiance Environment Maps*, SIGGRAPH
2001. The coefficients ``(..., 9, C)`` are those of the incoming radiance, in the order
Y00, Y1-1, Y10, Y11, Y2-2, Y2-1, Y20, Y21, Y22 (x, y, z as the normals have them).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

COEFFICIENT_COUNT = 9
# Lambert's cosine kernel in the three bands (their A_l), over pi: what turns radiance into the
# light that a white diffuse surface sends back.
_BAND_WEIGHTS, _BAND_SIZES = (1.0, 2 / 3, 1 / 4), (1, 3, 5)


def spherical_harmonics(directions: Tensor) -> Tensor:
    """The nine real basis functions ``(..., 9)`` at unit directions ``(..., 3)``."""
    x, y, z = directions.unbind(-1)
    return torch.stack(
        (
            torch.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ),
        dim=-1,
    )


def shade(normals: Tensor, coefficients: Tensor) -> Tensor:
    """Light that a white diffuse surface reflects (their eq. 11, divided by pi).

    Args:
        normals: ``(..., V, 3)`` unit normals in the frame of the light.
        coefficients: ``(..., 9, C)`` radiance.

    Returns:
        ``(..., V, C)``: 1 under a surrounding light of radiance 1. The truncated series can fall a
        little below 0 facing away from a single strong light.

    Raises:
        ValueError: for a wrong shape.
    """
    if normals.shape[-1] != 3:
        raise ValueError(f"shade: normals must have shape (..., V, 3), got {tuple(normals.shape)}")
    if coefficients.dim() < 2 or coefficients.shape[-2] != COEFFICIENT_COUNT:
        raise ValueError(
            f"shade: coefficients must have shape (..., 9, C), got {tuple(coefficients.shape)}"
        )
    bands = coefficients.split(_BAND_SIZES, dim=-2)
    weighted = [band * weight for band, weight in zip(bands, _BAND_WEIGHTS, strict=True)]
    return spherical_harmonics(normals) @ torch.cat(weighted, dim=-2)


def ambient_light(color: Tensor) -> Tensor:
    """Coefficients ``(..., 9, C)`` of a surrounding light of radiance ``color (..., C)``."""
    first = color[..., None, :] * math.sqrt(4 * math.pi)
    return torch.cat((first, first.new_zeros(*first.shape[:-2], 8, first.shape[-1])), dim=-2)


def directional_light(direction: Tensor, color: Tensor) -> Tensor:
    """Coefficients ``(..., 9, C)`` of a distant lamp.

    Args:
        direction: ``(..., 3)`` unit vector towards the lamp.
        color: ``(..., C)``: what a white surface that faces the lamp reflects (to 6 %, which the
            truncation of the series costs).
    """
    return math.pi * spherical_harmonics(direction)[..., :, None] * color[..., None, :]


def color_of_temperature(kelvin: Tensor) -> Tensor:
    """Linear RGB ``(..., 3)`` of a black body (2,000 to 12,000 K), green 1, daylight 6,500 K white.

    A quadratic fit in the logarithm of the temperature: enough for sampling plausible lamps.
    """
    t = torch.log(kelvin / 6500.0)
    red = torch.exp(-0.93 * t + 0.10 * t * t)
    blue = torch.exp(1.10 * t - 0.55 * t * t)
    return torch.stack((red, torch.ones_like(red), blue), dim=-1)


class Light(NamedTuple):
    """Surrounding light and distant lamps on N scenes.

    Attributes:
        ambient: ``(N, C)`` radiance from everywhere.
        directions: ``(N, K, 3)`` unit vectors towards the lamps, the strongest first.
        colors: ``(N, K, C)`` of the lamps.
    """

    ambient: Tensor
    directions: Tensor
    colors: Tensor

    @property
    def coefficients(self) -> Tensor:
        """``(N, 9, C)``, for :func:`shade`."""
        return ambient_light(self.ambient) + directional_light(self.directions, self.colors).sum(-3)

    def turned(self, rotation: Tensor) -> Light:
        """The light as seen in a frame whose axes are the columns of ``rotation (N, 3, 3)``."""
        return self._replace(directions=self.directions @ rotation)


def random_light(count: int, generator: torch.Generator) -> Light:
    """Natural light on faces: ambient, a key lamp, sky or ceiling, and a weaker second lamp.

    Directions are in the viewer's frame (x right, y up, z to the viewer); lamps stand mostly above
    and in front. The colours of lamps and surroundings vary between tungsten and overcast sky.

    Args:
        count: number of lights N.
        generator: on the CPU; the result depends on nothing else.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, generator=generator)

    def tint() -> Tensor:
        kelvin = 6500 * torch.exp(0.22 * torch.randn(count, generator=generator))
        return color_of_temperature(kelvin.clamp(3000, 11000))

    def direction(spread: float) -> Tensor:
        azimuth = spread * torch.randn(count, generator=generator)
        elevation = (0.45 + 0.45 * torch.randn(count, generator=generator)).clamp(-0.6, 1.35)
        x, y, z = azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()
        return torch.stack((x, y, z), dim=-1)

    # The share of the key lamp runs from overcast to hard sun; the sum stays near an exposure of 1.
    share = uniform(0.15, 1.0).square()
    exposure = torch.exp(0.2 * torch.randn(count, 1, generator=generator))
    surround = tint()
    lamps = (
        (direction(0.9), (0.25 + 0.85 * share) * tint()),
        (torch.tensor([0.0, 1.0, 0.0]).expand(count, 3), uniform(0.0, 0.35) * surround),
        (direction(1.8), uniform(0.0, 0.3) * tint()),
    )
    directions, colors = (torch.stack(part, dim=1) for part in zip(*lamps, strict=True))
    ambient = exposure * (0.75 - 0.55 * share) * surround
    return Light(ambient, directions, exposure[:, None] * colors)
