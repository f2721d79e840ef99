import json

import pytest

from pgnface._errors import UserError
from pgnface.evaluation.protocols.synthetic import evaluate_synthetic, held_out_people


@pytest.fixture(scope="module")
def faces(tiny_network):
    return held_out_people(tiny_network.model, 4, tiny_network.config.image_size)


def test_report_and_files(tiny_network, faces, tmp_path):
    report = evaluate_synthetic(tiny_network, faces=faces, output=tmp_path)
    assert report.facts["people"] == 4 and report.facts["images"] == 8
    assert sum(report.nme["2d"]["position_map"].counts) == 8
    # An untrained network predicts the mean face.
    assert report.shape["network"] == pytest.approx(report.shape["mean_face"], rel=0.2)
    assert report.shape["mean_face"] > 0.1
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    assert numbers["pose"]["as_predicted"]["count"] <= 8
    for name in ("cumulative_error.png", "faces.png"):
        assert (tmp_path / name).stat().st_size > 1000


def test_people_do_not_depend_on_the_size_of_pictures(tiny_network, faces):
    larger = held_out_people(tiny_network.model, 4, 2 * tiny_network.config.image_size)
    assert (larger.identity == faces.identity).all()
    assert (larger.landmarks / 2 - faces.landmarks)[..., :2].abs().max() < 0.05


def test_bad_arguments(tiny_network, tmp_path):
    with pytest.raises(UserError, match="people and batch size"):
        evaluate_synthetic(tiny_network, people=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to the folder"):
        evaluate_synthetic(tiny_network, output=tmp_path / "file" / "out")
