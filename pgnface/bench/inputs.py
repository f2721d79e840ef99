"""What the cases are run on."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from pgnface import ops
from pgnface.geometry import flip_axes, rotation_from_angles

from .meshes import face_mesh


class Scene:
    """``N`` faces, each turned a little differently, in front of pictures of side ``S``.

    Attributes:
        vertices: ``(N, V, 3)`` in image space.
        triangles: ``(T, 3)`` int32.
        batch, count, size: ``N``, ``V``, ``S``.
        pixels: ``N S S``.
        covered: how many of these the faces cover.
    """

    def __init__(
        self, mesh: str, batch: int, size: int, device: str = "cpu", model: str = "default"
    ) -> None:
        face, triangles = face_mesh(mesh, model)
        turn = torch.linspace(-20, 20, batch) if batch > 1 else torch.zeros(1)
        rotation = rotation_from_angles(torch.stack((turn / 4, turn, turn / 8), -1))
        centered = flip_axes(face - 0.5) @ rotation.transpose(1, 2)
        self.vertices = ((flip_axes(centered) + 0.5) * size).contiguous().to(device)
        self.triangles = triangles.to(device)
        self.batch, self.count, self.size = batch, len(face), size
        self.pixels = batch * size * size
        self.covered = int(self.draw().mask.sum())

    def draw(self, vertices: Tensor | None = None) -> ops.Fragments:
        """Rasterize the faces, or others of their mesh."""
        vertices = self.vertices if vertices is None else vertices
        return ops.rasterize(vertices, self.triangles, self.size, self.size)

    def leaf(self) -> Tensor:
        """The vertices, as a tensor that takes gradients."""
        return self.vertices.clone().requires_grad_()

    def random(self, *shape: int) -> Tensor:
        """Numbers in [0, 1) of this shape for each face."""
        return torch.rand(self.batch, *shape, device=self.vertices.device)


@lru_cache(maxsize=1)
def face_model(vertices: int, coefficients: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean ``(V, 3)``, basis ``(P, V, 3)`` in mm, and how large coefficients get ``(P,)``.

    The largest displacements of a mode fall off as those of scanned models: identities from 8 mm,
    with coefficients up to 3, and expressions from an open mouth, up to 1.
    """
    generator = torch.Generator().manual_seed(0)
    mean = 50 * torch.randn(vertices, 3, generator=generator)
    identities = round(coefficients * 5 / 9)
    index = torch.arange(coefficients)
    is_identity = index < identities
    rank = torch.where(is_identity, index, index - identities) + 1.0
    largest = torch.where(is_identity, 8.0, 35.0) * rank**-0.7
    basis = 2 * torch.rand(coefficients, vertices, 3, generator=generator) - 1
    return mean, basis * largest[:, None, None], torch.where(is_identity, 3.0, 1.0)


def random(*shape: int, device: str, seed: int = 0) -> Tensor:
    """Normal numbers, the same on every device."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(device)


def poses(count: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Scales, rotations and translations of heads in pictures of 224 pixels."""
    rotation = rotation_from_angles(20 * random(count, 3, device="cpu")).to(device)
    return (
        torch.full((count,), 0.9, device=device),
        rotation,
        torch.full((count, 3), 112.0, device=device),
    )
