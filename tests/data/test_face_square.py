import numpy as np
import pytest

from pgnface.data.face_square import face_axes, face_square

# A frontal face in a box of side 100 about (0, 0).
BOX = np.array([0.0, 0, 100, 100])
POINTS = np.array([[-21.0, -19], [20, -18], [-1, 2], [0, 24], [-42, -8], [43, -7]])


def test_lies_about_the_face():
    box = face_square(BOX, POINTS)
    assert abs(box.x) < 5 and 0 < box.y < 15 and 120 < box.side < 160


def turn_by(degrees):
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("degrees", [30, 90, 180, -100])
def test_moves_turns_and_grows_with_the_face(degrees):
    turn = 2 * turn_by(degrees)
    shift = np.array([300.0, -40])
    before = face_square(BOX, POINTS)
    after = face_square(np.concatenate((shift, 2 * BOX[2:])), POINTS @ turn.T + shift)
    np.testing.assert_allclose(after[:2], turn @ before[:2] + shift)
    if degrees % 90 == 0:
        assert after.side == pytest.approx(2 * before.side)


def test_the_side_depends_on_the_tilt_against_the_picture_alone():
    upright, *tilted = (face_square(BOX, POINTS @ turn_by(d).T).side for d in (0, 30, 120, -150))
    assert np.ptp(tilted) < 1e-9 and abs(tilted[0] - upright) > 1


def test_of_a_mirrored_face_is_the_mirrored_square():
    before = face_square(BOX, POINTS)
    after = face_square(BOX, POINTS[[1, 0, 2, 3, 5, 4]] * [-1, 1])
    np.testing.assert_allclose(after, before.mirrored(0))


def test_strange_points_do_not_make_it_vanish():
    assert 110 <= face_square(BOX, np.zeros((6, 2))).side <= 180
    assert 110 <= face_square(BOX, 10 * POINTS[::-1]).side <= 180


def test_axes_of_an_upright_face():
    np.testing.assert_allclose(face_axes(POINTS), np.eye(2), atol=0.03)
