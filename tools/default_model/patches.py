"""Eyes and mouth: patches that close the holes in the skin.

Their vertices are fixed combinations of control vertices of MakeHuman's eyeballs and teeth, so
eyes turn with the eyeLook expressions, lids slide over the eyeball and the lower teeth follow the
jaw.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import sparse

from .surface import Surface, catmull_clark, split_quads

REGIONS = ("skin", "eye_left", "eye_right", "mouth", "teeth")

# Rings of an eye patch: how far from the pupil towards the lid, as a part of the angle.
_EYE_RINGS = (0.92, 0.75, 0.58, 0.42, 0.27, 0.13)
# Keeps the lids clear of the eyeball: its vertices are drawn to its centre by this part.
_EYE_SHRINK = 0.03

# Control vertices of MakeHuman's teeth, on the subject's left from the midline backwards.
_UPPER_GUM = (15079, 15075, 15074, 15073, 15072)
_UPPER_EDGE = (15069, 15086, 15071, 15070, 15085)
_LOWER_EDGE = (15010, 15001, 15002, 15003, 15004)
_LOWER_GUM = (15012, 15013, 15014, 15015, 15011)
_TEETH_LINES = (1, 2, 6, 7)  # of the sheet's nine lines
_FRONT_TEETH = 17.0  # mm from the midline: further back the sheet slants towards the lips
_LINE_STEP = 0.15  # from one line to the next where teeth begin: a short step makes a sharp border
_THROAT = (15094, 15022)  # inner side of upper and lower teeth, 2 cm behind the lips


def close_eye(
    surface: Surface, points: np.ndarray, loop: np.ndarray, eyeball: np.ndarray, neutral: np.ndarray
) -> tuple[Surface, list[np.ndarray]]:
    """Add rings on the eyeball inside the lids.

    Args:
        surface: with the hole.
        points: ``(V, 3)`` its neutral vertices.
        loop: ``(n,)`` the lid's border.
        eyeball: ``(Q, 4)`` quads of the eyeball, ids of control vertices.
        neutral: ``(B, 3)`` control vertices.

    Returns:
        The surface, and the ids of the rings' vertices: the loop, the rings inwards and the pupil.
    """
    fine, quads = catmull_clark(eyeball, len(neutral))
    ball = fine @ neutral
    used = np.unique(quads)
    triangles = split_quads(quads, ball)
    center_row = sparse.csr_matrix(fine[used].mean(0))
    center = (center_row @ neutral)[0]

    lid = points[loop] - center
    lid /= np.linalg.norm(lid, axis=1, keepdims=True)
    gaze = lid.mean(0)
    gaze = np.array((0.0, gaze[1], np.hypot(gaze[0], gaze[2])))  # straight ahead
    gaze /= np.linalg.norm(gaze)
    directions = [_toward(gaze, lid, part) for part in _EYE_RINGS]
    directions = np.concatenate((*directions, gaze[None]))
    rows = _ray_weights(ball - center, triangles, directions) @ fine
    rows = (1 - _EYE_SHRINK) * rows + _EYE_SHRINK * sparse.vstack([center_row] * rows.shape[0])

    start, n = surface.operator.shape[0], len(loop)
    rings = [loop] + [start + k * n + np.arange(n) for k in range(len(_EYE_RINGS))]
    pupil = start + n * len(_EYE_RINGS)
    operator = sparse.vstack((surface.operator, rows)).tocsr()
    position = operator @ neutral
    quads = np.concatenate([_band(outer, inner, closed=True) for outer, inner in pairwise(rings)])
    fan = np.stack((np.roll(rings[-1], -1), rings[-1], np.full(n, pupil)), 1)
    triangles = np.concatenate((surface.triangles, split_quads(quads, position), fan))
    return Surface(operator, triangles), [*rings, np.array([pupil])]


def close_mouth(
    surface: Surface, points: np.ndarray, loop: np.ndarray, neutral: np.ndarray, mirror: np.ndarray
) -> tuple[Surface, np.ndarray]:
    """Add a sheet behind the lips: upper teeth, throat, lower teeth.

    Args:
        surface, points, loop, neutral: as for :func:`close_eye`; the loop is the inner lips'.
        mirror: ``(B,)`` control vertices on the other side.

    Returns:
        The surface, and ids of the vertices on the teeth.
    """
    # Lip vertices crowd at the corners, more of them on the upper lip; pairing the two lips by
    # their order from the midline splits the loop evenly.
    on_midline = np.flatnonzero(np.abs(points[loop, 0]) < 1e-6)
    loop = np.roll(loop, -on_midline[points[loop[on_midline], 1].argmax()])
    quarter, rest = divmod(len(loop), 4)
    if len(on_midline) != 2 or rest:
        raise ValueError(f"expected a mouth with lips of equal vertex counts, got {len(loop)}")
    # The skin lies left of its border: the loop runs over the upper lip to the subject's left.
    loop = np.roll(loop, quarter)
    corners, upper, lower = loop[:: 2 * quarter], loop[1 : 2 * quarter], loop[: 2 * quarter : -1]

    columns = 0.5 * (points[upper, 0] + points[lower, 0])
    throat = _across(columns / columns.max(), _THROAT, mirror)
    upper_gum, upper_edge, lower_edge, lower_gum = (
        _along_arch(columns, arch, neutral, mirror)
        for arch in (_UPPER_GUM, _UPPER_EDGE, _LOWER_EDGE, _LOWER_GUM)
    )
    # MakeHuman's teeth meet where the lips do; drawn back a little, they stay out of sight
    # between closed lips.
    upper_edge, lower_edge = _mix(upper_edge, upper_gum, 0.1), _mix(lower_edge, lower_gum, 0.25)
    lines = [
        *(
            upper_gum,
            _mix(upper_gum, upper_edge, _LINE_STEP),
            upper_edge,
            _mix(upper_edge, throat, _LINE_STEP),
        ),
        throat,
        *(
            _mix(lower_edge, throat, _LINE_STEP),
            lower_edge,
            _mix(lower_gum, lower_edge, _LINE_STEP),
            lower_gum,
        ),
    ]
    rows = sparse.vstack(lines)
    start, n = surface.operator.shape[0], len(upper)
    ids = [start + k * n + np.arange(n) for k in range(len(lines))]
    lines = [upper, *ids, lower]
    operator = sparse.vstack((surface.operator, rows)).tocsr()
    quads = np.concatenate([_band(above, below, closed=False) for above, below in pairwise(lines)])
    triangles = [surface.triangles, split_quads(quads, operator @ neutral)]
    for corner, end, flip in ((corners[0], 0, False), (corners[1], -1, True)):
        fan = np.array([(corner, b[end], a[end]) for a, b in pairwise(lines)])
        triangles.append(fan[:, ::-1] if flip else fan)
    front = np.abs(columns) < _FRONT_TEETH
    teeth = np.concatenate([ids[k][front] for k in _TEETH_LINES])
    return Surface(operator, np.concatenate(triangles)), teeth


def _toward(center: np.ndarray, directions: np.ndarray, part: float) -> np.ndarray:
    """Directions a part of the way from the centre's, on the sphere."""
    angle = np.arccos(np.clip(directions @ center, -1, 1))[:, None]
    return (np.sin((1 - part) * angle) * center + np.sin(part * angle) * directions) / np.sin(angle)


