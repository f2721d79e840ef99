"""The 68 facial landmarks in iBUG order, zero-based: their groups and their mirror images.

"Right" and "left" are the subject's: point 0 is at the subject's right ear, which is the left side
of a picture of a frontal face.
"""

from __future__ import annotations

LANDMARK_COUNT = 68

NOSE_TIP = 30

#: Those that a face's expression moves least and that different face models place alike: nose,
#: corners of eyes and mouth.
STABLE_LANDMARKS = (*range(27, 36), 36, 39, 42, 45, 48, 54)

#: Half-open ranges of landmark numbers.
LANDMARK_GROUPS: dict[str, range] = {
    "jaw": range(0, 17),
    "right_brow": range(17, 22),
    "left_brow": range(22, 27),
    "nose_bridge": range(27, 31),
    "nose_base": range(31, 36),
    "right_eye": range(36, 42),
    "left_eye": range(42, 48),
    "outer_lips": range(48, 60),
    "inner_lips": range(60, 68),
}

EYES = range(36, 48)
MOUTH = range(48, 68)

#: ``LANDMARK_MIRROR[i]`` is the landmark that takes the place of ``i`` in a mirrored face.
LANDMARK_MIRROR: tuple[int, ...] = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *range(67, 64, -1),
)
