import cv2
import numpy as np
import pytest

from pgnface.data.cropping import BOX_SCALE, SquareBox, square_box
from pgnface.experiments import measure_robustness
from pgnface.experiments.faces import rendered_faces
from pgnface.experiments.robustness import CONDITIONS, blur, occlude, reduce, resize, shift
from pgnface.experiments.tables import write_robustness
from tests.training.faces import SIZE, tiny_network

BOX = SquareBox(50.0, 50.0, 60.0)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 120, (100, 100, 3), dtype=np.uint8)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_first_strength_changes_nothing(name, image, rng):
    changed, box = CONDITIONS[name].change(image, BOX, CONDITIONS[name].strengths[0], rng)
    assert np.array_equal(changed, image) and box == pytest.approx(BOX)


def test_occluder_covers_its_share_of_the_face(image, rng):
    changed, box = occlude(image, BOX, 0.25, rng)
    covered = (changed == 127).all(-1)
    assert box == BOX and covered.sum() == pytest.approx(0.25 * (60 / BOX_SCALE) ** 2, rel=0.1)
    rows, columns = np.nonzero(covered)
    half = 30 / BOX_SCALE + 1
    assert (abs(np.array([rows, columns]) - 50) <= half).all()


def test_blur_and_resolution_follow_the_face(image, rng):
    """Strengths are relative to the crop, so a larger face loses as much."""
    large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    doubled = SquareBox(100.0, 100.0, 120.0)
    for change, strength in ((blur, 3), (reduce, 12)):
        small, _ = change(image, BOX, strength, rng)
        other, _ = change(large, doubled, strength, rng)
        other = cv2.resize(other, (100, 100), interpolation=cv2.INTER_AREA)
        difference = abs(small.astype(float) - other).mean()
        assert difference < 0.25 * abs(small.astype(float) - image).mean()


def test_boxes(image, rng):
    _, moved = shift(image, BOX, 10, rng)
    assert np.hypot(moved.x - BOX.x, moved.y - BOX.y) == pytest.approx(6)
    sides = {round(resize(image, BOX, 20, rng)[1].side, 3) for _ in range(20)}
    assert sides == {72.0, 50.0}


def test_table(tmp_path):
    network = tiny_network()
    faces = rendered_faces(network.model, 5, SIZE)
    assert len(faces) == 5
    table = measure_robustness(network, faces, batch_size=2)
    again = measure_robustness(network, faces)  # in one batch: the same pictures
    for name, values in table.items():
        assert again[name] == pytest.approx(values, rel=1e-4)
    unchanged = {table[name][f"{c.strengths[0]:g}"] for name, c in CONDITIONS.items()}
    assert max(unchanged) - min(unchanged) < 1e-4
    assert set(table) == {*CONDITIONS, "yaw"}
    text = write_robustness({"a": table, "b": table}, tmp_path, 5)
    assert text.count("| a |") == len(CONDITIONS) + 1
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".png"}
    with pytest.raises(ValueError, match="at least one"):
        measure_robustness(network, [])


def test_rendered_faces_are_where_they_are_said_to_be():
    network = tiny_network()
    for face in rendered_faces(network.model, 3, 64):
        box = square_box(face.landmarks)
        assert abs(box.x - 32) < 10 and 45 < box.side < 85
