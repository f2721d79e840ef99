"""Slow, readable torch twins of every op: what the tests compare the kernels with.

Each function has the name, the arguments and the meaning of its op in :mod:`pgnface.ops`; the
gradients are torch's own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .adjacency import Adjacency
from .closest_point import ClosestPoints
from .evaluate_morphable import QuantizedBasis
from .rasterize import Fragments
from .solve_pose import Similarity
from .triangle_tree import LARGEST, TriangleTree


def sample_colors(image: Tensor, points: Tensor) -> Tensor:
    """Twin of :func:`pgnface.ops.sample_colors`."""
    height, width = image.shape[2:]
    finite = torch.isfinite(points[..., :2]).all(-1)
    xy = torch.where(finite[..., None], points[..., :2], torch.zeros_like(points[..., :2])) - 0.5
    limit = torch.tensor([width - 1, height - 1], dtype=xy.dtype, device=xy.device)
    xy = torch.minimum(xy.clamp(min=0), limit)
    low = torch.minimum(xy.detach().floor(), (limit - 1).clamp(min=0))
    (fx, fy), (x0, y0) = (xy - low).unbind(-1), low.long().unbind(-1)
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)
    batch = torch.arange(image.shape[0], device=image.device)[:, None]

    def pixel(y: Tensor, x: Tensor) -> Tensor:
        return image[batch, :, y, x]

    fx, fy = fx[..., None], fy[..., None]
    top = pixel(y0, x0) * (1 - fx) + pixel(y0, x1) * fx
    bottom = pixel(y1, x0) * (1 - fx) + pixel(y1, x1) * fx
    return (top * (1 - fy) + bottom * fy) * finite[..., None]


def census_distance(
    image: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    *,
    radius: int = 2,
    contrast: float = 0.02,
) -> Tensor:
    """Twin of :func:`pgnface.ops.census_distance`."""
    side = 2 * radius + 1

    def signs(brightness: Tensor) -> Tensor:  # (N, side^2, h, w) of the pixels with a whole window
        windows = brightness.unfold(1, side, 1).unfold(2, side, 1).flatten(3).movedim(-1, 1)
        difference = windows - windows[:, side * side // 2 : side * side // 2 + 1]
        return difference / torch.sqrt(contrast**2 + difference.square())

    if min(image.shape[1:]) < side:
        return torch.zeros_like(image)
    squared = (signs(image) - signs(target)).square()
    # The centre is no neighbour of itself; its term is zero.
    distance = (squared / (0.1 + squared)).sum(1) / (side * side - 1)
    distance = torch.nn.functional.pad(distance, [radius] * 4)
    return distance if mask is None else torch.where(mask > 0, distance, 0)


def evaluate_morphable(
    mean: Tensor,
    basis: Tensor | QuantizedBasis,
    coefficients: Tensor,
    scale: Tensor | None = None,
    rotation: Tensor | None = None,
    translation: Tensor | None = None,
) -> Tensor:
    """Twin of :func:`pgnface.ops.evaluate_morphable`."""
    if isinstance(basis, QuantizedBasis):
        basis = basis.dequantize()
    shape = mean + torch.einsum("np,pvd->nvd", coefficients, basis)
    if scale is None:
        return shape
    return scale[:, None, None] * shape @ rotation.transpose(1, 2) + translation[:, None]


def solve_pose(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Similarity:
    """Twin of :func:`pgnface.ops.solve_pose` for points that determine the similarity."""
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    weights = weights.clamp(min=0)[..., None]
    weights = weights / weights.sum(1, keepdim=True)
    source_mean, target_mean = (weights * source).sum(1), (weights * target).sum(1)
    x, y = source - source_mean[:, None], target - target_mean[:, None]
    u, d, vh = torch.linalg.svd((weights * y).transpose(1, 2) @ x)
    sign = torch.ones_like(d)
    sign[:, 2] = torch.det(u.detach() @ vh.detach()).sign()
    rotation = u * sign[:, None] @ vh
    scale = (d * sign).sum(-1) / (weights * x**2).sum((1, 2))
    translation = target_mean - scale[:, None] * (rotation @ source_mean[..., None])[..., 0]
    posed = scale[:, None, None] * source @ rotation.transpose(1, 2) + translation[:, None]
    residual = (weights * (target - posed) ** 2).sum((1, 2)).sqrt()
    return Similarity(scale, rotation, translation, residual)


def vertex_normals(vertices: Tensor, adjacency: Adjacency) -> Tensor:
    """Twin of :func:`pgnface.ops.vertex_normals`."""
    corners = adjacency.triangles.long()
    a, b, c = (vertices[:, corners[:, i]] for i in range(3))
    faces = torch.linalg.cross(b - a, c - a)
    sums = torch.zeros_like(vertices)
    for i in range(3):
        sums = sums.index_add(1, corners[:, i], faces)
    length = sums.norm(dim=-1, keepdim=True)
    short = length < 1e-12
    return torch.where(short, 0, sums / torch.where(short, 1, length))


def rasterize(vertices: Tensor, triangles: Tensor, height: int, width: int) -> Fragments:
    """Twin of :func:`pgnface.ops.rasterize`; its memory grows with T H W."""
    triangles = triangles.long()
    usable = (vertices.abs() <= 2**20).all(-1, keepdim=True)  # false for NaN
    ids = torch.stack(
        [
            _visible_ids(image, mask, triangles, height, width)
            for image, mask in zip(vertices.detach(), usable, strict=True)
        ]
        or [torch.empty(0, height, width, dtype=torch.int32, device=vertices.device)]
    ).reshape(-1, height, width)
    corners = _at_pixels(torch.where(usable, vertices, torch.zeros_like(vertices)), triangles, ids)
    rows, columns = _pixel_centers(height, width, vertices)
    x, y, z = (
        corners[..., 0] - columns[:, None],
        corners[..., 1] - rows[:, None, None],
        corners[..., 2],
    )
    w = torch.stack(
        [x[..., k - 2] * y[..., k - 1] - x[..., k - 1] * y[..., k - 2] for k in range(3)], -1
    )
    w = w * torch.where(w.sum(-1, keepdim=True) < 0, -1.0, 1.0)
    clamped = torch.where(w >= 0, w, torch.zeros_like(w))
    total = clamped.sum(-1, keepdim=True)
    weights = torch.where(
        total > 1e-30, clamped / torch.where(total > 1e-30, total, 1.0), torch.full_like(w, 1 / 3)
    )
    weights = torch.where(total < 2.0**-16, weights.detach(), weights)
    empty = ids < 0
    return Fragments(
        ids,
        torch.where(empty[..., None], torch.zeros_like(weights[..., :2]), weights[..., :2]),
        torch.where(empty, torch.full_like(z[..., 0], torch.inf), (weights * z).sum(-1)),
    )


def interpolate(attributes: Tensor, triangles: Tensor, fragments: Fragments) -> Tensor:
    """Twin of :func:`pgnface.ops.interpolate`."""
    ids, barycentrics, _ = fragments
    if attributes.dim() == 2:
        attributes = attributes.expand(ids.shape[0], -1, -1)
    corners = _at_pixels(attributes, triangles.long(), ids)
    values = (_all_weights(barycentrics)[..., None] * corners).sum(-2)
    return torch.where((ids < 0)[..., None], torch.zeros_like(values), values)


def edge_gradient(
    image: Tensor, vertices: Tensor, triangles: Tensor, fragments: Fragments
) -> Tensor:
    """Twin of :func:`pgnface.ops.edge_gradient`.

    Adds terms that are zero and have the wanted derivative: 1/2 (I_a - I_b) (x - x.detach()) to
    both pixels of a boundary, x being the nearer surface's point.
    """
    ids, barycentrics, depth = (tensor.detach() for tensor in fragments)
    corners = _at_pixels(vertices, triangles.long(), ids)
    point = (_all_weights(barycentrics)[..., None] * corners).sum(-2)
    p, q = (corners[..., k, :] - corners[..., 0, :] for k in (1, 2))
    normal = torch.linalg.cross(p, q).detach()
    slopes = -normal[..., :2] / normal[..., 2:]
    slopes = torch.where(normal[..., 2:].abs() > 2.0**-16, slopes, torch.zeros_like(slopes))
    result = image
    for axis, dim in ((0, 2), (1, 1)):
        size = ids.shape[dim] - 1

        def pair(tensor: Tensor, dim: int = dim, size: int = size) -> tuple[Tensor, Tensor]:
            return tensor.narrow(dim, 0, size), tensor.narrow(dim, 1, size)

        (id_a, id_b), (z_a, z_b) = pair(ids), pair(depth)
        (slope_a, slope_b), (x_a, x_b) = pair(slopes[..., axis]), pair(point[..., axis])
        tolerance = 0.2 * (slope_a.abs() + slope_b.abs()) + 1e-5 * (z_a.abs() + z_b.abs())
        at_a, at_b = z_b - slope_b - z_a, z_b - z_a - slope_a
        both = (id_a >= 0) & (id_b >= 0) & (id_a != id_b)
        first = both & (at_a > tolerance) & (at_b > tolerance) | (id_a >= 0) & (id_b < 0)
        second = both & (at_a < -tolerance) & (at_b < -tolerance) | (id_b >= 0) & (id_a < 0)
        nearer = torch.where(first, x_a, x_b)
        moved = torch.where(first | second, nearer - nearer.detach(), 0.0)
        image_a, image_b = pair(image.detach())
        term = 0.5 * (image_a - image_b) * moved[..., None]
        nothing = torch.zeros_like(image.narrow(dim, 0, 1))
        result = result + torch.cat([term, nothing], dim) + torch.cat([nothing, term], dim)
    return result


def vertex_visibility(
    vertices: Tensor, triangles: Tensor, depth: Tensor, tolerance: float = 1.0
) -> Tensor:
    """Twin of :func:`pgnface.ops.vertex_visibility`."""
    height, width = depth.shape[1:]
    x, y = vertices[:, triangles.long(), :2].unbind(-1)
    signed = (x[..., 1] - x[..., 0]) * (y[..., 2] - y[..., 0])
    signed = signed - (x[..., 2] - x[..., 0]) * (y[..., 1] - y[..., 0])
    image, triangle = torch.nonzero(signed < 0, as_tuple=True)
    facing = torch.zeros(vertices.shape[:2], dtype=torch.bool, device=vertices.device)
    facing[image[:, None], triangles.long()[triangle]] = True
    x, y, z = vertices.unbind(-1)
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height) & torch.isfinite(z)
    left, top = ((torch.where(inside, c, 0.0) - 0.5).floor().long() for c in (x, y))
    batch = torch.arange(len(depth), device=depth.device)[:, None]
    near = torch.stack(
        [
            depth[batch, (top + i).clamp(0, height - 1), (left + j).clamp(0, width - 1)]
            for i in (0, 1)
            for j in (0, 1)
        ]
    )
    return facing & inside & (z <= near.amax(0) + tolerance)


def closest_point(
    points: Tensor, vertices: Tensor, triangles: Tensor, tree: TriangleTree | None = None
) -> ClosestPoints:
    """Twin of :func:`pgnface.ops.closest_point`; its memory grows with N P T."""
    limit = LARGEST[points.dtype]
    usable = (points.abs() <= limit).all(-1)  # false for NaN
    point = torch.where(usable[..., None], points, 0)
    corners = vertices[:, triangles.long()]
    whole = (corners.abs() <= limit).all(-1).all(-1)
    if len(triangles) == 0:
        corners = corners.new_zeros(len(vertices), 1, 3, 3)
        whole = whole.new_zeros(len(vertices), 1)
    corners = torch.where(whole[..., None, None], corners, 0)
    with torch.no_grad():
        weights = _nearest_weights(point[:, :, None], corners[:, None])
        gap = point[:, :, None] - (weights[..., None] * corners[:, None]).sum(-2)
        distance = torch.where(whole[:, None], gap.norm(dim=-1), torch.inf)
        # Triangles around an edge or a vertex are equally near but for rounding.
        nearest = distance <= distance.amin(-1, keepdim=True) * (1 + 1e-9) + 1e-12
        chosen = nearest.int().argmax(-1)
        found = usable & whole.any(-1)[:, None]
    batch = torch.arange(len(points), device=points.device)[:, None]
    corners = torch.where(found[..., None, None], corners[batch, chosen], 0)
    weights = torch.where(found[..., None], _nearest_weights(point, corners), 0)
    closest = (weights[..., None] * corners).sum(-2)
    gap = point - closest
    apart = found & (gap != 0).any(-1)
    # A distance of zero has no direction.
    distance = torch.where(apart, torch.where(apart[..., None], gap, 1).norm(dim=-1), 0)
    return ClosestPoints(
        torch.where(found, distance, torch.inf),
        closest,
        torch.where(found, chosen, -1).int(),
        weights,
    )


def _nearest_weights(point: Tensor, corners: Tensor) -> Tensor:
    """Weights ``(..., 3)`` of corners ``(..., 3, 3)``: inside, or else on the nearest edge."""
    nothing = torch.zeros(torch.broadcast_shapes(point.shape, corners.shape[:-1])[:-1]).to(point)
    candidates = []
    for i in range(3):
        j = (i + 1) % 3
        edge, arm = corners[..., j, :] - corners[..., i, :], point - corners[..., i, :]
        length = edge.square().sum(-1)
        along = (arm * edge).sum(-1) / torch.where(length > 0, length, 1)
        weights = [nothing] * 3
        weights[i], weights[j] = 1 - along.clamp(0, 1), along.clamp(0, 1)
        candidates.append(torch.stack(weights, -1))
    a, b = (corners[..., k, :] - corners[..., 0, :] for k in (1, 2))
    arm = point - corners[..., 0, :]
    aa, ab, bb, pa, pb = ((x * y).sum(-1) for x, y in ((a, a), (a, b), (b, b), (arm, a), (arm, b)))
    area = torch.linalg.cross(a, b).square().sum(-1)
    area = torch.where(area > 0, area, torch.inf)
    inner = torch.stack(((bb * pa - ab * pb) / area, (aa * pb - ab * pa) / area), -1)
    inner = torch.cat((1 - inner.sum(-1, keepdim=True), inner), -1)
    inside = (inner > 0).all(-1) & (area < torch.inf)
    candidates.append(torch.where(inside[..., None], inner, candidates[0]))
    weights = torch.stack(candidates)
    gaps = point - (weights[..., None] * corners).sum(-2)
    best = gaps.detach().norm(dim=-1).argmin(0)
    return weights.gather(0, best[None, ..., None].expand(1, *weights.shape[1:]))[0]


def _visible_ids(
    vertices: Tensor, usable: Tensor, triangles: Tensor, height: int, width: int
) -> Tensor:
    """Ids of one image, in integers: every triangle at every pixel."""
    if len(triangles) == 0:
        return torch.full((height, width), -1, dtype=torch.int32, device=vertices.device)
    corners = torch.where(usable, vertices, torch.zeros_like(vertices))[triangles]
    fixed = (corners[..., :2] * 256).round().long()
    x, y = fixed.unbind(-1)
    z = corners[..., 2].float() + 0.0  # turns -0 into +0
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0])
    sign = area.sign()
    covered = ((area != 0) & usable[triangles, 0].all(1))[:, None, None]
    row = (torch.arange(height, device=x.device) * 256 + 128)[:, None]
    column = torch.arange(width, device=x.device) * 256 + 128
    edges = []
    for k in range(3):
        p, q = (k + 1) % 3, (k + 2) % 3
        dx, dy = ((c[:, q] - c[:, p]) * sign for c in (x, y))
        edge = (
            dx[:, None, None] * (row - y[:, p, None, None])
            - dy[:, None, None] * (column - x[:, p, None, None])
        )  # fmt: skip
        top_left = ((dy < 0) | (dy == 0) & (dx > 0))[:, None, None]
        covered = covered & ((edge > 0) | (edge == 0) & top_left)
        edges.append(edge)
    scale = 1 / (area * sign).float()
    slopes = ((z[:, 1:] - z[:, :1]) * scale[:, None])[..., None, None]
    depth = z[:, 0, None, None] + edges[1].float() * slopes[:, 0]
    depth = torch.where(covered, depth + edges[2].float() * slopes[:, 1], torch.inf)
    nearest = covered & (depth == depth.amin(0))
    index = torch.arange(len(triangles), dtype=torch.int32, device=x.device)[:, None, None]
    ids = torch.where(nearest, index, len(triangles)).amin(0)
    return torch.where(nearest.any(0), ids, -1).int()


def _pixel_centers(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    return tuple(
        torch.arange(size, dtype=like.dtype, device=like.device) + 0.5 for size in (height, width)
    )


def _at_pixels(values: Tensor, triangles: Tensor, ids: Tensor) -> Tensor:
    """Vertex values (N, V, C) of the triangle seen at each pixel: (N, H, W, 3, C); any if empty."""
    if len(triangles) == 0:
        return values.new_zeros(*ids.shape, 3, values.shape[-1])
    batch = torch.arange(len(ids), device=ids.device)[:, None, None, None]
    return values[batch, triangles[ids.long().clamp(min=0)]]


def _all_weights(barycentrics: Tensor) -> Tensor:
    return torch.cat([barycentrics, 1 - barycentrics.sum(-1, keepdim=True)], -1)
