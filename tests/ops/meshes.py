"""Meshes that the tests of the rendering ops share; float64, image space."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def grid(rows: int, columns: int, width: float = 1.0, height: float = 1.0) -> tuple[Tensor, Tensor]:
    """A rectangle from (0, 0) to (width, height) at z = 0: vertices (V, 3), triangles (T, 3).

    The triangles face the viewer: counter-clockwise on screen, where y points down.
    """
    y, x = torch.meshgrid(
        torch.linspace(0, height, rows + 1, dtype=torch.float64),
        torch.linspace(0, width, columns + 1, dtype=torch.float64),
        indexing="ij",
    )
    vertices = torch.stack([x, y, torch.zeros_like(x)], -1).reshape(-1, 3)
    index = torch.arange(len(vertices)).reshape(rows + 1, columns + 1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = torch.stack([torch.stack([a, c, b], -1), torch.stack([a, d, c], -1)], 2)
    return vertices, triangles.reshape(-1, 3)


def sphere(rings: int = 24, sectors: int = 48) -> tuple[Tensor, Tensor]:
    """The unit sphere; triangles face outwards."""
    vertices, triangles = grid(rings, sectors)
    phi, theta = vertices[:, 0] * 2 * math.pi, vertices[:, 1] * math.pi
    x, y, z = theta.sin() * phi.cos(), theta.sin() * phi.sin(), -theta.cos()
    return torch.stack([x, y, z], -1), triangles.flip(1)


def disc(rings: int = 12, sectors: int = 48) -> tuple[Tensor, Tensor]:
    """The unit disc at z = 0, facing the viewer."""
    vertices, triangles = grid(rings, sectors)
    angle, radius = vertices[:, 0] * 2 * math.pi, vertices[:, 1]
    xyz = torch.stack([radius * angle.cos(), radius * angle.sin(), torch.zeros_like(radius)], -1)
    return xyz, triangles.flip(1)


def soup(batch: int = 2, vertices: int = 30, triangles: int = 40, size: float = 12.0):
    """Random triangles of both windings around a square image: (N, V, 3), (T, 3)."""
    generator = torch.Generator().manual_seed(3)
    xyz = torch.rand(batch, vertices, 3, generator=generator, dtype=torch.float64)
    xyz = xyz * torch.tensor([size + 4, size + 4, 10.0], dtype=torch.float64) - 2
    return xyz, torch.randint(vertices, (triangles, 3), generator=generator)
