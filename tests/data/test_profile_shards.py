import json

import numpy as np
import pytest
import torch

from pgnface import cli
from pgnface._errors import NothingFoundError, UserError
from pgnface.data.profile_shards import profile_shards
from pgnface.data.shards import ShardSource, known_landmarks, read_shard
from pgnface.data.surface_fit import fit_surfaces
from pgnface.data.turn_rule import TurnRule
from pgnface.geometry import angles_from_rotation
from pgnface.morphable import save_model
from tests.models import tiny_model

from .faces import SIZE, encoded, head_points, picture, write_shard

TURNS = TurnRule((20.0, 35.0), smallest=40.0, largest=85.0)


def about(yaw, **changes):
    content = {"landmarks": head_points((5.0, yaw, -8.0)).tolist(), "identity": "anna"}
    return json.dumps({**content, **changes}).encode()


@pytest.fixture
def shards(tmp_path):
    """Yaws of 10, -30 and 80 degrees; and one image without landmarks, one that is none."""
    (tmp_path / "in").mkdir()
    image = encoded(picture())
    files = {}
    for name, yaw in (("a", 10.0), ("b", -30.0), ("c", 80.0)):
        files |= {f"{name}.jpg": image, f"{name}.json": about(yaw)}
    flat = about(0.0, landmarks=head_points()[:, :2].tolist())
    write_shard(tmp_path / "in/first.tar", files)
    files = {"d.jpg": image, "e.jpg": b"nothing", "e.json": about(0.0)}
    write_shard(tmp_path / "in/second.tar", {**files, "f.jpg": image, "f.json": flat})
    return tmp_path / "in"


def yaw_of(landmarks):
    fitted = fit_surfaces(tiny_model(), torch.tensor(landmarks)[None])
    return float(angles_from_rotation(fitted.pose.rotation)[0, 1])


def test_faces_are_turned_with_their_labels(shards, tmp_path):
    counts = profile_shards(shards, tmp_path / "out", tiny_model(), TURNS)
    assert counts == {"written": 3, "skipped": 4}
    images = {i.name: i for i in read_shard(tmp_path / "out/first.tar", {})}
    expected = {"first.tar/a_2": 45.0, "first.tar/b_1": -50.0, "first.tar/b_2": -65.0}
    assert images.keys() == expected.keys()
    for name, yaw in expected.items():
        points = known_landmarks(images[name]).points
        assert yaw_of(points) == pytest.approx(yaw, abs=1.0)
        assert images[name].about["identity"] == "anna"
        box = images[name].about["crop_box"]
        np.testing.assert_allclose(box[2], 1.35 * np.ptp(points[:, :2], 0).max(), atol=0.02)
    lines = (tmp_path / "out/skipped.jsonl").read_text().splitlines()
    skipped = {line["source"]: line["detail"] for line in map(json.loads, lines)}
    assert "no turn of a yaw of 80 degrees" in skipped["first.tar/c"]
    assert "no landmarks" in skipped["second.tar/d"]
    assert "not an image" in skipped["second.tar/e"]
    assert "68 landmarks in 3D" in skipped["second.tar/f"]


def test_what_is_written_trains(shards, tmp_path):
    profile_shards(shards, tmp_path / "out", tiny_model(), TURNS)
    source = ShardSource(tmp_path / "out", SIZE, frames=1)
    assert len(source) == 3
    batch = source.batch(0, 3)
    assert batch.annotated.all() and (batch.landmark_weights > 0).all()


def test_the_same_call_continues_and_another_is_refused(shards, tmp_path):
    profile_shards(shards, tmp_path / "out", tiny_model(), TURNS)
    before = (tmp_path / "out/first.tar").stat().st_mtime_ns
    seen = []
    profile_shards(
        shards, tmp_path / "out", tiny_model(), TURNS, advance=lambda *done: seen.append(done)
    )
    assert (tmp_path / "out/first.tar").stat().st_mtime_ns == before and seen[-1] == (2, 2)
    with pytest.raises(UserError, match="made otherwise: turns differ"):
        profile_shards(shards, tmp_path / "out", tiny_model(), TurnRule((20.0,)))


def test_mistakes(shards, tmp_path):
    with pytest.raises(UserError, match="yaws must be positive"):
        profile_shards(shards, tmp_path / "out", tiny_model(), TurnRule(()))
    with pytest.raises(UserError, match="holds the shards"):
        profile_shards(shards, shards, tiny_model(), TURNS)
    with pytest.raises(NothingFoundError, match="nothing to write"):
        profile_shards(shards / "second.tar", tmp_path / "out", tiny_model(), TURNS)
    with pytest.raises(FileNotFoundError):
        profile_shards(tmp_path / "none.tar", tmp_path / "out", tiny_model(), TURNS)


def test_command(shards, tmp_path, capsys):
    save_model(tiny_model(), tmp_path / "model.npz")
    command = ["data", "profile", str(shards), "--output", str(tmp_path / "o")]
    options = ["--model", str(tmp_path / "model.npz"), "--yaws", "20", "35", "--smallest", "40"]
    cli.main([*command, *options, "--json"])
    assert json.loads(capsys.readouterr().out) == {"written": 3, "skipped": 4}
    cli.main([*command, *options])
    assert "turned faces written" in capsys.readouterr().out
