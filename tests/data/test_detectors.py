import pickle
import sys

import numpy as np
import pytest
from skimage.data import astronaut

from pgnface._errors import UserError
from pgnface.data.blazeface import BlazeFaceDetector
from pgnface.data.cropping import SquareBox
from pgnface.data.detectors import (
    HaarDetector,
    build_detector,
    intersection_over_union,
    suppress_overlaps,
)

# Around the astronaut's face, as square_box of its landmarks would have it.
FACE = SquareBox(222, 120, 125)


@pytest.fixture(scope="module")
def haar():
    return HaarDetector()


@pytest.fixture(scope="module")
def portrait():
    return np.ascontiguousarray(astronaut()[:256, 64:384])


def test_finds_a_face_in_a_portrait(haar, portrait):
    found = haar(portrait)
    expected = FACE._replace(x=FACE.x - 64)
    assert len(found) == 1 and intersection_over_union(found[0], expected) > 0.6
    again = pickle.loads(pickle.dumps(haar))(portrait)
    assert again == found


def test_box_scales_with_the_photo(haar, portrait):
    large = haar(portrait.repeat(3, 0).repeat(3, 1))
    assert len(large) == 1
    expected = SquareBox(3 * (FACE.x - 64), 3 * FACE.y, 3 * FACE.side)
    assert intersection_over_union(large[0], expected) > 0.6


def test_finds_several_faces(haar, portrait):
    found = haar(np.concatenate((portrait, portrait), 1))
    assert len(found) == 2
    left, right = sorted(found)
    assert right.x - left.x == pytest.approx(320, abs=8)
    assert [box.side for box in found] == sorted((box.side for box in found), reverse=True)


@pytest.mark.parametrize("shape", [(100, 120, 3), (10, 10, 3), (1, 300, 3)])
def test_finds_nothing_where_nothing_is(haar, shape):
    assert haar(np.full(shape, 128, np.uint8)) == []


def test_names(monkeypatch):
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    assert isinstance(build_detector(), BlazeFaceDetector)
    assert isinstance(build_detector("haar"), HaarDetector)
    with pytest.raises(
        UserError, match=r"one of auto, blazeface, haar, face-alignment, .*, got 'eyes'"
    ):
        build_detector("eyes")
    with pytest.raises(UserError, match=r"not installed: pip install 'pgnface\[detect\]'"):
        build_detector("face-alignment")


def test_intersection_over_union():
    box = SquareBox(10, 10, 10)
    assert intersection_over_union(box, box) == 1
    assert intersection_over_union(box, box._replace(x=15)) == pytest.approx(1 / 3)
    assert intersection_over_union(box, box._replace(x=20)) == 0


def test_the_best_scored_of_overlapping_boxes_stays():
    a, b, far = SquareBox(10, 10, 10), SquareBox(11, 10, 10), SquareBox(50, 10, 10)
    assert suppress_overlaps([(0.5, a), (0.9, b), (0.1, far)]) == [b, far]
    assert suppress_overlaps([(0.9, b)], kept=[a]) == [a]
    assert suppress_overlaps([]) == []
