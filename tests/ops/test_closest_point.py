import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgnface import ops
from pgnface.ops import reference

from . import contract, meshes


def make_inputs(batch=2, points=40, vertices=30, triangles=40):
    """Random triangles and points around and far from them."""
    generator = torch.Generator().manual_seed(5)
    xyz, corners = meshes.soup(batch, vertices, triangles)
    spread = torch.rand(batch, points, 3, generator=generator, dtype=torch.float64) * 30 - 8
    # What float32 holds exactly, so that both precisions see the same mesh.
    spread, xyz = spread.float().double(), xyz.float().double()
    return [spread.requires_grad_(), xyz.requires_grad_(), corners.int()]


def surface_inputs(noise=0.0, points=300):
    """Points near a bumpy sphere of small triangles."""
    generator = torch.Generator().manual_seed(7)
    vertices, triangles = meshes.sphere(20, 30)
    vertices = vertices * (1 + 0.1 * (5 * vertices[:, :1]).sin())
    near = vertices[torch.randint(len(vertices), (points,), generator=generator)]
    near = near + noise * torch.randn(points, 3, generator=generator, dtype=torch.float64)
    vertices, near = vertices[None].float().double(), near[None].float().double()
    return [near.requires_grad_(), vertices.requires_grad_(), triangles.int()]


def differentiable(points, vertices, triangles):
    """What has gradients: distances, closest points and barycentrics."""
    found = ops.closest_point(points, vertices, triangles)
    return found.distances, found.points, found.barycentrics


class TestContract:
    def test_matches_twin(self):
        contract.assert_matches_twin(
            ops.closest_point, reference.closest_point, make_inputs(), atol=2e-3, rtol=2e-3
        )

    @pytest.mark.parametrize("noise", [0.03, 3.0])
    def test_matches_twin_near_a_surface(self, noise):
        inputs = contract.cast(surface_inputs(noise), torch.float64)
        found, expected = ops.closest_point(*inputs), reference.closest_point(*inputs)
        torch.testing.assert_close(found.distances, expected.distances)
        torch.testing.assert_close(found.points, expected.points, atol=1e-7, rtol=0)

    def test_gradcheck(self):
        contract.assert_gradients(differentiable, make_inputs(points=12, triangles=10))

    def test_gradient_of_one_argument_alone(self):
        inputs = make_inputs()
        both = contract.run_with_gradients(ops.closest_point, contract.cast(inputs, torch.float64))
        for which in (0, 1):
            alone = contract.cast(inputs, torch.float64)
            alone[1 - which].requires_grad_(False)
            (gradient,) = contract.run_with_gradients(ops.closest_point, alone)[1]
            assert torch.equal(gradient, both[1][which])

    @pytest.mark.parametrize("batch", [1, 5])
    def test_threads(self, batch):
        contract.assert_thread_counts_agree(ops.closest_point, make_inputs(batch, points=1500))

    def test_strides(self):
        contract.assert_accepts_strides(ops.closest_point, make_inputs())

    def test_opcheck(self):
        points, vertices, triangles = make_inputs()
        tree = ops.build_triangle_tree(vertices.float(), triangles)
        # As integers these need no cast; float32 is what the check casts to.
        contract.assert_opcheck(
            torch.ops.pgnface.closest_point.default, [points, vertices, triangles, *tree]
        )
        contract.assert_opcheck(
            torch.ops.pgnface.triangle_tree.default, [vertices.detach(), triangles]
        )

    def test_compile(self):
        contract.assert_compiles(ops.closest_point, make_inputs())

    @contract.needs_cuda
    @pytest.mark.cuda
    @pytest.mark.parametrize("triangles", [1, 7, 9, 500])
    def test_cuda(self, triangles):
        inputs = make_inputs(points=500, vertices=200, triangles=triangles)
        contract.assert_cuda_matches_cpu(ops.closest_point, inputs, atol=1e-3, rtol=1e-3)

    @contract.needs_cuda
    @pytest.mark.cuda
    def test_cuda_finds_the_same_triangles_in_the_same_tree(self):
        inputs = contract.cast(surface_inputs(0.05), torch.float32)
        there = contract.cast(inputs, torch.float32, "cuda")
        for a, b in zip(
            ops.build_triangle_tree(*inputs[1:]), ops.build_triangle_tree(*there[1:]), strict=True
        ):
            torch.testing.assert_close(b.cpu(), a, equal_nan=True, atol=1e-6, rtol=1e-6)
        found = ops.closest_point(*there)
        assert torch.equal(found.triangle_ids.cpu(), ops.closest_point(*inputs).triangle_ids)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("triangles", [1, 7, 8, 9, 64, 65, 700])
def test_no_triangle_is_passed_over(dtype, triangles):
    """What is found depends on the point and the mesh alone: one leaf, and a deep tree, agree."""
    inputs = contract.cast(make_inputs(1, 300, 200, triangles), dtype)
    assert_all_were_seen(*(value.detach() for value in inputs))


