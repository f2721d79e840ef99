"""Shape by number of frames: faces whose errors are known."""

import numpy as np
import pytest
import torch

from pgnface._errors import UserError
from pgnface.evaluation.protocols import shape
from pgnface.evaluation.protocols.shape import evaluate_shape
from tests.models import tiny_model

IDENTITY = torch.tensor([1.0, -0.5, 1.0, 0.5])


@pytest.fixture(scope="module")
def result(tiny_network):
    return evaluate_shape(tiny_network, people=2, frames=2, methods=("mean",))


def truth(model):
    return shape._Truth(model, IDENTITY, shape._even_places(model))


def test_exact_coefficients_have_no_error():
    model = tiny_model()
    assert truth(model).error(model, IDENTITY) < 1e-4
    assert truth(model).error(model, torch.zeros(4)) > 0.3


def test_a_dent_of_known_depth():
    """A part of the truth is moved along its normals: the rest says where the face lies."""
    model, known = tiny_model(), truth(tiny_model())
    far = np.abs(known.points[:, 0]) > 45
    known.points = known.points[~far]
    assert known.error(model, IDENTITY) < 1e-4
    moved = np.zeros(len(known.points))
    moved[::20] = 2.0
    known.points = known.points + moved[:, None] * [0, 0, 1]
    near = np.linalg.norm(known.points - known.landmarks[30], axis=1) < 95
    # Slopes shorten the distance to the plane, and ICP takes a part of it away.
    upper = float(np.sqrt((moved[near] ** 2).mean()))
    assert 0.6 * upper < known.error(model, IDENTITY) < upper


def test_the_best_of_the_model_is_the_truth_for_its_own_people():
    model, known = tiny_model(), truth(tiny_model())
    assert known.error(model, known.best(model, np.inf)) < 0.1


def test_table(result):
    errors, gains = result.tables
    rows = errors.rows
    # An untrained network predicts the mean face; its own people are within the model's reach.
    mean = rows["mean face"][0]
    assert rows["1 frame"][0] == pytest.approx(mean, rel=0.3)
    assert rows["best of the model"][0] < 0.2 * mean
    assert rows["2 frames, mean"][3] == 2
    want = rows["mean face"][0] - rows["1 frame"][0]
    assert gains.rows["1 frame, over the mean face"][0] == pytest.approx(want, abs=1e-9)


def test_intervals_hold_the_mean_of_95_percent():
    draws = np.random.default_rng(0).normal(3, 2, (2000, 6))
    low, high = np.array([shape._interval(row)[1:3] for row in draws]).T
    assert ((low < 3) & (high > 3)).mean() == pytest.approx(0.95, abs=0.015)
    assert np.isnan(shape._interval(np.ones(1))[1])


def test_bad_arguments(tiny_network, tmp_path):
    with pytest.raises(UserError, match="people, frames and batch size"):
        evaluate_shape(tiny_network, people=0)
    with pytest.raises(UserError, match="methods"):
        evaluate_shape(tiny_network, methods=("median",))
    with pytest.raises(FileNotFoundError):
        evaluate_shape(tiny_network, faces=tmp_path / "none.npz")
