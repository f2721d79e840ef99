"""A model fitted to surfaces that it made itself, placed elsewhere."""

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from pgnface.evaluation.metrics import Alignment
from pgnface.fitting import fit_surface
from tests.models import tiny_model

IDENTITY = torch.tensor([1.0, -1.5, 2.0, 0.5])
PLACE = Alignment(1.1, Rotation.from_rotvec([0.05, -0.1, 0.02]).as_matrix(), np.array([4.0, 2, 1]))


@pytest.fixture(scope="module")
def points():
    model = tiny_model()
    mesh = trimesh.Trimesh(model.vertices(IDENTITY), model.triangles, process=False)
    return PLACE.apply(trimesh.sample.sample_surface(mesh, 800, seed=0)[0])


def test_own_surface_is_found(points):
    model = tiny_model()
    fit = fit_surface(model, points, noise=1e-3, initial=PLACE, iterations=30)
    found = fit.alignment.apply(model.vertices(fit.identity))
    want = PLACE.apply(model.vertices(IDENTITY))
    assert np.linalg.norm(found - want, axis=1).max() < 0.05


def test_limits_hold_and_noise_shrinks(points):
    model = tiny_model()
    limited = fit_surface(model, points, noise=1e-3, limit=1.0, initial=PLACE).identity
    assert limited.abs().max() <= 1 + 1e-6
    shrunk = fit_surface(model, points, noise=1e4, initial=PLACE).identity
    assert shrunk.abs().max() < 0.01


@pytest.mark.parametrize("wrong", [{"noise": 0.0}, {"limit": -1.0}, {"iterations": 0}])
def test_bad_arguments(points, wrong):
    with pytest.raises(ValueError, match="noise, limit and iterations"):
        fit_surface(tiny_model(), points, **wrong)
