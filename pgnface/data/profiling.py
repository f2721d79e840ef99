"""Face profiling: photos of faces turned to larger yaws, with labels that stay exact.

After Zhu, Lei, Liu, Shi and Li, *Face Alignment Across Large Poses: A 3D Solution* (CVPR 2016,
section 4), who made 300W-LP so: the fitted face and its surroundings become a mesh with depth, the
face is turned, and the mesh is drawn again with the photo's own pixels. Here the surroundings are a
triangulation of points around the face's outline; its outline follows the face, the frame of the
picture stays, and what lies between moves harmonically.

A face is best turned away from the viewer: what the photo does not show is not drawn well.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface import ops
from pgnface.geometry import Pose, angles_from_rotation, rotation_from_angles
from pgnface.geometry.pose import flip_axes
from pgnface.render import render

_MARGIN = 0.25
"""How far the surroundings reach beyond face and picture, in sides of the picture."""

_ANCHORS = 32
"""Points of the surroundings along the longer side."""


class Turn(NamedTuple):
    """A rotation of image space about a point: ``p -> rotation @ (p - centre) + centre``.

    Attributes:
        rotation: ``(N, 3, 3)``.
        centre: ``(N, 3)`` pixels.
    """

    rotation: Tensor
    centre: Tensor

    def at(self, index: int) -> Turn:
        """The turn of one face, as one of a batch of one."""
        return Turn(self.rotation[index : index + 1], self.centre[index : index + 1])

    def apply(self, points: Tensor) -> Tensor:
        """Points ``(N, K, 3)`` of the head, such as landmarks, in their new places."""
        centre = self.centre[:, None]
        return (points - centre) @ self.rotation.transpose(-1, -2) + centre


class ProfiledFaces(NamedTuple):
    """What :func:`profile_face` returns.

    Attributes:
        image: ``(N, 3, H, W)``.
        vertices: ``(N, V, 3)`` of the turned faces in image space.
        pose: of the turned faces.
        turn: what took points of the head to their new places.
    """

    image: Tensor
    vertices: Tensor
    pose: Pose
    turn: Turn


def turn_pose(pose: Pose, yaw: Tensor, centre: Tensor) -> tuple[Pose, Turn]:
    """Poses with another yaw, the heads turned about a point.

    Args:
        pose: of ``N`` faces.
        yaw: ``(N,)`` degrees to be added to the yaw; pitch and roll, as angles, stay.
        centre: ``(N, 3)`` pixels, which stay in place.

    Raises:
        ValueError: when a yaw would leave [-90, 90].
    """
    angles = angles_from_rotation(pose.rotation)
    angles = torch.stack((angles[..., 0], angles[..., 1] + yaw, angles[..., 2]), -1)
    if bool((angles[..., 1].abs() > 90).any()):
        raise ValueError(
            f"turn_pose: a yaw of {angles[..., 1].abs().max():.1f} degrees is beyond 90"
        )
    rotation = rotation_from_angles(angles)
    change = flip_axes(flip_axes(rotation @ pose.rotation.transpose(-1, -2), -1), -2)
    turn = Turn(change, centre)
    translation = turn.apply(pose.translation[:, None])[:, 0]
    return Pose(pose.scale, rotation, translation), turn


@torch.no_grad()
def profile_face(
    image: Tensor,
    vertices: Tensor,
    triangles: Tensor,
    pose: Pose,
    yaw: Tensor | float,
    *,
    supersample: int = 2,
) -> ProfiledFaces:
    """Photos of the same faces at another yaw.

    Args:
        image: ``(N, 3, H, W)`` in [0, 1].
        vertices: ``(N, V, 3)`` of the fitted face models in image space.
        triangles: ``(T, 3)`` of the model.
        pose: of the faces; its rotation says what yaw means.
        yaw: ``(N,)`` degrees, or one for all, to be added to the faces' yaws.
        supersample: pictures are drawn this many times larger and averaged down.

    Returns:
        Pictures, vertices and poses; coefficients stay. ``result.turn.apply`` takes any points of
        the head along, so that landmarks are as exact as they were.

    Raises:
        ValueError: for shapes that do not fit together, a yaw beyond 90 degrees, or a face outside
            of the picture.
    """
    count = _checked_count(image, vertices, pose)
    yaw = torch.as_tensor(yaw, dtype=vertices.dtype, device=vertices.device).expand(count)
    centre = (vertices.amin(1) + vertices.amax(1)) / 2
    new_pose, turn = turn_pose(pose, yaw, centre)
    turned = turn.apply(vertices)
    pictures = [
        _redraw(image[i : i + 1], vertices[i], turned[i], triangles, turn.at(i), supersample)
        for i in range(count)
    ]
    return ProfiledFaces(torch.cat(pictures), turned, new_pose, turn)


def _redraw(
    image: Tensor,
    vertices: Tensor,
    turned: Tensor,
    triangles: Tensor,
    turn: Turn,
    supersample: int,
) -> Tensor:
    """The picture ``(1, 3, H, W)`` with a face's vertices in other places."""
    height, width = image.shape[-2:]
    surroundings = _surroundings(vertices, turned, triangles, turn, (height, width))
    before, after, around = (part.to(vertices.device) for part in surroundings)
    size = vertices.new_tensor([width, height])
    drawn = render(
        torch.cat((turned, after.to(turned)))[None],
        torch.cat((triangles, around.to(triangles) + len(vertices))),
        *(height, width),
        texture=image,
        uv=torch.cat((vertices[:, :2], before.to(vertices))) / size,
        background=image,
        supersample=supersample,
    )
    return drawn.image


