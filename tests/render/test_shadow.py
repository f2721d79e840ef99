import torch

from pgnface import ops
from pgnface.render import ambient_light, directional_light, self_shadow, shade, shadow_transfer


def sphere(rows=24, columns=48):
    """A unit sphere, counter-clockwise seen from outside."""
    v, u = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    polar, azimuth = (v + 0.5) / rows * torch.pi, u / columns * 2 * torch.pi
    points = torch.stack(
        (polar.sin() * azimuth.sin(), polar.cos(), polar.sin() * azimuth.cos()), dim=-1
    )
    ids = torch.arange(rows * columns).reshape(rows, columns)
    a, b = ids[:-1], ids[:-1].roll(-1, 1)
    c, d = ids[1:], ids[1:].roll(-1, 1)
    triangles = torch.cat((torch.stack((a, c, b), -1), torch.stack((b, c, d), -1)))
    return points.flatten(0, 1), triangles.flatten(0, -2)


def test_convex_surface_has_no_shadow():
    points, triangles = sphere()
    transfer = shadow_transfer(points, triangles, directions=200)
    generator = torch.Generator().manual_seed(1)
    light = ambient_light(torch.ones(1, 3)) + 0.1 * torch.randn(1, 9, 3, generator=generator)
    torch.testing.assert_close(transfer @ light, shade(points[None], light), atol=0.08, rtol=0.08)
    assert self_shadow(transfer, points, light).mean() > 0.95


def test_plate_shadows_what_lies_under_it():
    lower = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    upper = lower * 0.9 + torch.tensor([0.0, 0, 0.3])
    quad = torch.tensor([[0, 1, 2], [0, 2, 3]])
    # The middle of the lower plate, so that a vertex lies deep in the shadow.
    points = torch.cat((lower, upper, torch.zeros(1, 3)))
    fan = torch.tensor([[0, 1, 8], [1, 2, 8], [2, 3, 8], [3, 0, 8]])
    triangles = torch.cat((fan, quad + 4))
    normals = ops.vertex_normals(points[None], ops.build_adjacency(triangles, 9))[0]
    transfer = shadow_transfer(points, triangles)
    light = directional_light(torch.tensor([0.0, 0.0, 1.0]), torch.ones(1, 3))
    shadow = self_shadow(transfer, normals, light)[0, :, 0]
    assert shadow[8] < 0.7 and shadow[4:8].min() > 0.8