@pytest.mark.parametrize("away", [1e4, 1e7])
def test_no_triangle_is_passed_over_far_from_the_origin(away):
    """Where a float32 holds whole numbers only."""
    inputs = contract.cast(surface_inputs(0.1), torch.float64)
    points, vertices = (100 * value.detach() + away for value in inputs[:2])
    assert_all_were_seen(points.float(), vertices.float(), inputs[2][::3])


def assert_all_were_seen(points, vertices, corners):
    """What one triangle after the other gives is what all of them give."""
    found = ops.closest_point(points, vertices, corners)
    least = torch.full_like(found.distances, math.inf)
    ids = torch.zeros_like(found.triangle_ids)
    for start in range(len(corners)):
        alone = ops.closest_point(points, vertices, corners[start : start + 1])
        nearer = alone.distances < least
        least, ids = torch.where(nearer, alone.distances, least), torch.where(nearer, start, ids)
    assert torch.equal(found.distances, least) and torch.equal(found.triangle_ids, ids)


def test_a_cube():
    corners = torch.tensor([[x, y, z] for x in (0.0, 1) for y in (0.0, 1) for z in (0.0, 1)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = torch.tensor([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    points = torch.tensor([[0.5, 0.5, 3.0], [2, 2, 0.5], [-1, -1, -1], [0.5, 0.4, 0.9]])
    found = ops.closest_point(points, corners, triangles)
    expected = torch.tensor([2, math.sqrt(2), math.sqrt(3), 0.1])
    torch.testing.assert_close(found.distances, expected)
    places = torch.tensor([[0.5, 0.5, 1], [1, 1, 0.5], [0, 0, 0], [0.5, 0.4, 1]])
    torch.testing.assert_close(found.points, places)
    rebuilt = (found.barycentrics[..., None] * corners[triangles[found.triangle_ids.long()]]).sum(1)
    torch.testing.assert_close(rebuilt, places)
    assert torch.equal(found.barycentrics.count_nonzero(-1), torch.tensor([2, 2, 1, 3]))


def test_agrees_with_trimesh():
    trimesh = pytest.importorskip("trimesh")
    points, vertices, triangles = (value.detach() for value in surface_inputs(0.2))
    a, b, c = vertices[0][triangles.long()].unbind(1)
    area = torch.linalg.cross(b - a, c - a).norm(dim=-1)
    triangles = triangles[area > 1e-9]  # those at the poles are NaN to trimesh
    mesh = trimesh.Trimesh(vertices[0].numpy(), triangles.numpy(), process=False)
    expected = trimesh.proximity.closest_point_naive(mesh, points[0].numpy())
    found = ops.closest_point(points[0], vertices[0], triangles)
    np.testing.assert_allclose(found.distances, expected[1], atol=1e-9)
    np.testing.assert_allclose(found.points, expected[0], atol=1e-7)


def test_the_lowest_of_equally_near_triangles():
    vertices, triangles = meshes.disc(4, 12)
    above = torch.tensor([[0.0, 0, 2]]).double()
    at_centre = (vertices[triangles].square().sum(-1) < 1e-20).any(1)
    found = ops.closest_point(above, vertices, triangles)
    assert int(found.triangle_ids) == int(at_centre.int().argmax())
    turned = ops.closest_point(above, vertices, triangles.flip(0))
    assert int(turned.triangle_ids) == int(at_centre.flip(0).int().argmax())


def test_a_kept_tree_gives_the_same_bits():
    points, vertices, triangles = contract.cast(make_inputs(), torch.float32)
    tree = ops.build_triangle_tree(vertices, triangles)
    for a, b in zip(
        ops.closest_point(points, vertices, triangles, tree),
        ops.closest_point(points, vertices, triangles),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_one_mesh_for_points_of_any_shape():
    points, vertices, triangles = (value.detach() for value in make_inputs(1, points=12))
    expected = ops.closest_point(points, vertices, triangles)
    found = ops.closest_point(points[0].reshape(3, 4, 3), vertices[0], triangles)
    assert found.distances.shape == (3, 4) and found.barycentrics.shape == (3, 4, 3)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a.flatten(0, 1), b[0])
    alone = ops.closest_point(points[0, 5], vertices[0], triangles)
    assert alone.distances.shape == () and torch.equal(alone.points, expected.points[0, 5])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_points_and_triangles_that_are_not_usable(bad, axis):
    vertices, triangles = meshes.grid(4, 4, 8, 8)
    vertices, points = vertices.float()[None], torch.rand(1, 6, 3) * 8
    points[0, 2, axis] = bad
    points.requires_grad_()
    vertices[0, 12, axis] = bad
    vertices.requires_grad_()
    found = ops.closest_point(points, vertices, triangles)
    lost = torch.arange(6) == 2
    assert torch.equal(found.distances[0].isinf(), lost) and (found.triangle_ids[0, 2] == -1)
    assert (found.points[0, 2] == 0).all() and (found.barycentrics[0, 2] == 0).all()
    ids = found.triangle_ids[0, ~lost].long()
    assert not (triangles[ids] == 12).any()
    found.distances[0, ~lost].sum().backward()
    assert points.grad.isfinite().all() and vertices.grad.isfinite().all()
    assert (points.grad[0, 2] == 0).all() and (vertices.grad[0, 12] == 0).all()


def test_triangles_without_area():
    """A point, a line and repeated corners are still where they are."""
    vertices = torch.tensor([[0.0, 0, 0], [4, 0, 0], [8, 0, 0], [0, 9, 0]]).double()
    triangles = torch.tensor([[0, 0, 0], [0, 1, 2], [3, 3, 1]])
    points = torch.tensor([[-1.0, 0, 0], [6, 2, 0], [0, 10, 0], [2.0, 5, 0]]).double()
    points.requires_grad_()
    found = ops.closest_point(points, vertices.requires_grad_(), triangles)
    line = abs(9 * 2 + 4 * 5 - 36) / math.hypot(9, 4)
    expected = torch.tensor([1.0, 2.0, 1.0, line]).double()
    torch.testing.assert_close(found.distances, expected)
    found.distances.sum().backward()
    assert points.grad.isfinite().all() and vertices.grad.isfinite().all()
    torch.testing.assert_close(points.grad.norm(dim=-1), torch.ones(4).double())


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_any_unit(scale):
    points, vertices, triangles = surface_inputs(0.1)
    expected = ops.closest_point(points, vertices, triangles)
    found = ops.closest_point(points * scale, vertices * scale, triangles)
    torch.testing.assert_close(found.distances / scale, expected.distances)


def test_a_point_on_the_surface_has_no_gradient():
    vertices, triangles = meshes.grid(1, 1)
    points = torch.tensor([[0.25, 0.5, 0.0]]).double().requires_grad_()
    found = ops.closest_point(points, vertices, triangles)
    assert float(found.distances.detach()) == 0
    (gradient,) = torch.autograd.grad(found.distances.sum(), points)
    assert (gradient == 0).all()


@pytest.mark.parametrize(
    "batch, points, vertices, triangles", [(0, 3, 3, 1), (2, 0, 5, 4), (1, 5, 0, 0), (2, 3, 4, 0)]
)
def test_empty(batch, points, vertices, triangles):
    arguments = torch.rand(batch, points, 3), torch.rand(batch, vertices, 3).requires_grad_()
    found = ops.closest_point(*arguments, torch.zeros(triangles, 3).int())
    assert found.distances.shape == (batch, points) and found.points.shape == (batch, points, 3)
    if not triangles:
        assert found.distances.isinf().all() and (found.triangle_ids == -1).all()
    (gradient,) = torch.autograd.grad(found.points.sum(), arguments[1])
    assert gradient.shape == (batch, vertices, 3)


def test_half_precision_is_promoted():
    points, vertices, triangles = make_inputs()
    assert (
        ops.closest_point(points.half(), vertices.half(), triangles).points.dtype == torch.float32
    )


@pytest.mark.cpu_kernels
def test_an_index_out_of_range():
    with pytest.raises(IndexError, match="closest_point: triangles must hold"):
        ops.closest_point(torch.rand(1, 2, 3), torch.rand(1, 4, 3), torch.tensor([[0, 1, 4]]))


def test_errors():
    points, vertices, triangles = (
        torch.rand(1, 2, 3),
        torch.rand(1, 4, 3),
        torch.tensor([[0, 1, 2]]),
    )
    with pytest.raises(TypeError, match="integers"):
        ops.closest_point(points, vertices, triangles.float())
    with pytest.raises(TypeError, match="share one dtype"):
        ops.closest_point(points, vertices.double(), triangles)
    with pytest.raises(ValueError, match="vertices is on meta"):
        ops.closest_point(points, torch.rand(1, 4, 3, device="meta"), triangles)
    with pytest.raises(ValueError, match=r"closest_point: points must"):
        ops.closest_point(points[0], vertices, triangles)
    tree = ops.build_triangle_tree(vertices, triangles.repeat(9, 1))
    with pytest.raises(ValueError, match=r"closest_point: tree\.order must"):
        ops.closest_point(points, vertices, triangles, tree)
    tree = ops.build_triangle_tree(vertices.double(), triangles)
    with pytest.raises(ValueError, match=r"tree\.corners must be torch\.float32"):
        ops.closest_point(points, vertices, triangles, tree)


@given(
    points=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    vertices=st.lists(st.integers(1, 3), min_size=1, max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_any_shape_gives_a_result_or_a_clear_error(points, vertices):
    arguments = torch.rand(points), torch.rand(vertices), torch.zeros(1, 3, dtype=torch.int32)
    shared = len(vertices) == 2 and vertices[1] == 3 and points[-1] == 3
    batched = (
        len(vertices) == len(points) == 3
        and vertices[2] == points[2] == 3
        and points[0] == vertices[0]
    )
    if shared or batched:
        assert ops.closest_point(*arguments).distances.shape == tuple(points[:-1])
    else:
        with pytest.raises(ValueError, match=r"closest_point: (points|vertices) must"):
            ops.closest_point(*arguments)