def _surroundings(
    vertices: Tensor, turned: Tensor, triangles: Tensor, turn: Turn, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The mesh of all that is not the face.

    Returns:
        Places ``(A, 2)`` in the photo, vertices ``(A, 3)`` in the new picture, triangles.
    """
    from scipy.spatial import Delaunay

    low, high = _extent(vertices, turned, size)
    spacing = float((high - low).max()) / _ANCHORS
    outline, mask = _outline(vertices, triangles, low, high, step=max(1, round(spacing / 4)))
    frame = _frame_points(low, high, spacing)
    grid = _grid_points(low, high, spacing, mask)
    points = np.concatenate((outline[:, :2], frame, grid))
    corners = Delaunay(points).simplices
    corners = corners[~_covered(points[corners].mean(1), mask, low)]
    moved = turn.apply(torch.from_numpy(outline)[None].to(vertices))[0].double().cpu().numpy()
    # Behind the face where they meet, and behind all of it at the frame.
    depth = max(float(turned[:, 2].max()), moved[:, 2].max()) + spacing
    moved[:, 2] += 0.1 * spacing
    fixed = np.concatenate((moved, np.column_stack((frame, np.full(len(frame), depth)))))
    # What is solved for is how far a point moves, and its depth.
    offset = np.column_stack((points, np.zeros(len(points))))
    shift = _harmonic(points, corners, fixed - offset[: len(fixed)])
    after = torch.from_numpy(offset + shift)
    return torch.from_numpy(points), after, torch.from_numpy(corners.astype(np.int64))


def _extent(vertices: Tensor, turned: Tensor, size: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """Corners of a rectangle about the picture and the face before and after, in whole pixels."""
    corners = torch.cat((vertices[:, :2], turned[:, :2])).double().cpu().numpy()
    height, width = size
    low = np.minimum(corners.min(0), 0)
    high = np.maximum(corners.max(0), (width, height))
    margin = _MARGIN * max(size)
    return np.floor(low - margin), np.ceil(high + margin)


def _outline(
    vertices: Tensor, triangles: Tensor, low: NDArray, high: NDArray, step: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Points ``(K, 3)`` of the face's surface along its outlines (the one of the face, and those of
    holes in it) in image space, and where the face is, pixel by pixel from ``low``.
    """
    corner = vertices.new_tensor([*low, 0.0])
    width, height = (int(side) for side in high - low)
    fragments = ops.rasterize((vertices - corner)[None], triangles, height, width)
    depth = fragments.depth[0].cpu().numpy()
    mask = fragments.triangle_ids[0].cpu().numpy() >= 0
    # A pixel inside: the surroundings must reach below the face's edge.
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(inner, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    places = [contour[::step, 0] for contour in contours if len(contour) >= 3]
    if not places:
        raise ValueError("profile_face: the face covers no pixel")
    # A hole's contour runs along the pixels around it, which are the face's.
    x, y = np.unique(np.concatenate(places), axis=0).T
    surface = np.column_stack((x + 0.5 + low[0], y + 0.5 + low[1], depth[y, x]))
    return surface[np.isfinite(surface).all(1)].astype(np.float64), inner.astype(bool)


def _frame_points(low: NDArray, high: NDArray, spacing: float) -> NDArray[np.float64]:
    """Points along the edges of a rectangle."""
    (x0, y0), (x1, y1) = low, high
    columns = np.linspace(x0, x1, max(2, round((x1 - x0) / spacing)))
    rows = np.linspace(y0, y1, max(2, round((y1 - y0) / spacing)))[1:-1]
    edges = [
        *(np.column_stack((columns, np.full(len(columns), y))) for y in (y0, y1)),
        *(np.column_stack((np.full(len(rows), x), rows)) for x in (x0, x1)),
    ]
    return np.concatenate(edges)


def _grid_points(
    low: NDArray, high: NDArray, spacing: float, mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Points of a grid that lie off the face and off the edges."""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    columns, rows = (
        np.arange(a + spacing, b - spacing / 2, spacing) for a, b in zip(low, high, strict=True)
    )
    points = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2)
    x, y = (points - low).astype(int).T
    return points[distance[y, x] > spacing / 2]


def _covered(points: NDArray, mask: NDArray[np.bool_], low: NDArray) -> NDArray[np.bool_]:
    """Which points lie on the face."""
    place = np.clip((points - low).astype(int), 0, np.array(mask.shape[::-1]) - 1)
    return mask[place[:, 1], place[:, 0]]


def _harmonic(points: NDArray, corners: NDArray, fixed: NDArray) -> NDArray[np.float64]:
    """Values at the points of a planar mesh of which the first are given, the others harmonic
    (cotangent weights, Pinkall and Polthier 1993).
    """
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import splu

    rows, columns, weights = [], [], []
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        to_a, to_b = (points[corners[:, k]] - points[corners[:, c]] for k in (a, b))
        cross = np.abs(to_a[:, 0] * to_b[:, 1] - to_a[:, 1] * to_b[:, 0])
        cotangent = (to_a * to_b).sum(1) / np.maximum(cross, 1e-9)
        rows += [corners[:, a], corners[:, b]]
        columns += [corners[:, b], corners[:, a]]
        # Triangles of no area on the outline would have weights without bound.
        weights += [np.clip(cotangent, -10, 10)] * 2
    shape = (len(points), len(points))
    matrix = coo_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape
    ).tocsr()
    laplacian = (diags(np.asarray(matrix.sum(1)).ravel()) - matrix).tocsr()
    count = len(fixed)
    # A point of no triangle stays where it is.
    free = laplacian[count:, count:] + 1e-9 * diags(np.ones(len(points) - count))
    solved = splu(free.tocsc()).solve(-(laplacian[count:, :count] @ fixed))
    return np.concatenate((fixed, solved))


def _checked_count(image: Tensor, vertices: Tensor, pose: Pose) -> int:
    count = len(vertices)
    if vertices.dim() != 3 or vertices.shape[-1] != 3:
        raise ValueError(
            f"profile_face: vertices must have shape (N, V, 3), got {tuple(vertices.shape)}"
        )
    if image.dim() != 4 or image.shape[:2] != (count, 3):
        raise ValueError(
            f"profile_face: image must have shape ({count}, 3, H, W), got {tuple(image.shape)}"
        )
    if pose.rotation.shape != (count, 3, 3):
        raise ValueError(
            f"profile_face: pose must be of {count} faces, got a rotation of shape "
            f"{tuple(pose.rotation.shape)}"
        )
    return count
