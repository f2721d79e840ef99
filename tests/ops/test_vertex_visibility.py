import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgnface import ops
from pgnface.ops import reference

from . import contract, meshes


def make_inputs(batch=2, **options):
    vertices, triangles = meshes.soup(batch=batch, **options)
    vertices = vertices.float().double()
    depth = ops.rasterize(vertices, triangles, 12, 11).depth
    return [vertices, triangles.int(), depth, 0.5]


class TestContract:
    def test_matches_twin(self):
        inputs = make_inputs(vertices=100, triangles=60)
        contract.assert_matches_twin(ops.vertex_visibility, reference.vertex_visibility, inputs)
        assert 0 < ops.vertex_visibility(*inputs).float().mean() < 1

    @pytest.mark.parametrize("batch", [1, 5])
    def test_threads(self, batch):
        contract.assert_thread_counts_agree(ops.vertex_visibility, make_inputs(batch))

    def test_strides(self):
        contract.assert_accepts_strides(ops.vertex_visibility, make_inputs())

    def test_opcheck(self):
        contract.assert_opcheck(torch.ops.pgnface.vertex_visibility.default, make_inputs())

    def test_compile(self):
        contract.assert_compiles(ops.vertex_visibility, make_inputs())

    @contract.needs_cuda
    @pytest.mark.cuda
    def test_cuda(self):
        inputs = make_inputs(vertices=300, triangles=300)
        contract.assert_cuda_matches_cpu(ops.vertex_visibility, inputs)

    @contract.needs_cuda
    @pytest.mark.cuda
    def test_cuda_agrees_that_triangles_without_area_face_nobody(self):
        vertices, _, depth, tolerance = make_inputs(vertices=300)
        corners = torch.arange(300).reshape(-1, 2)
        inputs = [vertices, torch.cat([corners, corners[:, 1:]], 1), depth, tolerance]
        contract.assert_cuda_matches_cpu(ops.vertex_visibility, inputs)
        assert not ops.vertex_visibility(*contract.cast(inputs, torch.float32, "cuda")).any()


def test_the_near_half_of_a_sphere():
    vertices, triangles = meshes.sphere(40, 80)
    points = (vertices * 25 + torch.tensor([32.0, 32.0, 100.0]))[None]
    depth = ops.rasterize(points, triangles, 64, 64).depth
    visible = ops.vertex_visibility(points, triangles, depth)[0]
    near = (vertices[:, 2] < -0.05) & (vertices[:, 2] > -0.99)  # a pole's copies span no triangle
    assert visible[near].all()  # z into the scene: the near side is negative
    assert not visible[vertices[:, 2] > 0.08].any()


def test_triangles_seen_from_behind_hide_their_vertices():
    vertices, triangles = meshes.grid(2, 2, 8, 8)
    depth = torch.full((1, 8, 8), math.inf).double()
    assert ops.vertex_visibility(vertices[None], triangles, depth).all()
    assert not ops.vertex_visibility(vertices[None], triangles.flip(1), depth).any()


def test_an_occluder_hides_beyond_the_tolerance():
    vertices, triangles = meshes.grid(4, 4, 8, 8)
    vertices[:, 2] = 5
    depth = torch.full((1, 8, 8), math.inf).double()
    depth[:, :, :4] = 3
    left = vertices[:, 0] < 4  # at x = 4 one of the four pixels is empty
    assert torch.equal(ops.vertex_visibility(vertices[None], triangles, depth)[0], ~left)
    assert ops.vertex_visibility(vertices[None], triangles, depth, 2.0).all()


def test_the_border_belongs_to_the_image_and_nothing_beyond_it():
    vertices, triangles = meshes.grid(1, 1, 8, 6)
    depth = torch.zeros(1, 6, 8).double()
    assert ops.vertex_visibility(vertices[None], triangles, depth).all()
    moved = vertices + torch.tensor([0.01, 0, 0])
    assert ops.vertex_visibility(moved[None], triangles, depth)[0].tolist() == [
        x <= 8 for x in moved[:, 0]
    ]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_vertex_that_is_not_usable_is_hidden(bad, axis):
    vertices, triangles = meshes.grid(3, 3, 8, 8)
    vertices[5, axis] = bad
    depth = torch.zeros(1, 8, 8).double()
    visible = ops.vertex_visibility(vertices[None], triangles, depth)[0]
    assert not visible[5] and visible[15]


def test_no_gradient():
    vertices, triangles, depth, _ = make_inputs()
    visible = ops.vertex_visibility(vertices.requires_grad_(), triangles, depth)
    assert visible.dtype == torch.bool and not visible.requires_grad


@pytest.mark.parametrize("batch, vertices, triangles", [(0, 3, 1), (2, 0, 0), (1, 5, 0)])
def test_empty(batch, vertices, triangles):
    visible = ops.vertex_visibility(
        torch.rand(batch, vertices, 3), torch.zeros(triangles, 3).int(), torch.rand(batch, 4, 4)
    )
    assert visible.shape == (batch, vertices) and not visible.any()


@pytest.mark.cpu_kernels
def test_errors():
    vertices, depth = torch.rand(1, 4, 3), torch.rand(1, 4, 4)
    with pytest.raises(IndexError, match="vertex_visibility: triangles must hold"):
        ops.vertex_visibility(vertices, torch.tensor([[0, 1, 4]]), depth)
    with pytest.raises(ValueError, match="tolerance must be a number"):
        ops.vertex_visibility(vertices, torch.tensor([[0, 1, 3]]), depth, math.nan)
    with pytest.raises(TypeError, match="share one dtype"):
        ops.vertex_visibility(vertices, torch.tensor([[0, 1, 3]]), depth.double())


@given(
    vertices=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    depth=st.lists(st.integers(0, 3), min_size=2, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_any_shape_gives_a_result_or_a_clear_error(vertices, depth):
    arguments = torch.rand(vertices), torch.zeros(1, 3, dtype=torch.int32), torch.rand(depth)
    if len(vertices) == 3 and vertices[2] == 3 and len(depth) == 3 and depth[0] == vertices[0]:
        assert ops.vertex_visibility(*arguments).shape == tuple(vertices[:2])
    else:
        with pytest.raises(ValueError, match=r"vertex_visibility: (vertices|depth) must"):
            ops.vertex_visibility(*arguments)
