"""Teachers measured on photos with labels, by teachers that know the answers."""

import json

import numpy as np
import pytest
import torch

from pgnface import cli
from pgnface._errors import UserError
from pgnface.data.cropping import SquareBox
from pgnface.data.images import read_image
from pgnface.data.labelling import teach_landmarks
from pgnface.data.teachers import Calibration, YawWeights, calibrate
from pgnface.data.teachers.calibration import open_teachers
from pgnface.morphable import save_model
from pgnface.training.checkpoint import save_weights
from tests.data.faces import encoded, write_annotation, write_shard
from tests.training.faces import tiny_network

COUNT = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos whose grey value is their number; the truth by number."""
    root, truth = tmp_path_factory.mktemp("photos"), {}
    for i in range(COUNT):
        path = root / f"face{i:03d}.png"
        path.write_bytes(encoded(np.full((60, 60, 3), i, np.uint8), ".png"))
        truth[i] = write_annotation(path.with_suffix(".mat"), (0.0, float(i % 7), 0.0))
    return root, truth


class Knowing:
    """Says the truth with errors of a standard deviation in pixels, the same on both sides."""

    def __init__(self, truth, sigma, blind=()):
        self.truth, self.sigma, self.blind, self.digest = truth, sigma, blind, f"{sigma}"

    def both_sides(self, images, boxes):
        answers = []
        for image in images:
            number = int(image[0, 0, 0])
            noise = np.random.default_rng([number, int(10 * self.sigma)]).normal(0, 1, (68, 3))
            known = self.truth[number] + self.sigma * noise
            answers.append(known if number not in self.blind else known * np.nan)
        answer = torch.from_numpy(np.stack(answers)).float()
        return answer, answer


def test_errors_and_weights(folder):
    root, truth = folder
    found = calibrate(root, [Knowing(truth, 1.0), Knowing(truth, 2.0, blind=(81,))], {})
    assert found.faces == 20 and found.seen == [20, 19, 20]
    np.testing.assert_allclose(found.weights.weights[0], [0.8, 0.2], atol=0.06)
    first, second, together = (row[-1] for row in found.errors)
    # A distance in the plane is on average sqrt(pi / 2) standard deviations.
    size = np.mean([np.sqrt(np.ptp(truth[i][:, :2], axis=0).prod()) for i in range(80, 100)])
    assert first == pytest.approx(100 * (np.pi / 2) ** 0.5 / size, rel=0.05)
    assert second == pytest.approx(2 * first, rel=0.07)
    assert together == pytest.approx(first * 0.8**0.5, rel=0.05)


def test_who_sees_nothing_does_not_count(folder):
    _, truth = folder
    teachers = [Knowing(truth, 0.0), Knowing(truth, 3.0, blind=(1, 2)), Knowing(truth, 0.0, (2,))]
    teachers[0].blind = (2,)
    images = [np.full((60, 60, 3), i, np.uint8) for i in range(3)]
    boxes = [SquareBox(30, 30, 40)] * 3
    weights = YawWeights(np.array([0.0]), np.array([[0.5, 0.5, 0.0]]))
    taught = teach_landmarks(teachers, images, boxes, weights)
    assert taught.landmarks[2].isnan().all() and taught.spread[2].isnan()
    expected = truth[1] - [0, 0, truth[1][:, 2].mean()]
    np.testing.assert_allclose(taught.landmarks[1], expected, atol=1e-4)
    assert taught.spread[1] == pytest.approx(0, abs=1e-3)
    half = (taught.landmarks[0].numpy() - truth[0])[:, :2]
    assert np.std(half) == pytest.approx(1.5, rel=0.15)


def test_files(tmp_path):
    weights = YawWeights(np.array([5.0, 40.0]), np.array([[0.25, 0.75], [1.0, 0.0]]))
    saved = Calibration(weights, [[1.0, 2.0, 3.0, 2.0]], [6], 7, {"a.jpg": "is empty"}, "abc")
    saved.save(tmp_path / "c.json")
    again = Calibration.load(tmp_path / "c.json")
    np.testing.assert_array_equal(again.weights.weights, weights.weights)
    assert (again.errors, again.seen, again.faces, again.skipped, again.what) == (
        *(saved.errors, [6], 7, saved.skipped, "abc"),
    )
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(UserError, match=r"c\.json: is no calibration"):
        Calibration.load(tmp_path / "c.json")


def test_mistakes(tmp_path):
    with pytest.raises(UserError, match="at least one teacher"):
        open_teachers((), None, None, tmp_path)
    with pytest.raises(UserError, match="--facemesh needs --calibration"):
        open_teachers((), tmp_path / "f.tflite", None, tmp_path)


def test_command(folder, tmp_path, capsys):
    """The second call takes the calibration of the first."""
    network = tiny_network()
    save_model(network.model, tmp_path / "model.npz")
    save_weights(network, tmp_path / "t.safetensors", model_name=str(tmp_path / "model.npz"))
    (tmp_path / "in").mkdir()
    photo = encoded(read_image(folder[0] / "face050.png"), ".png")
    write_shard(tmp_path / "in/a.tar", {f"{i}.png": photo for i in range(2)})
    command = ["data", "label", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    command += ["--checkpoints", str(tmp_path / "t.safetensors"), "--calibration", str(folder[0])]
    cli.main([*command, "--largest-spread", "1000", "--picture", "2"])
    printed = capsys.readouterr().out
    assert "NME (%) of 20 validating photos" in printed and "faces labelled" in printed
    assert (tmp_path / "out/labels.png").is_file()
    before = (tmp_path / "out/calibration.json").stat().st_mtime_ns
    cli.main([*command, "--largest-spread", "1000", "--json"])
    assert json.loads(capsys.readouterr().out)["labelled"] == 2
    assert (tmp_path / "out/calibration.json").stat().st_mtime_ns == before
