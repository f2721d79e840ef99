import pickle

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, page

from pgnface.data.blazeface import (
    BlazeFaceDetector,
    Detection,
    drop_parts,
    merge_overlaps,
    turn_back,
)
from pgnface.data.cropping import SquareBox
from pgnface.data.detectors import build_detector, detect_many, intersection_over_union

# Around the astronaut's face, as square_box of its landmarks would have it; her eyes, as seen.
FACE = SquareBox(222, 120, 125)
EYES = {0: (202, 101), 1: (246, 103)}


@pytest.fixture(scope="module")
def detector():
    return build_detector("blazeface", device="cpu")


def detection(score, x, y, side):
    return Detection(score, np.array([x, y, side, side], np.float32), np.full((6, 2), x, "f4"))


def test_finds_the_face_and_its_eyes(detector):
    (face,) = detector.detect([astronaut()])[0]
    assert intersection_over_union(face.square, FACE) > 0.75
    for i, seen in EYES.items():
        assert np.hypot(*(face.keypoints[i] - seen)) < 5
    assert detector(astronaut()) == [face.square]
    assert pickle.loads(pickle.dumps(detector))(astronaut()) == [face.square]


# A face on its head is just seen without turning the photo, so its square is a rough one.
@pytest.mark.parametrize(("quarters", "overlap"), [(1, 0.7), (2, 0.45), (3, 0.7)])
def test_finds_a_face_in_a_turned_photo(detector, quarters, overlap):
    image = np.ascontiguousarray(np.rot90(astronaut(), quarters))
    found = detector.detect([image])[0]
    x, y = FACE.x, FACE.y
    for _ in range(quarters):
        x, y = y, 512 - x
    assert intersection_over_union(found[0].square, FACE._replace(x=x, y=y)) > overlap


@pytest.mark.parametrize("factor", [0.15, 2.5])
def test_square_scales_with_the_photo(detector, factor):
    image = cv2.resize(astronaut(), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    box = detector(image)[0]
    expected = SquareBox(*(factor * value for value in FACE))
    assert intersection_over_union(box, expected) > 0.7


def test_finds_small_faces_in_a_large_photo(detector):
    image = np.full((1000, 1500, 3), 90, np.uint8)
    small = cv2.resize(astronaut(), (128, 128), interpolation=cv2.INTER_AREA)
    corners = [(40, 60), (1200, 100), (700, 800)]
    for x, y in corners:
        image[y : y + 128, x : x + 128] = small
    found = detector(image)
    assert len(found) == 3
    for (x, y), box in zip(sorted(corners), sorted(found), strict=True):
        # The network sees 20 pixels of them, too few for a sure tilt.
        assert intersection_over_union(box, SquareBox(x + 55.5, y + 30, 31)) > 0.5


def test_images_together_as_alone(detector):
    images = [astronaut(), astronaut()[:256], np.ascontiguousarray(astronaut()[:, ::-1])]
    together = detect_many(detector, images)
    for image, boxes in zip(images, together, strict=True):
        np.testing.assert_allclose(boxes, detector(image), atol=0.1)
    assert detector.batch([]) == []


@pytest.mark.parametrize("shape", [(100, 120, 3), (10, 10, 3), (1, 300, 3), (300, 1, 3)])
def test_finds_nothing_where_nothing_is(detector, shape):
    assert detector(np.full(shape, 128, np.uint8)) == []


def test_finds_nothing_in_a_text(detector):
    assert detector(np.repeat(page()[..., None], 3, 2)) == []


def test_what_is_a_little_below_the_threshold_counts_when_it_is_alone():
    (face,) = BlazeFaceDetector(device="cpu", threshold=0.95).detect([astronaut()])[0]
    assert 0.85 < face.score < 0.95
    assert BlazeFaceDetector(device="cpu", threshold=1.2)(astronaut()) == []


def test_detections_that_overlap_are_blended_by_score():
    faces = [detection(0.6, 10, 10, 20), detection(0.9, 12, 10, 20), detection(0.7, 60, 10, 20)]
    best, other = merge_overlaps(faces, 0.3)
    assert best.score == 0.9 and other.score == 0.7
    np.testing.assert_allclose(best.box, [(0.6 * 10 + 0.9 * 12) / 1.5, 10, 20, 20], rtol=1e-6)
    np.testing.assert_allclose(best.keypoints, best.box[0])
    np.testing.assert_array_equal(other.box, faces[2].box)
    assert merge_overlaps([], 0.3) == []
    (nothing,) = merge_overlaps([detection(0.0, 50, 50, 20), detection(0.0, 51, 50, 20)], 0.3)
    assert np.isfinite(nothing.box).all()


def test_what_is_trusted_less_counts_less():
    faces = [detection(0.9, 10, 10, 20)._replace(trust=0.5), detection(0.6, 12, 10, 20)]
    (face,) = merge_overlaps(faces, 0.3)
    assert face.score == 0.9 and face.box[0] == pytest.approx((0.45 * 10 + 0.6 * 12) / 1.05)


def test_detections_that_hardly_overlap_stay():
    # Half of each is shared: a third in intersection over union.
    faces = [detection(0.9, 0, 0, 20), detection(0.8, 10, 0, 20)]
    assert len(merge_overlaps(faces, 0.34)) == 2 and len(merge_overlaps(faces, 0.33)) == 1


def test_parts_of_better_scored_faces_are_dropped():
    face, eye, beside = (
        detection(0.9, 0, 0, 20),
        detection(0.8, 5, -5, 5),
        detection(0.7, 18, 0, 20),
    )
    kept = drop_parts([eye, beside, face], 0.6)
    assert [entry.score for entry in kept] == [0.9, 0.7]
    # A box around two faces that are better scored goes, too.
    wide = detection(0.6, 9, 0, 50)
    assert [entry.score for entry in drop_parts([wide, face, beside], 0.6)] == [0.9, 0.7]
    assert drop_parts([], 0.6) == []


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turning_back(quarters):
    image = np.zeros((30, 50), np.uint8)
    image[4, 7] = 1
    (y,), (x,) = np.nonzero(np.rot90(image, quarters))
    size = (8, 6) if quarters % 2 else (6, 8)
    points = np.tile(np.array([[x + 0.5, y + 0.5]]), (6, 1))
    face = Detection(0.9, np.array([x + 0.5, y + 0.5, *size]), points)
    back = turn_back(face, image.shape, quarters)
    assert back.box.tolist() == [7.5, 4.5, 6, 8] and (back.keypoints == [7.5, 4.5]).all()
