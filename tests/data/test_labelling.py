"""Pseudo-labels, by teachers whose answers are known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pgnface import cli
from pgnface._errors import NothingFoundError, UserError
from pgnface.data import labelling
from pgnface.data.cropping import SquareBox, box_warp, upright_angle
from pgnface.data.labelling import label_shards, teach_landmarks
from pgnface.data.shards import ShardSource, read_shard
from pgnface.data.teachers import NetworkTeacher
from pgnface.geometry import Pose
from pgnface.geometry.landmarks import LANDMARK_MIRROR
from pgnface.morphable import save_model
from pgnface.networks import Prediction
from pgnface.training.checkpoint import save_weights
from tests.training.faces import tiny_network

from .faces import encoded, write_shard

CROP = 64


class SpotNetwork(torch.nn.Module):
    """Puts a symmetric face around the bright spot of a crop, a few pixels to its right."""

    def __init__(self, error=0.0):
        super().__init__()
        self.config = SimpleNamespace(image_size=CROP)
        self.landmark_offsets = torch.nn.Parameter(torch.full((68, 3), error))
        shape = torch.randn(68, 3, generator=torch.Generator().manual_seed(0)).clamp(-1.5, 1.5) * 8
        mirrored = shape[list(LANDMARK_MIRROR)] * torch.tensor([-1.0, 1, 1])
        self.shape = (shape + mirrored) / 2

    def forward(self, crops):
        weight = (crops.mean(1) > 0.5).float()
        grid = torch.arange(CROP) + 0.5
        x = (weight.sum(1) * grid).sum(1) / weight.sum((1, 2))
        y = (weight.sum(2) * grid).sum(1) / weight.sum((1, 2))
        points = self.shape + torch.stack((x, y, 0 * x), -1)[:, None]
        points = points + self.landmark_offsets * torch.tensor([1.0, 0, 0])
        n = len(crops)
        pose = Pose(torch.ones(n), torch.eye(3).expand(n, 3, 3), torch.zeros(n, 3))
        other = torch.zeros(n, 68, 3)
        return Prediction(
            *(torch.zeros(n, 1), torch.zeros(n, 1), torch.zeros(n, 3, 2, 2)),
            *(other, other[..., 0], pose, other, points, other),
        )


def spot_teacher(error=0.0):
    return NetworkTeacher(SpotNetwork(error))


def face(x, y, size=90):
    image = np.zeros((size, size, 3), np.uint8)
    image[y - 3 : y + 4, x - 3 : x + 4] = 255
    return image


def test_landmarks_are_in_pixels_of_the_image():
    taught = teach_landmarks([spot_teacher()], [face(40, 50)], [SquareBox(45, 45, 90)])
    middle = taught.landmarks.mean(1)[0].numpy()
    expected = SpotNetwork().shape.mean(0)
    # The second crop is as large as the landmarks of the first: one of its pixels is `scale`.
    scale = 1.35 * float(np.ptp(SpotNetwork().shape[:, :2].numpy(), 0).max()) * 90 / CROP / CROP
    # It is turned, too, as if the stiff shape were that of a face with a roll.
    square = SquareBox(0, 0, scale * CROP, upright_angle(SpotNetwork().shape.numpy()))
    offset = box_warp(square, CROP)[:, :2] @ expected[:2].numpy()
    np.testing.assert_allclose(middle[:2] - offset, [40.5, 50.5], atol=0.3)
    assert float(taught.spread[0]) < 0.5


def test_the_spread_is_that_of_teachers_and_sides():
    """Errors of +-e pixels to the right turn round in the mirror, so the deviation is e."""
    wrong, box = 2.0, SquareBox(45.5, 45.5, float(CROP))
    images = [face(45, 45)]
    alone = teach_landmarks([spot_teacher(wrong)], images, [box], passes=1)
    exact = teach_landmarks([spot_teacher()], images, [box], passes=1)
    torch.testing.assert_close(alone.landmarks, exact.landmarks, atol=1e-3, rtol=0)
    side = float(np.ptp(exact.landmarks[0, :, :2].numpy(), 0).max())
    assert float(alone.spread[0]) == pytest.approx(100 * wrong / side, rel=1e-3)
    both = teach_landmarks([spot_teacher(wrong), spot_teacher()], images, [box], passes=1)
    assert float(both.spread[0]) == pytest.approx(100 * wrong / side / 2**0.5, rel=1e-3)


@pytest.fixture
def shards(tmp_path):
    good = {f"{i}.png": encoded(face(35 + 3 * i, 45), ".png") for i in range(3)}
    good = {"0.json": b'{"identity": "anna"}', **good}
    (tmp_path / "in").mkdir()
    write_shard(tmp_path / "in/a.tar", good)
    write_shard(tmp_path / "in/b.tar", {"x.png": good["1.png"], "broken.jpg": b"nothing"})
    return tmp_path / "in"


def test_shards_are_written_again_with_landmarks(shards, tmp_path):
    seen = []
    counts = label_shards(
        shards, tmp_path / "out", [spot_teacher()], advance=lambda *done: seen.append(done)
    )
    assert counts == {"labelled": 4, "skipped": 1} and seen == [(1, 2), (2, 2)]
    old, new = (
        {i.name: i for i in read_shard(f / "a.tar", {})} for f in (shards, tmp_path / "out")
    )
    assert [(i.data, i.suffix) for i in old.values()] == [(i.data, i.suffix) for i in new.values()]
    assert new["a.tar/0"].about["identity"] == "anna"
    middle = np.mean(new["a.tar/2"].about["landmarks"], 0)
    np.testing.assert_allclose(middle[0], 41.5, atol=1.5)
    source = ShardSource(tmp_path / "out", 32, frames=1)
    batch = source.batch(0, 4)
    assert batch.landmark_weights.min() == 1 and batch.annotated.all()
    line = json.loads((tmp_path / "out/skipped.jsonl").read_text())
    assert line["source"] == "b.tar/broken"


def test_the_same_call_continues(shards, tmp_path, monkeypatch):
    label_shards(shards, tmp_path / "out", [spot_teacher()])
    before = (tmp_path / "out/a.tar").read_bytes()
    (tmp_path / "out/b.tar").unlink()
    asked = []
    teach = labelling.teach_landmarks
    monkeypatch.setattr(
        labelling,
        "teach_landmarks",
        lambda t, i, b, **k: asked.append(len(i)) or teach(t, i, b, **k),
    )
    counts = label_shards(shards, tmp_path / "out", [spot_teacher()])
    assert asked == [1] and counts == {"labelled": 4, "skipped": 1}
    assert (tmp_path / "out/a.tar").read_bytes() == before
    with pytest.raises(UserError, match="made otherwise: teachers differ"):
        label_shards(shards, tmp_path / "out", [spot_teacher(1.0)])


def test_faces_on_which_the_teachers_differ_are_left_out(shards, tmp_path):
    with pytest.raises(NothingFoundError, match="nothing to write"):
        label_shards(shards, tmp_path / "out", [spot_teacher(10.0)])
    lines = (tmp_path / "out/skipped.jsonl").read_text().splitlines()
    assert len(lines) == 5 and sum("teachers differ by" in line for line in lines) == 4


def test_mistakes(shards, tmp_path):
    with pytest.raises(UserError, match="at least one network"):
        label_shards(shards, tmp_path / "out", [])
    with pytest.raises(UserError, match="holds the shards"):
        label_shards(shards, shards, [spot_teacher()])
    with pytest.raises(UserError, match="largest_spread must be positive"):
        label_shards(shards, tmp_path / "out", [spot_teacher()], largest_spread=0)
    with pytest.raises(FileNotFoundError):
        label_shards(tmp_path / "none.tar", tmp_path / "out", [spot_teacher()])


def test_command(shards, tmp_path, capsys):
    network = tiny_network()
    save_model(network.model, tmp_path / "model.npz")
    save_weights(network, tmp_path / "t.safetensors", model_name=str(tmp_path / "model.npz"))
    arguments = ["--checkpoints", str(tmp_path / "t.safetensors"), "--largest-spread", "1000"]
    cli.main(["data", "label", str(shards), "--output", str(tmp_path / "o"), *arguments, "--json"])
    assert json.loads(capsys.readouterr().out) == {"labelled": 4, "skipped": 1}
