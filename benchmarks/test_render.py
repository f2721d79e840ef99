"""Rasterize and interpolate three colours, with and without gradients of silhouettes; each op."""

import pytest

from pgnface.bench import cases, steps

from .axes import IMPLEMENTATIONS, PASSES


@PASSES
@IMPLEMENTATIONS("nvdiffrast")
@pytest.mark.parametrize("edges", [False, True], ids=["plain", "edges"])
def test_render(compare, place, mesh, model, batch, size, edges, implementation, backward):
    case = steps.render(mesh, batch, size, edges=edges, device=place.device, model=model)
    compare(case, implementation, backward)


@PASSES
@IMPLEMENTATIONS("torch")
def test_interpolate(compare, place, mesh, model, batch, size, implementation, backward):
    case = cases.interpolate(mesh, batch, size, device=place.device, model=model)
    compare(case, implementation, backward)


@PASSES
@IMPLEMENTATIONS("torch")
def test_edge_gradient(compare, place, mesh, model, batch, size, implementation, backward):
    case = cases.edge_gradient(mesh, batch, size, device=place.device, model=model)
    compare(case, implementation, backward)
