"""Rasterization of faces, and of triangles that fill a picture."""

import pytest
import torch

from pgnface.bench import cases
from pgnface.bench.case import Case, Floor
from pgnface.bench.inputs import Scene
from pgnface.ops import rasterize

from .axes import IMPLEMENTATIONS, PASSES


@PASSES
@IMPLEMENTATIONS("nvdiffrast")
def test_rasterize(compare, scene, implementation, backward):
    compare(cases.rasterize(scene), implementation, backward)


def test_pytorch3d(compare, place, mesh, model):
    """Its rasterizer without bins, on one picture (on the CPU it takes half a minute)."""
    compare(cases.rasterize(Scene(mesh, 1, 224, place.device, model)), "pytorch3d")


@pytest.mark.parametrize("what", ["face", "quad"])
def test_large_triangles(compare, place, what):
    """The built-in face filling a picture of 1,024 pixels, and two triangles that do."""
    size = 1024
    if what == "face":
        compare(cases.rasterize(Scene("builtin", 1, size, place.device)))
        return
    corners = torch.tensor([[0.0, 0, 1], [size, 0, 1], [size, size, 1], [0, size, 1]])
    triangles = torch.tensor([[0, 2, 1], [0, 3, 2]], dtype=torch.int32, device=place.device)
    case = Case(
        "rasterize a quad",
        lambda vertices: rasterize(vertices, triangles, size, size)[1:],
        (corners[None].to(place.device),),
        Floor(16 * size**2, 20 * size**2),
    )
    compare(case)
