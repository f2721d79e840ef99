import pytest
import torch
import trimesh

from pgnface.bench.meshes import SIZES, face_mesh, split_edges
from tests.models import tiny_model
from tests.ops import meshes


def border_length(triangles) -> int:
    edges = torch.as_tensor(triangles).long()[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).sort(1).values
    counts = edges.unique(dim=0, return_counts=True)[1]
    assert counts.max() <= 2
    return int((counts == 1).sum())


def test_splitting_edges_keeps_a_closed_surface():
    model = tiny_model()
    before = trimesh.Trimesh(model.mean.numpy(), model.triangles.numpy(), process=False)
    vertices, triangles = split_edges(before.vertices, before.faces, 700, 1300)
    after = trimesh.Trimesh(vertices, triangles, process=False)
    assert (len(vertices), len(triangles)) == (700, 1300)
    assert after.is_winding_consistent and after.euler_number == before.euler_number
    assert after.area == pytest.approx(before.area)
    # Every vertex that is no corner of the border adds two triangles to one of them.
    assert border_length(triangles) == border_length(model.triangles) + 2 * 479 - 916


def test_the_longest_edges_go_first():
    vertices, triangles = meshes.grid(2, 4, width=4.0, height=1.0)
    points, faces = split_edges(vertices.numpy(), triangles.numpy(), 60, 90)
    mesh = trimesh.Trimesh(points, faces, process=False)
    assert mesh.edges_unique_length.max() < 0.6


def test_impossible_sizes():
    vertices, triangles = meshes.grid(1, 1)
    for sizes in ((4, 3), (3, 2), (5, 6)):
        with pytest.raises(ValueError, match="cannot be made of 4 and 2"):
            split_edges(vertices.numpy(), triangles.numpy(), *sizes)


def test_the_face_of_bfm_size():
    vertices, triangles = face_mesh("bfm")
    assert (len(vertices), len(triangles)) == SIZES["bfm"] == (35_709, 70_789)
    assert vertices.dtype == torch.float32 and triangles.dtype == torch.int32
    assert triangles.unique().numel() == len(vertices)
