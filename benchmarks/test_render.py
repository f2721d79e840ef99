"""Rasterize and interpolate three colours, with and without gradients of silhouettes; each op."""

import pytest

from pgnface.bench import cases, steps

from .axes import IMPLEMENTATIONS, PASSES


@PASSES
@IMPLEMENTATIONS("nvdiffrast")
@pytest.mark.parametrize("edges", [False, True], ids=["plain", "edges"])
def test_render(compare, scene, edges, implementation, backward):
    compare(steps.render(scene, edges), implementation, backward)


@PASSES
@IMPLEMENTATIONS("torch")
def test_interpolate(compare, scene, implementation, backward):
    compare(cases.interpolate(scene), implementation, backward)


@PASSES
@IMPLEMENTATIONS("torch")
def test_edge_gradient(compare, scene, implementation, backward):
    compare(cases.edge_gradient(scene), implementation, backward)
