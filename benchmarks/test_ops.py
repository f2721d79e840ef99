"""Every op, forward and with backward, beside the torch formulation of the same step."""

import pytest
import torch

from pgnface import ops
from pgnface.ops import reference

BATCHES = (1, 16)
PASSES = pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])


def leaf(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, requires_grad=True)


@PASSES
@pytest.mark.parametrize("implementation", ["pgnface", "torch"])
@pytest.mark.parametrize("count", [1, 4096])
def test_solve_pose(measure, count, implementation, backward):
    solve = {"pgnface": ops, "torch": reference}[implementation].solve_pose
    measure(
        lambda a, b: solve(a, b).rotation, leaf(count, 68, 3), leaf(count, 68, 3), backward=backward
    )


@PASSES
@pytest.mark.parametrize("implementation", ["pgnface", "torch"])
@pytest.mark.parametrize("batch", [1, 16, 64])
def test_evaluate_morphable(measure, batch, implementation, backward):
    evaluate = {"pgnface": ops, "torch": reference}[implementation].evaluate_morphable
    mean, basis = torch.rand(35_709, 3), torch.rand(144, 35_709, 3)
    measure(evaluate, mean, basis, leaf(batch, 144), backward=backward)


@pytest.mark.parametrize("batch", BATCHES)
def test_rasterize(measure, face_mesh, batch):
    vertices, triangles = face_mesh
    vertices = vertices.expand(batch, -1, -1).contiguous()
    measure(lambda v, t: ops.rasterize(v, t, 224, 224), vertices, triangles)


@PASSES
@pytest.mark.parametrize("edges", [False, True], ids=["plain", "edge_gradient"])
@pytest.mark.parametrize("batch", BATCHES)
def test_render(measure, face_mesh, batch, edges, backward):
    vertices, triangles = face_mesh
    colors = leaf(batch, len(vertices), 3)
    vertices = vertices.expand(batch, -1, -1).contiguous().requires_grad_()

    def render(vertices, colors, triangles):
        fragments = ops.rasterize(vertices, triangles, 224, 224)
        image = ops.interpolate(colors, triangles, fragments)
        return ops.edge_gradient(image, vertices, triangles, fragments) if edges else image

    measure(render, vertices, colors, triangles, backward=backward)


@PASSES
@pytest.mark.parametrize("implementation", ["pgnface", "torch"])
@pytest.mark.parametrize("batch", BATCHES)
def test_sample_colors(measure, face_mesh, batch, implementation, backward):
    sample = {"pgnface": ops, "torch": reference}[implementation].sample_colors
    points = face_mesh[0].expand(batch, -1, -1).contiguous().requires_grad_()
    measure(sample, leaf(batch, 3, 224, 224), points, backward=backward)


@PASSES
@pytest.mark.parametrize("batch", BATCHES)
def test_vertex_normals(measure, face_mesh, batch, backward):
    vertices, triangles = face_mesh
    adjacency = ops.build_adjacency(triangles, len(vertices))
    vertices = vertices.expand(batch, -1, -1).contiguous().requires_grad_()
    device_of = {}

    def normals(vertices):
        if vertices.device not in device_of:
            device_of[vertices.device] = type(adjacency)(
                *(t.to(vertices.device) for t in adjacency)
            )
        return ops.vertex_normals(vertices, device_of[vertices.device])

    measure(normals, vertices, backward=backward)


@pytest.mark.parametrize("batch", BATCHES)
def test_vertex_visibility(measure, face_mesh, batch):
    vertices, triangles = face_mesh
    vertices = vertices.expand(batch, -1, -1).contiguous()
    depth = ops.rasterize(vertices, triangles, 224, 224).depth
    measure(ops.vertex_visibility, vertices, triangles, depth)