def _ray_weights(
    points: np.ndarray, triangles: np.ndarray, directions: np.ndarray
) -> sparse.csr_matrix:
    """Barycentric weights ``(D, V)`` of where rays from the origin leave a convex surface."""
    corners = np.linalg.inv(points[triangles].transpose(0, 2, 1))
    weights = np.einsum("tij,dj->dti", corners, directions)
    weights /= np.abs(weights).sum(-1, keepdims=True)
    hit = weights.min(-1).argmax(1)
    chosen = np.clip(weights[np.arange(len(directions)), hit], 0, None)
    chosen /= chosen.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(directions)), 3)
    return sparse.csr_matrix(
        (chosen.ravel(), (rows, triangles[hit].ravel())), (len(directions), len(points))
    )


def _along_arch(
    columns: np.ndarray, arch: tuple[int, ...], neutral: np.ndarray, mirror: np.ndarray
) -> sparse.csr_matrix:
    """Rows that interpolate along a row of teeth at the columns' x."""
    half = np.array(arch)
    ids = np.concatenate((mirror[half[:0:-1]], half))
    places = neutral[ids, 0]
    x = np.clip(columns, places[0], places[-1])
    after = np.clip(np.searchsorted(places, x), 1, len(ids) - 1)
    t = (x - places[after - 1]) / (places[after] - places[after - 1])
    rows = np.repeat(np.arange(len(columns)), 2)
    pairs = np.stack((ids[after - 1], ids[after]), 1).ravel()
    return sparse.csr_matrix(
        (np.stack((1 - t, t), 1).ravel(), (rows, pairs)), (len(columns), len(neutral))
    )


def _mix(one: sparse.csr_matrix, other: sparse.csr_matrix, part: float) -> sparse.csr_matrix:
    return (1 - part) * one + part * other


def _across(s: np.ndarray, ids: tuple[int, ...], mirror: np.ndarray) -> sparse.csr_matrix:
    """Rows that go from the mirrored mean of control vertices (s = -1) to their mean (s = 1)."""
    left, right = np.array(ids), mirror[np.array(ids)]
    columns = np.tile(np.concatenate((left, right)), len(s))
    weights = np.concatenate(
        [np.repeat([(1 + v) / 2, (1 - v) / 2], len(ids)) / len(ids) for v in s]
    )
    rows = np.repeat(np.arange(len(s)), 2 * len(ids))
    return sparse.csr_matrix((weights, (rows, columns)), (len(s), len(mirror)))


def _band(outer: np.ndarray, inner: np.ndarray, closed: bool) -> np.ndarray:
    """Quads between two lines of vertices, on the other side of the outer one's triangles."""
    quads = np.stack((np.roll(outer, -1), outer, inner, np.roll(inner, -1)), 1)
    return quads if closed else quads[:-1]
