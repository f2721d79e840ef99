"""A case for every op: inputs of a given size, the floor, and the fastest torch formulation.

Floors count each input as read once and each output as written once, 4 bytes a number unless said
otherwise, and the operations of the plain formula. ``N`` batch, ``V`` vertices, ``T`` triangles,
``K`` points, ``P`` coefficients, ``C`` channels, ``S`` the side of the image in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pgnface import ops

from . import torch_peers
from .case import Case, Floor
from .inputs import Scene, face_model, poses, random
from .meshes import face_mesh

_POSE = 13  # numbers of a scale, a rotation and a translation


def evaluate_morphable(
    batch: int = 16,
    vertices: int = 35_709,
    coefficients: int = 144,
    *,
    posed: bool = True,
    quantized: bool = False,
    device: str = "cpu",
) -> Case:
    """Vertices of a face model, with the pose in the same pass.

    Forward: the basis ``3 V P`` (4 bytes each; ``3 V Q`` of 2 bytes when quantized, where Q - P
    fields have a second part), the mean and ``3 N V`` vertices; ``6 N V P`` operations, and 18 a
    vertex for a pose. Backward, to coefficients and pose: basis, mean, the incoming gradient and
    the posed vertices; the same product once more, transposed, and 36 a vertex for the pose.

    The peers of a quantized basis take the one that it was made of.
    """
    mean, basis, reach = face_model(vertices, coefficients)
    values = random(batch, coefficients, device="cpu").clamp(-1, 1) * reach
    rest = [values.to(device).requires_grad_()]
    if posed:
        rest += [t.requires_grad_() for t in poses(batch, device)]
    mean, exact = mean.to(device), basis.to(device)
    inputs, run = (mean, exact, *rest), ops.evaluate_morphable
    stored = exact.nbytes
    if quantized:
        parts = ops.quantize_basis(exact, reach.to(device))
        stored = sum(part.nbytes for part in parts)
        inputs = (mean, *parts, *rest)

        def run(mean, values, steps, repeated, *rest):
            basis = ops.QuantizedBasis(values, steps, repeated)
            return ops.evaluate_morphable(mean, basis, *rest)

    product = 6 * batch * vertices * coefficients
    constants = mean.nbytes + stored + 4 * batch * coefficients
    per_item = 4 * _POSE * batch if posed else 0
    result = 12 * batch * vertices
    return Case(
        "evaluate_morphable, 16-bit" if quantized else "evaluate_morphable",
        run,
        inputs,
        Floor(constants + result + per_item, product + posed * 18 * batch * vertices),
        Floor(
            constants + (2 if posed else 1) * result + 2 * per_item + 4 * batch * coefficients,
            product + posed * 36 * batch * vertices,
        ),
        {"torch": torch_peers.evaluate_morphable},
        peer_inputs=(mean, exact, *rest) if quantized else None,
    )


def solve_pose(
    count: int = 4096, points: int = 68, *, weighted: bool = False, device: str = "cpu"
) -> Case:
    """Similarity fits of ``N`` sets of points.

    Forward: both sets (and weights) are read, 14 numbers a set written; 42 operations a point for
    means, variances and the covariance, about 400 for the rotation. Backward: the same sets and
    as many gradients; 36 operations a point beside what is formed again.
    """
    source = 60 * random(count, points, 3, device=device)
    scale, rotation, translation = poses(count, device)
    target = scale[:, None, None] * source @ rotation.transpose(1, 2) + translation[:, None]
    target = target + 0.02 * random(count, points, 3, device=device, seed=1)
    inputs = [source.requires_grad_(), target.requires_grad_()]
    if weighted:
        inputs.append((0.5 + torch.rand(count, points, device=device)).requires_grad_())
    read = sum(t.nbytes for t in inputs)
    results, operations = 4 * 14 * count, count * (42 * points + 400)
    return Case(
        "solve_pose",
        lambda *points: ops.solve_pose(*points)[:3],
        tuple(inputs),
        Floor(read + results, operations),
        Floor(2 * read + results, operations + 36 * count * points),
        {"torch": torch_peers.solve_pose},
    )


def rasterize(scene: Scene) -> Case:
    """Ids, barycentrics and depth of a face.

    Forward: vertices and triangles are read, 16 bytes a pixel written; about 28 operations a
    triangle (snapping, area, bounds) and 20 a covered pixel (edges, depth, weights). Backward:
    vertices, triangles, ids and 12 bytes of gradient a pixel are read, 3 numbers a vertex written;
    about 60 operations a covered pixel.
    """

    def run(vertices: Tensor) -> tuple[Tensor, Tensor]:
        fragments = scene.draw(vertices)
        # Depth is infinite where nothing is drawn, but its gradient is of no concern there.
        return fragments.barycentrics, fragments.depth

    mesh_bytes = scene.vertices.nbytes + scene.triangles.nbytes
    return Case(
        "rasterize",
        run,
        (scene.leaf(),),
        Floor(
            mesh_bytes + 16 * scene.pixels,
            28 * scene.batch * len(scene.triangles) + 20 * scene.covered,
        ),
        Floor(
            mesh_bytes + 16 * scene.pixels + scene.vertices.nbytes,
            60 * scene.covered,
        ),
        scene=scene,
    )


def interpolate(scene: Scene, channels: int = 3) -> Case:
    """Attributes of vertices at the pixels.

    Forward: 12 bytes a pixel of fragments, attributes and triangles are read, ``C`` numbers a pixel
    written; ``5 C`` operations a covered pixel. Backward: the same and the incoming gradient are
    read, gradients of attributes and barycentrics written; ``10 C`` operations.
    """
    attributes = scene.random(scene.count, channels)
    ids, barycentrics, depth = scene.draw()

    def run_with(function):
        return lambda attributes, barycentrics, ids: function(
            attributes, scene.triangles, ops.Fragments(ids, barycentrics, depth)
        )

    read = 12 * scene.pixels + attributes.nbytes + scene.triangles.nbytes
    values = 4 * channels * scene.pixels
    return Case(
        "interpolate",
        run_with(ops.interpolate),
        (attributes.requires_grad_(), barycentrics.requires_grad_(), ids),
        Floor(read + values, 5 * channels * scene.covered),
        Floor(
            read + values + attributes.nbytes + barycentrics.nbytes,
            10 * channels * scene.covered,
        ),
        {"torch": run_with(torch_peers.interpolate)},
    )


def edge_gradient(scene: Scene, channels: int = 3) -> Case:
    """Gradients of silhouettes.

    Forward: the picture is copied. Backward: picture, its gradient and 16 bytes a pixel of
    fragments are read, beside vertices and triangles, and 3 numbers a vertex written; about
    ``20 + 4 C`` operations a covered pixel.
    """
    image = scene.random(scene.size, scene.size, channels)
    fragments = scene.draw()

    def run_with(function):
        return lambda image, vertices, *fragments: function(
            image, vertices, scene.triangles, ops.Fragments(*fragments)
        )

    return Case(
        "edge_gradient",
        run_with(ops.edge_gradient),
        (image.requires_grad_(), scene.leaf(), *fragments),
        Floor(2 * image.nbytes),
        Floor(
            2 * image.nbytes
            + 16 * scene.pixels
            + 2 * scene.vertices.nbytes
            + scene.triangles.nbytes,
            (20 + 4 * channels) * scene.covered,
        ),
        {"torch": run_with(torch_peers.edge_gradient)},
    )


def vertex_normals(scene: Scene) -> Case:
    """Normals of vertices.

    Forward: vertices and the triangles around each are read, as many normals written; 24 operations
    a triangle and 9 a vertex. Backward: the same and the incoming gradient; twice the operations.
    """
    adjacency = ops.build_adjacency(scene.triangles, scene.count)
    topology = sum(t.nbytes for t in adjacency)
    operations = scene.batch * (24 * len(scene.triangles) + 9 * scene.count)
    return Case(
        "vertex_normals",
        lambda vertices: ops.vertex_normals(vertices, adjacency),
        (scene.leaf(),),
        Floor(2 * scene.vertices.nbytes + topology, operations),
        Floor(3 * scene.vertices.nbytes + topology, 2 * operations),
        {"torch": torch_peers.vertex_normals_on(adjacency)},
    )


def vertex_visibility(scene: Scene) -> Case:
    """Which vertices are seen.

    Vertices, triangles and depth are read, one byte a vertex written; 7 operations a triangle and
    8 a vertex.
    """
    adjacency = ops.build_adjacency(scene.triangles, scene.count)
    depth = scene.draw().depth
    return Case(
        "vertex_visibility",
        lambda vertices, depth: ops.vertex_visibility(vertices, scene.triangles, depth),
        (scene.vertices, depth),
        Floor(
            scene.vertices.nbytes
            + scene.triangles.nbytes
            + depth.nbytes
            + scene.batch * scene.count,
            scene.batch * (7 * len(scene.triangles) + 8 * scene.count),
        ),
        None,
        {"torch": torch_peers.vertex_visibility_on(adjacency)},
    )


def sample_colors(scene: Scene, channels: int = 3, *, to_image: bool = True) -> Case:
    """Colours of a picture at the vertices.

    Forward: picture and points are read, ``C`` numbers a vertex written; ``8 + 7 C`` operations a
    vertex. Backward, to the points and ``to_image``: the same and the incoming gradient are read,
    as much written as what takes gradients; twice the operations.
    """
    image = scene.random(channels, scene.size, scene.size).requires_grad_(to_image)
    points = scene.leaf()
    read, colors = image.nbytes + points.nbytes, 4 * channels * scene.batch * scene.count
    gradients = points.nbytes + to_image * image.nbytes
    operations = (8 + 7 * channels) * scene.batch * scene.count
    return Case(
        "sample_colors",
        ops.sample_colors,
        (image, points),
        Floor(read + colors, operations),
        Floor(read + colors + gradients, 2 * operations),
        {"torch": torch_peers.sample_colors},
    )


def closest_point(
    count: int = 120_000, mesh: str = "bfm", *, apart: float = 0.002, device: str = "cpu"
) -> Case:
    """The points of a face that are nearest to those of a scan, and the tree of the face.

    Points, vertices and triangles are read, distance, place, triangle and weights written;
    a point is measured to one triangle at least (150 operations). Backward: points, triangles,
    weights and the gradients of the outputs are read, those of points and vertices written; about
    200 operations a point. float64 on the CPU, as protocols have it; float32 on CUDA.

    Args:
        count: of points, evenly spread over the vertices.
        mesh: see :data:`pgnface.bench.meshes.SIZES`.
        apart: standard deviation of their distance from the face, in heights of the face.
        device: of the tensors.
    """
    dtype = torch.float32 if device == "cuda" else torch.float64
    vertices, triangles = face_mesh(mesh)
    vertices, triangles = vertices.to(device, dtype), triangles.to(device)
    rows = torch.arange(count, device=device) * len(vertices) // count
    points = vertices[rows] + apart * random(count, 3, device=device).to(vertices)

    def run(points: Tensor, vertices: Tensor) -> tuple[Tensor, Tensor]:
        found = ops.closest_point(points, vertices, triangles)
        return found.distances, found.points

    results = count * (7 * points.element_size() + 4)
    return Case(
        "closest_point",
        run,
        (points.requires_grad_(), vertices.requires_grad_()),
        Floor(points.nbytes + vertices.nbytes + triangles.nbytes + results, 150 * count),
        Floor(2 * (points.nbytes + vertices.nbytes) + triangles.nbytes + results, 200 * count),
        triangles=triangles,
    )


def census_distance(scene: Scene) -> Case:
    """Census distance of grey pictures, as far as the faces in them reach.

    Forward: two pictures and the mask are read, one written; 13 operations for each of 24
    neighbours of a covered pixel. Backward, to one picture: the incoming gradient, too, is read,
    one picture written; about twice the operations.
    """
    mask = scene.draw().mask.float()
    image, target = (scene.random(scene.size, scene.size) for _ in range(2))
    return Case(
        "census_distance",
        ops.census_distance,
        (image.requires_grad_(), target, mask),
        Floor(16 * scene.pixels, 13 * 24 * scene.covered),
        Floor(20 * scene.pixels, 26 * 24 * scene.covered),
        {"torch": torch_peers.census_distance},
    )
