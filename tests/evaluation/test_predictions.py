import numpy as np
import pytest

from pgnface._errors import NothingFoundError, UserError
from pgnface.data.cropping import SquareBox
from pgnface.evaluation.predictions import (
    FolderPredictions,
    NetworkPredictions,
    open_predictions,
)

from .protocols.faces import face_mesh, write_mesh

IMAGE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)


@pytest.fixture
def boxes(monkeypatch):
    found = [SquareBox(32.0, 32.0, 40.0)]
    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda _: lambda _: found)
    return found


def test_a_neutral_face_and_one_with_expression(tiny_network, boxes):
    neutral = NetworkPredictions(tiny_network, landmarks=(30, 8)).of_image(IMAGE)
    model = tiny_network.model
    assert neutral.vertices.shape == (model.vertex_count, 3)
    assert np.allclose(neutral.landmarks, neutral.vertices[model.landmarks[[30, 8]].numpy()])
    lively = NetworkPredictions(tiny_network, landmarks=(30,), expression=True).of_image(IMAGE)
    difference = (lively.vertices - neutral.vertices).reshape(-1)
    basis = model.expression_basis.double().reshape(model.expression_count, -1).numpy()
    assert np.linalg.lstsq(basis.T, difference)[1].sum() < 1e-6


def test_a_posed_face_lies_in_the_picture(tiny_network, boxes):
    predict = NetworkPredictions(tiny_network, landmarks=range(68), expression=True)
    posed, own = predict.of_image(IMAGE, posed=True), predict.of_image(IMAGE)
    sizes = [np.linalg.norm(face.vertices - face.vertices.mean(0)) for face in (posed, own)]
    assert sizes[0] != pytest.approx(sizes[1], rel=1e-3)
    assert posed.vertices[:, :2].mean(0) == pytest.approx([32, 32], abs=30)


def test_no_face(tiny_network, boxes):
    boxes.clear()
    with pytest.raises(NothingFoundError, match="no face found"):
        NetworkPredictions(tiny_network, landmarks=(30,)).of_image(IMAGE)


def test_a_folder(tmp_path):
    vertices, triangles, ids = face_mesh(divisions=0)
    write_mesh(tmp_path / "a/b.obj", vertices, triangles)
    np.save(tmp_path / "a/b.npy", vertices[ids[:7]])
    predict = open_predictions("default", tmp_path, landmarks=range(7))
    assert isinstance(predict, FolderPredictions) and predict.source == str(tmp_path)
    assert np.allclose(predict("a/b").landmarks, vertices[ids[:7]])
    with pytest.raises(UserError, match=r"c: expected a mesh"):
        predict("c")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        open_predictions("default", tmp_path / "none", landmarks=range(7))
