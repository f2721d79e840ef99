import cv2
import numpy as np
import pytest
import torch

from pgnface.data.augment import mirror_landmarks
from pgnface.data.cropping import (
    SquareBox,
    box_warp,
    crop,
    invert_warp,
    square_box,
    square_boxes,
    upright_angle,
    upright_square,
    warp_image,
    warp_points,
)
from pgnface.geometry.landmarks import EYES, MOUTH

from .faces import head_points, picture


def ramp(height, width):
    """An image whose channels are the coordinates of its pixel centres."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack((x, y), -1).astype(np.float32)


def test_square_box_surrounds_landmarks_by_their_longer_side():
    box = square_box([[10, 20], [30, 60], [20, 30]], scale=1.5)
    assert box == SquareBox(20, 40, 60)
    assert box.edges == (-10, 10, 50, 70)
    assert square_box((10, 20, 30, 60), scale=1.5) == box
    assert square_box([[10, 20, 9], [30, 60, -9]], scale=1.5) == box


def test_square_box_leaves_out_points_that_are_not_finite():
    assert square_box([[0, 0], [np.nan, 5], [4, 2], [np.inf, 0]], 1.0) == SquareBox(2, 1, 4)


@pytest.mark.parametrize(
    "points, message",
    [
        (np.zeros((68, 4)), "got \\(68, 4\\)"),
        (np.zeros(5), "got \\(5,\\)"),
        (np.ones((68, 2)), "span an area"),
        (np.zeros((0, 2)), "span an area"),
        (np.full((68, 3), np.nan), "span an area"),
    ],
)
def test_square_box_refuses(points, message):
    with pytest.raises(ValueError, match=message):
        square_box(points)


def test_square_boxes_agree_with_square_box():
    points = torch.randn(2, 5, 68, 3, dtype=torch.float64)
    boxes = square_boxes(points, 1.2)
    for i in np.ndindex(2, 5):
        np.testing.assert_allclose(boxes[i], square_box(points[i], 1.2)[:3])


def test_whole_image_is_reproduced():
    image = picture()
    cut, warp = crop(image, SquareBox(30, 30, 60), 60)
    assert np.array_equal(cut, image)
    np.testing.assert_allclose(warp, [[1, 0, 0], [0, 1, 0]], atol=1e-12)
    assert np.array_equal(warp_image(image[..., 0], warp, 60), image[..., 0])


def test_whole_pixels_are_cut_exactly():
    image = picture(height=50, width=70)
    cut, _ = crop(image, SquareBox(22, 17, 20), 20)
    assert np.array_equal(cut, image[7:27, 12:32])


@pytest.mark.parametrize("size", [16, 48, 64, 100])
def test_pixel_centres_show_what_the_warp_says(size):
    cut, warp = crop(ramp(80, 90), SquareBox(41.3, 37.7, 48), size)
    # OpenCV rounds places to a 32nd of a pixel, here of an image of a third of the size at least.
    np.testing.assert_allclose(cut, ramp(size, size) @ warp[:, :2].T + warp[:, 2], atol=0.05)


def test_turned_crop_shows_what_the_warp_says():
    warp = box_warp(SquareBox(45, 40, 40, angle=30), 40)
    cut = warp_image(ramp(80, 90), warp, 40)
    np.testing.assert_allclose(cut, ramp(40, 40) @ warp[:, :2].T + warp[:, 2], atol=0.05)
    # A positive angle turns the content counter-clockwise: what was to the right is now above.
    right = invert_warp(warp) @ [45 + 10, 40, 1]
    np.testing.assert_allclose(right, [20 + 10 * np.cos(np.pi / 6), 20 - 5], atol=1e-9)


@pytest.mark.parametrize("angle", [0, 35, -110])
def test_a_face_is_upright_in_its_square(angle):
    frontal = head_points((0, 0, 0))
    photo = warp_points(box_warp(SquareBox(50, 60, 90, angle), 60), frontal)
    assert upright_angle(photo) == pytest.approx(upright_angle(frontal) + angle)
    square = upright_square(photo)
    assert square[:3] == square_box(photo)[:3]
    points = warp_points(invert_warp(box_warp(square, 60)), photo)
    eyes, mouth = points[EYES].mean(0), points[MOUTH].mean(0)
    assert eyes[0] == pytest.approx(mouth[0]) and eyes[1] < mouth[1]
    mirrored = mirror_landmarks(photo, 100)
    assert upright_square(mirrored) == pytest.approx(square.mirrored(100))


def test_what_has_no_eyes_or_mouth_is_not_turned():
    assert upright_angle(np.zeros((68, 2))) == 0
    assert upright_angle(np.full((68, 3), np.nan)) == 0


def test_border_continues_beyond_the_image():
    image = picture()
    cut, _ = crop(image, SquareBox(0, 0, 60), 60)
    assert np.array_equal(cut[30:, 30:], image[:30, :30])
    assert (cut[:30, :30] == image[0, 0]).all()
    assert np.array_equal(cut[:30, 30:], np.broadcast_to(image[0, :30], (30, 30, 3)))


@pytest.mark.parametrize("side", [20, 200])
def test_box_outside_the_image_shows_its_corner(side):
    image = np.full((40, 40, 3), 90, np.uint8)
    image[:4, :4] = 200
    cut, _ = crop(image, SquareBox(-500, -500, side), 20)
    assert (cut == 200).all()


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_small_crops_do_not_alias(factor):
    """A chessboard of pixels becomes grey rather than a pattern of its own."""
    board = (np.indices((96, 96)).sum(0) % 2 * 255).astype(np.uint8)
    cut, _ = crop(board, SquareBox(48, 48, 96), 96 // factor)
    assert np.abs(cut.astype(float) - 127.5).max() < (29 if factor == 3 else 2)


def test_whole_reductions_average_blocks():
    image = picture(height=80, width=80)
    cut, _ = crop(image, SquareBox(40, 40, 80), 20)
    expected = cv2.resize(image, (20, 20), interpolation=cv2.INTER_AREA)
    assert np.abs(cut.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    "image, warp, message",
    [
        (np.zeros((0, 5, 3), np.uint8), np.eye(3)[:2], "with pixels"),
        (np.zeros((5,), np.uint8), np.eye(3)[:2], "with pixels"),
        (np.zeros((5, 5), np.uint8), np.eye(3), "finite"),
        (np.zeros((5, 5), np.uint8), np.full((2, 3), np.nan), "finite"),
    ],
)
def test_warp_image_refuses(image, warp, message):
    with pytest.raises(ValueError, match=message):
        warp_image(image, warp, 8)


WARP = np.array([[1.2, -0.5, 3.0], [0.4, 0.9, -7.0]])


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_warps_move_points_and_back(convert, dimensions):
    points = convert(np.random.default_rng(0).normal(size=(4, 68, dimensions)))
    warp = convert(WARP)
    moved = warp_points(warp, points)
    np.testing.assert_allclose(
        moved[1, 7, :2], WARP[:, :2] @ np.asarray(points[1, 7, :2]) + WARP[:, 2]
    )
    if dimensions == 3:
        scale = np.sqrt(np.linalg.det(WARP[:, :2]))
        np.testing.assert_allclose(moved[..., 2], points[..., 2] * scale)
    np.testing.assert_allclose(warp_points(invert_warp(warp), moved), points, atol=1e-9)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_many_warps_broadcast_over_points(convert):
    rng = np.random.default_rng(0)
    warps, points = convert(rng.normal(size=(3, 2, 2, 3))), convert(rng.normal(size=(5, 3)))
    moved = warp_points(warps, points)
    assert moved.shape == (3, 2, 5, 3)
    np.testing.assert_allclose(moved[2, 1], warp_points(warps[2, 1], points))
    np.testing.assert_allclose(invert_warp(warps)[2, 1], invert_warp(warps[2, 1]))


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_collapsing_warps_have_no_inverse(convert):
    with pytest.raises((np.linalg.LinAlgError, torch.linalg.LinAlgError)):
        invert_warp(convert(np.zeros((2, 3))))
