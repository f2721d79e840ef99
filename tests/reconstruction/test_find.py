"""Which detections count as faces."""

import numpy as np
import pytest

from pgnface import reconstruct, reconstruct_person
from pgnface._errors import NothingFoundError
from pgnface.data.cropping import SquareBox
from pgnface.networks import inference
from pgnface.reconstruction import find, pipeline

FACE, WALL = SquareBox(60, 50, 60), SquareBox(200, 50, 80)
IMAGE = np.random.default_rng(0).integers(0, 255, (100, 260, 3), np.uint8)


@pytest.fixture
def doubtful(monkeypatch):
    """The two sides differ by 3 % left of the middle and by 30 % right of it."""

    def twice(network, images, boxes):
        both = inference.predict_faces_twice(network, images, boxes)
        errors = both.mirror_error.new_tensor([3.0 if box.x < 130 else 30.0 for box in boxes])
        return both._replace(mirror_error=errors)

    monkeypatch.setattr(find, "predict_faces_twice", twice)
    monkeypatch.setattr(pipeline, "build_detector", lambda _: lambda image: [WALL, FACE])


def test_what_the_mirror_contradicts_is_left_out_and_noted(doubtful, tiny_network):
    rejected = []
    faces = find.find_faces(tiny_network, IMAGE, lambda _: [WALL, FACE], rejected)
    assert [face.box.x for face in faces] == pytest.approx([60], abs=5)
    assert [round(r.mirror_error) for r in rejected] == [30] and rejected[0].box.x > 130
    assert "differs by 30 % (a face" in str(rejected[0])
    assert len(find.find_faces(tiny_network, IMAGE, lambda _: [WALL, FACE])) == 2
    assert find.find_faces(tiny_network, IMAGE, lambda _: [WALL], rejected) == []
    assert len(rejected) == 2


def test_a_difference_that_is_no_number_counts_as_one(doubtful, tiny_network, monkeypatch):
    def twice(network, images, boxes):
        both = inference.predict_faces_twice(network, images, boxes)
        return both._replace(mirror_error=both.mirror_error * float("nan"))

    monkeypatch.setattr(find, "predict_faces_twice", twice)
    rejected = []
    assert find.find_faces(tiny_network, IMAGE, lambda _: [FACE], rejected) == []
    assert len(rejected) == 1


def test_so_is_what_the_face_model_does_not_fit(tiny_network, monkeypatch):
    def twice(network, images, boxes):
        both = inference.predict_faces_twice(network, images, boxes)
        prediction = both.prediction
        size = (prediction.landmarks.amax(1) - prediction.landmarks.amin(1))[:, :2].prod(-1).sqrt()
        moved = prediction.landmarks.clone()
        moved[1, :, 0] += 0.03 * size[1]
        moved[0, :, 0] += 0.02 * size[0]
        return both._replace(prediction=prediction._replace(posed_landmarks=moved))

    monkeypatch.setattr(find, "predict_faces_twice", twice)
    rejected = []
    faces = find.find_faces(tiny_network, IMAGE, lambda _: [FACE, WALL], rejected)
    assert [round(face.fit_error, 2) for face in faces] == [2.0]
    assert [round(r.fit_error, 2) for r in rejected] == [3.0] and rejected[0].box.x > 130


def test_in_python_a_warning_tells(doubtful, tiny_network):
    with pytest.warns(UserWarning, match="left out as no face"):
        assert len(reconstruct(IMAGE, checkpoint=tiny_network)) == 1
    with pytest.warns(UserWarning, match="left out as no face"):
        person = reconstruct_person([IMAGE[:, ::-1].copy(), IMAGE], checkpoint=tiny_network)
    assert len(person) == 2


def test_a_place_that_the_user_names_is_kept(doubtful, tiny_network, recwarn):
    assert len(reconstruct(IMAGE, checkpoint=tiny_network, box=(170, 20, 230, 80))) == 1
    assert len(reconstruct(IMAGE[:, 140:], checkpoint=tiny_network, detector="none")) == 1
    assert not recwarn.list


@pytest.mark.parametrize("one_person", [False, True])
def test_files_count_and_name_them(doubtful, tiny_network, tmp_path, capsys, one_person):
    from PIL import Image

    Image.fromarray(IMAGE).save(tmp_path / "photo.png")
    summary = pipeline.reconstruct_files(
        [tmp_path / "photo.png"],
        tmp_path / "out",
        checkpoint=tiny_network,
        formats=("ply",),
        one_person=one_person,
    )
    assert (summary.faces, summary.rejected) == (1, 1)
    shown = capsys.readouterr()
    assert "photo.png: a detection at (" in shown.err
    assert "1 detection(s) left out as no face" in shown.out


def test_nothing_but_walls(doubtful, tiny_network, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(pipeline, "build_detector", lambda _: lambda image: [WALL])
    Image.fromarray(IMAGE).save(tmp_path / "photo.png")
    with pytest.raises(NothingFoundError, match=r"1 detection\(s\) left out"):
        pipeline.reconstruct_files(
            [tmp_path / "photo.png"], tmp_path / "out", checkpoint=tiny_network
        )
