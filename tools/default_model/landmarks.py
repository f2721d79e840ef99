"""The 68 landmarks of the built-in model: a table of places, snapped to vertices.

The places were chosen on renderings of the neutral head and checked at high zoom from the front
and in profile (docs/images/default_model_landmarks.png). They follow the annotations of 3D
benchmarks: the jaw line lies on the edge of the jaw bone, from the ear to the chin, also where a
frontal picture shows the cheek's outline elsewhere.
"""

from __future__ import annotations

import numpy as np

from pgnface.geometry.landmarks import LANDMARK_COUNT, LANDMARK_MIRROR

# Landmark: (x, y, z) in mm on the neutral head, for the subject's right side and the midline.
_PLACES = {
    # Jaw: in front of the ear at the height of the eye, along the edge of the jaw, to the chin.
    0: (-67.0, 27.0, 27.0),
    1: (-66.5, 9.0, 28.0),
    2: (-64.0, -8.0, 29.0),
    3: (-61.0, -22.0, 32.0),
    4: (-54.5, -38.0, 41.0),
    5: (-45.0, -51.5, 53.0),
    6: (-33.0, -61.5, 69.0),
    7: (-18.0, -68.5, 84.0),
    8: (0.0, -71.5, 91.0),
    # Brow: the ridge above the eye, from the temple to the nose.
    17: (-51.0, 44.5, 79.7),
    18: (-43.5, 49.5, 88.8),
    19: (-34.5, 51.5, 94.3),
    20: (-25.0, 51.0, 97.3),
    21: (-15.0, 48.5, 98.1),
    # Nose: root at the height of the eyes to the tip; below the wing, under the nostril, the
    # column's foot.
    27: (0.0, 33.0, 98.2),
    28: (0.0, 22.3, 103.4),
    29: (0.0, 11.8, 111.2),
    30: (0.0, 1.5, 117.5),
    31: (-12.5, -8.4, 102.0),
    32: (-6.2, -9.6, 106.4),
    33: (0.0, -10.2, 108.6),
    # Eye: outer corner, upper lid, inner corner, lower lid, on the edges of the lids.
    36: (-41.3, 34.3, 83.6),
    37: (-35.5, 38.0, 90.0),
    38: (-25.2, 37.9, 91.0),
    39: (-18.2, 32.4, 87.5),
    40: (-25.5, 30.5, 89.7),
    41: (-35.5, 30.7, 88.3),
    # Border of the red of the lips: corner, upper lip, lower lip.
    48: (-22.7, -32.0, 98.3),
    49: (-13.5, -25.6, 107.4),
    50: (-5.2, -22.6, 111.5),
    51: (0.0, -23.4, 112.3),
    57: (0.0, -40.2, 108.7),
    58: (-7.5, -39.4, 107.6),
    59: (-15.0, -36.8, 104.4),
    # Where the lips meet: corner, upper lip, lower lip.
    60: (-20.6, -30.6, 99.8),
    61: (-8.5, -29.9, 104.4),
    62: (0.0, -30.1, 105.6),
    66: (0.0, -31.6, 107.1),
    67: (-8.5, -31.2, 104.7),
}


def find_landmarks(points: np.ndarray, skin: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Vertex ids ``(68,)`` nearest to the places, in mirrored pairs.

    Args:
        points: ``(V, 3)`` the neutral head in model space, mm.
        skin: ``(V,)`` bool, the vertices to choose from.
        mirror: ``(V,)`` the vertex on the other side.
    """
    on_midline = np.abs(points[:, 0]) < 1e-6
    found = np.full(LANDMARK_COUNT, -1)
    for landmark, place in _PLACES.items():
        paired = LANDMARK_MIRROR[landmark] != landmark
        allowed = skin & (on_midline != paired)
        distance = np.linalg.norm(points - place, axis=1)
        vertex = int(np.where(allowed, distance, np.inf).argmin())
        found[landmark] = vertex
        found[LANDMARK_MIRROR[landmark]] = mirror[vertex]
    return found
