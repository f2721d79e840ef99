import pytest
import torch

from pgnface.geometry import Pose, rotation_distance, rotation_from_angles
from pgnface.training.validation import (
    calibrate,
    calibration_batches,
    held_out_batches,
    validate,
)

from .faces import LabelledSource, tiny_network


def answering(network, batch, monkeypatch, turn=None):
    """Make a network answer with a batch's labels, heads turned in model space by ``turn``."""
    rotation = batch.pose.rotation.flatten(0, 1)
    prediction = network(batch.images)
    pose = Pose(
        batch.pose.scale.flatten(),
        rotation if turn is None else rotation @ turn,
        batch.pose.translation.flatten(0, 1),
    )
    landmarks = batch.landmarks.flatten(0, 1)
    answer = prediction._replace(
        identity=batch.identity.repeat_interleave(batch.frames, 0),
        landmarks=landmarks,
        annotated_landmarks=landmarks + 1,
        posed_landmarks=landmarks,
        posed_annotated_landmarks=landmarks + 1,
        pose=pose,
    )
    monkeypatch.setattr(network, "forward", lambda image: answer)


def test_a_perfect_answer_has_no_error(monkeypatch):
    network = tiny_network().eval()
    batch = LabelledSource(frames=2).batch(0, 4)
    answering(network, batch, monkeypatch)
    result = validate(network, [batch])
    assert set(result) == {"nme", "posed_nme", "pose", "shape_mm"}
    assert all(value == pytest.approx(0, abs=1e-3) for value in result.values())


def test_annotated_faces_are_measured_in_their_style(monkeypatch):
    network = tiny_network().eval()
    batch = LabelledSource(annotated=True).batch(0, 4)
    answering(network, batch, monkeypatch)
    result = validate(network, [batch])
    assert set(result) == {"nme", "posed_nme", "pose"}
    assert result["nme"] > 1 and result["posed_nme"] > 1


def test_calibration_finds_the_constant_rotation_in_spite_of_outliers(monkeypatch):
    network = tiny_network().eval()
    turn = rotation_from_angles(torch.tensor([5.0, -3.0, 2.0]))
    batch = LabelledSource(annotated=True).batch(0, 8)
    answering(network, batch, monkeypatch, turn)
    batch.pose.rotation[3] = -batch.pose.rotation[3].flip(-1)
    assert calibrate(network, [batch]) == 7
    assert rotation_distance(network.pose_offset, turn.T) < 0.01
    pose = network(batch.images).pose
    error = rotation_distance(network.annotated_rotation(pose), batch.pose.rotation[:, 0])
    assert error[:3].max() < 0.01


def test_without_annotated_poses_nothing_is_calibrated():
    network = tiny_network().eval()
    assert calibrate(network, calibration_batches([LabelledSource()], 8)) == 0
    assert torch.equal(network.pose_offset, torch.eye(3))


def test_calibration_asks_only_annotated_sources_for_more_than_one_batch():
    annotated, own = LabelledSource(annotated=True), LabelledSource()
    asked = []
    own.batch = lambda step, size: asked.append(step) or LabelledSource().batch(step, size)
    kept = calibration_batches([own, annotated], 70)
    assert len(kept) == 3 and all(batch.annotated.all() for batch in kept)
    assert asked == [0]


def test_held_out_batches_hold_the_images_asked_for():
    batches = held_out_batches(LabelledSource(frames=2), 40)
    assert sum(batch.subjects * batch.frames for batch in batches) >= 40
