import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgnface import ops
from pgnface.ops import reference

from . import contract, meshes


def make_inputs(batch=2, vertices=30, triangles=60):
    """Random vertices in random triangles, some of them degenerate, some vertices in none."""
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(batch, vertices, 3, generator=generator, dtype=torch.float64)
    corners = torch.randint(max(1, vertices - 2), (triangles, 3), generator=generator)
    return [points.requires_grad_(), *ops.build_adjacency(corners, vertices)]


def op(vertices, *adjacency):
    return ops.vertex_normals(vertices, ops.Adjacency(*adjacency))


def twin(vertices, *adjacency):
    return reference.vertex_normals(vertices, ops.Adjacency(*adjacency))


@pytest.mark.parametrize("batch, vertices, triangles", [(1, 3, 1), (2, 30, 60), (3, 500, 900)])
def test_matches_twin(batch, vertices, triangles):
    contract.assert_matches_twin(op, twin, make_inputs(batch, vertices, triangles), atol=1e-3)


def test_gradcheck():
    contract.assert_gradients(op, make_inputs(batch=2, vertices=12, triangles=20))


def test_threads():
    contract.assert_thread_counts_agree(op, make_inputs(batch=3, vertices=2000, triangles=4000))


def test_strides():
    points, *adjacency = make_inputs()
    contract.assert_accepts_strides(lambda vertices: op(vertices, *adjacency), [points])


def test_opcheck():
    contract.assert_opcheck(torch.ops.pgnface.vertex_normals.default, make_inputs())


def test_compile():
    contract.assert_compiles(op, make_inputs())


@contract.needs_cuda
@pytest.mark.cuda
def test_cuda():
    inputs = make_inputs(batch=3, vertices=2000, triangles=4000)
    contract.assert_cuda_matches_cpu(op, inputs, atol=1e-3)


@contract.needs_cuda
@pytest.mark.cuda
def test_cuda_gives_no_normal_to_triangles_without_area():
    """A fused multiply-add would leave a rounding error for an area, and normalise that."""
    points = torch.randn(4, 300, 3, device="cuda") * 100
    corners = torch.arange(300, device="cuda").reshape(-1, 2)
    adjacency = ops.build_adjacency(torch.cat([corners, corners[:, 1:]], 1), 300)
    assert (ops.vertex_normals(points, adjacency) == 0).all()


def test_of_a_sphere_point_outwards():
    vertices, triangles = meshes.sphere()
    normals = ops.vertex_normals(vertices[None], ops.build_adjacency(triangles, len(vertices)))[0]
    inside = normals.norm(dim=-1) > 0
    cosine = (normals * vertices).sum(-1)[inside]
    assert inside.float().mean() > 0.9 and cosine.min() > 0.98


def test_larger_triangles_count_more():
    vertices = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 3]]])
    # One triangle of area 1/2 faces z, one of area 3/2 faces x.
    adjacency = ops.build_adjacency(torch.tensor([[0, 1, 2], [0, 2, 3]]), 4)
    normal = ops.vertex_normals(vertices, adjacency)[0, 0]
    torch.testing.assert_close(normal, torch.tensor([3.0, 0, 1]) / 10**0.5)


def test_without_area_there_is_no_normal_and_no_gradient():
    vertices = torch.tensor([[[0.0, 0, 0], [1, 1, 1], [2, 2, 2], [5, 5, 5]]], requires_grad=True)
    adjacency = ops.build_adjacency(torch.tensor([[0, 1, 2], [1, 1, 0]]), 4)
    normals = ops.vertex_normals(vertices, adjacency)
    normals.sum().backward()
    assert (normals == 0).all() and (vertices.grad == 0).all()


def test_nan_stays_with_its_neighbours():
    vertices, triangles = meshes.grid(8, 8)
    vertices[0] = float("nan")
    normals = ops.vertex_normals(vertices[None], ops.build_adjacency(triangles, len(vertices)))[0]
    touched = torch.isnan(normals).any(-1)
    neighbours = triangles[(triangles == 0).any(-1)].unique()
    assert torch.equal(touched.nonzero()[:, 0], neighbours)


@pytest.mark.parametrize("batch, vertices, triangles", [(0, 4, 2), (2, 4, 0), (2, 0, 0)])
def test_empty(batch, vertices, triangles):
    contract.assert_matches_twin(op, twin, make_inputs(batch, vertices, triangles))


def test_adjacency_lists_the_corners_of_each_vertex():
    triangles = torch.tensor([[0, 1, 2], [2, 1, 4], [4, 4, 0]], dtype=torch.int64)
    adjacency = ops.build_adjacency(triangles, 6)
    assert adjacency.vertex_count == 6
    assert all(part.dtype == torch.int32 for part in adjacency)
    corners = [
        adjacency.incident[a:b].tolist()
        for a, b in zip(adjacency.offsets[:-1], adjacency.offsets[1:], strict=True)
    ]
    assert corners == [[0, 8], [1, 4], [2, 3], [], [5, 6, 7], []]


@given(
    triangles=st.lists(st.tuples(*[st.integers(-1, 6)] * 3), max_size=5),
    vertex_count=st.integers(-1, 6),
)
@settings(max_examples=100, deadline=None)
def test_adjacency_checks_the_indices(triangles, vertex_count):
    corners = torch.tensor(triangles, dtype=torch.int64).reshape(-1, 3)
    outside = [i for triangle in triangles for i in triangle if not 0 <= i < vertex_count]
    if vertex_count < 0:
        with pytest.raises(ValueError, match="vertex_count must be at least 0, got -1"):
            ops.build_adjacency(corners, vertex_count)
    elif outside:
        message = f"triangles must index {vertex_count} vertices, got the index {outside[0]}$"
        with pytest.raises(ValueError, match=message):
            ops.build_adjacency(corners, vertex_count)
    else:
        adjacency = ops.build_adjacency(corners, vertex_count)
        assert adjacency.incident.sort().values.tolist() == list(range(3 * len(triangles)))
        normals = ops.vertex_normals(torch.rand(1, vertex_count, 3), adjacency)
        assert torch.isfinite(normals).all()


def test_adjacency_refuses_what_int32_would_wrap_into_range():
    with pytest.raises(ValueError, match="got the index 4294967296"):
        ops.build_adjacency(torch.tensor([[0, 1, 2**32]]), 3)


def test_wrong_arguments():
    _, *parts = make_inputs()
    adjacency = ops.Adjacency(*parts)
    with pytest.raises(ValueError, match=r"vertices must have shape \(N, V, 3\)"):
        ops.vertex_normals(torch.rand(30, 3), adjacency)
    with pytest.raises(ValueError, match="adjacency is of 30 vertices, got 31"):
        ops.vertex_normals(torch.rand(1, 31, 3), adjacency)
    with pytest.raises(ValueError, match="adjacency is on cpu, expected meta"):
        ops.vertex_normals(torch.rand(1, 30, 3, device="meta"), adjacency)
    with pytest.raises(TypeError, match="triangles must be integers"):
        ops.build_adjacency(torch.rand(2, 3), 4)
    with pytest.raises(ValueError, match=r"triangles must have shape \(T, 3\)"):
        ops.build_adjacency(torch.zeros(4, 2, dtype=torch.int32), 4)
