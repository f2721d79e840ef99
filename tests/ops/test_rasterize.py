import torch

from pgnface import ops


def test_quad_of_two_triangles_covers_each_pixel_once():
    vertices = torch.tensor([[[0, 0, 1.0], [8, 0, 1], [8, 6, 1], [0, 6, 1]]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])
    counts = [ops.rasterize(vertices, t[None], 6, 8).mask.sum() for t in triangles]
    both = ops.rasterize(vertices, triangles, 6, 8)
    assert both.mask.all() and sum(counts) == 48
    position = ops.interpolate(vertices[0, :, :2], triangles, both)
    rows, columns = torch.meshgrid(torch.arange(6) + 0.5, torch.arange(8) + 0.5, indexing="ij")
    torch.testing.assert_close(position[0], torch.stack([columns, rows], -1))
