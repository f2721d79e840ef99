"""From BlazeFace's box and keypoints to our square around a face's 68 landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .cropping import SquareBox

_CROSS = (-0.165, 0.074, -0.135)
_DOWN = (0.122, -0.264, 0.790, -0.828, -0.262)
_SIDE = (1.100, 0.959, -1.727, 0.584, -1.350, 0.417, -0.084, 0.380)
# Far from the faces of the fit the sum is not to be trusted.
_SIDE_RANGE = (1.1, 1.8)


def face_square(box: ArrayLike, keypoints: ArrayLike) -> SquareBox:
    """The square of :func:`pgnface.data.cropping.square_box` for a detected face.

    Its centre and side are linear in the keypoints, seen in the box's sides and in the face's own
    axes, so that a face may be turned by quarters and a mirrored one gets the mirrored square. The
    side depends on the tilt too: the upright square around a face that is tilted by 45 degrees is
    another one than around the same face upright. The coefficients are those of least absolute
    errors over annotated faces, found by ``tools/fit_face_square.py``, which prints the errors that
    are left.

    Args:
        box: ``(4,)`` centre x, y, width and height.
        keypoints: ``(6, 2)``, in the order of :data:`pgnface.networks.blazeface.KEYPOINTS`.
    """
    box = np.asarray(box, np.float64)
    axes, side = face_axes(keypoints), box[2:].mean()
    cross, down, length = square_features(box, keypoints)
    x, y = box[:2] + side * (np.array([cross @ _CROSS, down @ _DOWN]) @ axes)
    return SquareBox(float(x), float(y), float(side * np.clip(length @ _SIDE, *_SIDE_RANGE)))


def square_features(box: ArrayLike, keypoints: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    """What the square's shift across the face ``(3,)``, down it ``(5,)`` and its side ``(8,)`` are
    linear in.

    Args:
        box, keypoints: as for :func:`face_square`.
    """
    box, axes = np.asarray(box, np.float64), face_axes(keypoints)
    points = (np.asarray(keypoints, np.float64) - box[:2]) @ axes.T / box[2:].mean()
    right_eye, left_eye, nose, mouth, right_ear, left_ear = points
    eyes, ears = (right_eye + left_eye) / 2, (right_ear + left_ear) / 2
    cross = np.array([eyes[0], nose[0], ears[0]])
    down = np.array([1, eyes[1], nose[1], mouth[1], ears[1]])
    widths = (left_eye[0] - right_eye[0], left_ear[0] - right_ear[0])
    # The squared sine of twice the angle between the face's axes and the picture's.
    tilt = 4 * np.prod(axes[1]) ** 2
    return cross, down, np.array([*down, *widths, tilt])


def face_axes(keypoints: ArrayLike) -> NDArray[np.float64]:
    """The unit vectors across a face, to its left, and down it, as rows ``(2, 2)``.

    Down is from the middle of the eyes to the mouth, which a profile has as a frontal face does.
    """
    keypoints = np.asarray(keypoints, np.float64)
    down = keypoints[3] - keypoints[:2].mean(0)
    down /= np.linalg.norm(down) or 1.0
    return np.array([[down[1], -down[0]], down])
