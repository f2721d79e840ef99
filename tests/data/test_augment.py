import numpy as np
import pytest
import torch

from pgnface.data.augment import (
    CropJitter,
    degrade,
    mirror_image,
    mirror_landmarks,
    mirror_rotation,
    rotation_in_crop,
)
from pgnface.data.cropping import (
    SquareBox,
    box_warp,
    invert_warp,
    upright_angle,
    warp_points,
)
from pgnface.geometry import rotation_from_angles, solve_head_pose
from pgnface.geometry.landmarks import LANDMARK_GROUPS, LANDMARK_MIRROR
from tests.models import tiny_model

from .faces import head_points, picture

ANGLES = [(0.0, 0.0, 0.0), (10.0, 35.0, -15.0), (-20.0, -60.0, 30.0)]


def rotation(angles):
    return rotation_from_angles(torch.tensor(angles, dtype=torch.float64)).numpy()


def fitted_rotation(landmarks):
    """The rotation of the tiny face whose landmarks are at given places in an image."""
    model = tiny_model()
    source = model.mean[model.landmarks].double()
    return solve_head_pose(source, torch.from_numpy(np.asarray(landmarks))).rotation.numpy()


def test_the_mirror_of_the_mirror_is_the_face():
    mirror = np.array(LANDMARK_MIRROR)
    assert np.array_equal(mirror[mirror], np.arange(68))


def test_parts_of_the_face_become_those_of_the_other_side():
    pairs = {
        "right_brow": "left_brow",
        "left_eye": "right_eye",
        "jaw": "jaw",
        "nose_bridge": "nose_bridge",
        "nose_base": "nose_base",
        "outer_lips": "outer_lips",
        "inner_lips": "inner_lips",
    }
    for part, other in pairs.items():
        mirrored = {LANDMARK_MIRROR[i] for i in LANDMARK_GROUPS[part]}
        assert mirrored == set(LANDMARK_GROUPS[other])
    # Corners and rims: outer and inner corners of the eyes, upper lid, lower lid, chin, lips.
    for a, b in [(36, 45), (39, 42), (37, 44), (41, 46), (8, 8), (48, 54), (62, 62), (57, 57)]:
        assert LANDMARK_MIRROR[a] == b and LANDMARK_MIRROR[b] == a


def test_mirror_moves_landmarks_with_the_pixels():
    image, landmarks = picture(), np.zeros((68, 3))
    landmarks[:, :2] = np.random.default_rng(0).integers(0, 60, (68, 2)) + 0.5
    landmarks[:, 2] = np.arange(68)
    before = landmarks.copy()
    mirrored, moved = mirror_image(image), mirror_landmarks(landmarks, image.shape[1])
    assert np.array_equal(landmarks, before)
    assert np.array_equal(mirror_image(mirrored), image)
    assert np.array_equal(mirror_landmarks(moved, 60), landmarks)
    for i, j in enumerate(LANDMARK_MIRROR):
        (x, y), (u, v) = landmarks[i, :2].astype(int), moved[j, :2].astype(int)
        assert np.array_equal(image[y, x], mirrored[v, u])
        assert moved[j, 2] == i


@pytest.mark.parametrize("angles", ANGLES)
def test_mirrored_landmarks_have_the_mirrored_rotation(angles):
    mirrored = mirror_landmarks(head_points(angles), 60)
    expected = mirror_rotation(rotation(angles))
    np.testing.assert_allclose(fitted_rotation(mirrored), expected, atol=1e-5)
    np.testing.assert_allclose(expected, rotation((angles[0], -angles[1], -angles[2])), atol=1e-12)


@pytest.mark.parametrize("turn", [0, 25, -70])
@pytest.mark.parametrize("angles", ANGLES)
def test_landmarks_in_a_turned_crop_have_its_rotation(angles, turn):
    warp = box_warp(SquareBox(30, 30, 80, turn), 48)
    moved = warp_points(invert_warp(warp), head_points(angles))
    expected = rotation_in_crop(rotation(angles), warp)
    np.testing.assert_allclose(fitted_rotation(moved), expected, atol=1e-5)


def test_jitter_is_bounded_and_reproducible():
    box, jitter = SquareBox(100, 80, 50), CropJitter(scale=0.1, shift=0.04, angle=10)
    warps = [jitter.warp(box, 50, np.random.default_rng(i)) for i in range(300)]
    assert np.array_equal(warps[3], jitter.warp(box, 50, np.random.default_rng(3)))
    linear = np.array(warps)[:, :, :2]
    scales = np.sqrt(np.linalg.det(linear))
    turns = np.rad2deg(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    centres = np.array([warp @ [25, 25, 1] for warp in warps])
    assert np.abs(np.log(scales)).max() <= 0.25 + 1e-9 and np.log(scales).std() > 0.08
    assert np.abs(turns).max() <= 25 + 1e-9 and turns.std() > 8
    assert np.abs(centres - [100, 80]).max() <= 5 + 1e-9 and centres.std(0).min() > 1.5


def test_a_share_of_known_faces_is_turned_upright():
    jitter = CropJitter(scale=0, shift=0, angle=0, upright=0.3, upright_angle=2)
    roll, box = 40.0, SquareBox(30, 30, 60)
    points = warp_points(box_warp(SquareBox(30, 30, 60, roll), 60), head_points((0, 0, 0)))
    warps = [jitter.warp(box, 60, np.random.default_rng(i), points) for i in range(300)]
    turns = np.array([np.rad2deg(np.arctan2(warp[1, 0], warp[0, 0])) for warp in warps])
    upright = np.abs(turns - upright_angle(points)) <= 5 + 1e-9
    assert (upright | (turns == 0)).all() and 60 < upright.sum() < 120
    assert turns[upright].std() > 1
    unknown = [jitter.warp(box, 60, np.random.default_rng(i)) for i in range(20)]
    assert all(np.array_equal(warp, box_warp(box, 60)) for warp in unknown)


def test_no_jitter_is_the_plain_crop():
    box, rng = SquareBox(10, 20, 30), np.random.default_rng(0)
    np.testing.assert_allclose(CropJitter(0, 0, 0).warp(box, 16, rng), box_warp(box, 16))


def test_degraded_crops_vary_but_stay_photos():
    image = picture()
    seen = [degrade(image, np.random.default_rng(i)) for i in range(40)]
    assert all(s.shape == image.shape and s.dtype == np.uint8 for s in seen)
    assert np.array_equal(seen[5], degrade(image, np.random.default_rng(5)))
    assert len({s.tobytes() for s in seen}) == 40
    assert np.array_equal(image, picture())
    likeness = [np.corrcoef(image.ravel(), s.ravel())[0, 1] for s in seen]
    assert np.median(likeness) > 0.8


def test_widened_jitter_moves_and_scales_more_and_turns_as_much():
    jitter = CropJitter(scale=0.1, shift=0.04, angle=10).widened(1.5)
    assert (jitter.scale, jitter.shift, jitter.angle) == pytest.approx((0.15, 0.06, 10))
