"""A symmetric mesh of 468 points whose numbers are shuffled, and landmarks among them."""

from __future__ import annotations

import numpy as np

from pgnface.geometry.landmarks import LANDMARK_MIRROR

FLIP = np.array([-1.0, 1.0, 1.0])
_rng = np.random.default_rng(3)


def _build():
    """The template, its mirror numbers, and the numbers of the 68 landmarks."""
    middle, side = 28, 220
    shape = _rng.uniform(-1, 1, (468, 3)) * [60, 80, 40]
    shape[:middle, 0] = 0
    shape[middle : middle + side, 0] = np.abs(shape[middle : middle + side, 0]) + 2
    shape[middle + side :] = shape[middle : middle + side] * FLIP
    mirror = np.r_[
        np.arange(middle), np.arange(middle + side, 468), np.arange(middle, middle + side)
    ]
    # Landmarks: those without a partner are in the middle, the others of both halves.
    landmarks = np.zeros(68, int)
    free_middle, free_side = iter(range(2, middle)), iter(range(middle + 2, middle + side))
    for i, j in enumerate(LANDMARK_MIRROR):
        if i == j:
            landmarks[i] = next(free_middle)
        elif i < j:
            landmarks[i] = next(free_side)
            landmarks[j] = mirror[landmarks[i]]
    # Eye corners, forehead and chin are where FaceMesh numbers them.
    places = {33: middle + side, 263: middle, 10: 0, 152: 1}
    shape[middle] = [45, -20, 0]
    shape[middle + side] = [-45, -20, 0]
    shape[0], shape[1] = [0, -85, 0], [0, 85, 0]
    order = np.arange(468)
    for number, place in places.items():
        at = int(np.flatnonzero(order == place)[0])
        order[[number, at]] = order[[at, number]]
    back = np.argsort(order)
    return shape[order], back[mirror[order]], back[landmarks]


TEMPLATE, MIRROR, LANDMARKS = _build()


def face_meshes(count: int, seed: int = 0):
    """Meshes of different faces in an image, and what is seen in the mirror, brought back."""
    rng = np.random.default_rng(seed)
    meshes, mirrored = [], []
    for _ in range(count):
        shape = TEMPLATE + rng.normal(0, 2, (468, 3))
        angle = rng.uniform(-0.5, 0.5)
        turn = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        mesh = rng.uniform(0.5, 2) * shape @ turn.T + rng.uniform(50, 100, 3)
        meshes.append(mesh)
        mirrored.append(mesh[MIRROR])
    return np.stack(meshes), np.stack(mirrored)
