import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pgnface.evaluation.metrics import IDENTITY, Alignment, align_points

TRUE = Alignment(
    1.7, Rotation.from_euler("xyz", [20, -50, 130], degrees=True).as_matrix(), [1, 2, 3]
)


def test_points_that_were_moved_are_found_back():
    source = np.random.default_rng(0).normal(size=(9, 3))
    found = align_points(source, TRUE.apply(source), scale=True)
    assert np.allclose(found.rotation, TRUE.rotation) and found.scale == pytest.approx(1.7)
    assert np.allclose(found.translation, TRUE.translation)
    rigid = align_points(source, TRUE.apply(source))
    assert rigid.scale == 1 and np.allclose(rigid.rotation, TRUE.rotation)


def test_as_scipy_with_weights():
    rng = np.random.default_rng(0)
    source, target, weights = rng.normal(size=(9, 3)), rng.normal(size=(9, 3)), rng.uniform(size=9)
    found = align_points(source, target, weights=weights)
    centred = (p - np.average(p, axis=0, weights=weights) for p in (target, source))
    assert np.allclose(found.rotation, Rotation.align_vectors(*centred, weights)[0].as_matrix())


def test_composition_and_inverse():
    points = np.random.default_rng(0).normal(size=(2, 5, 3))
    other = Alignment(0.5, Rotation.from_rotvec([0, 0.3, 0]).as_matrix(), np.array([0, 1.0, 0]))
    assert np.allclose(TRUE.after(other).apply(points), TRUE.apply(other.apply(points)))
    assert np.allclose(TRUE.inverse().apply(TRUE.apply(points)), points)
    assert np.allclose(IDENTITY.apply(points), points)


@pytest.mark.parametrize(
    "source, target, weights, message",
    [
        (np.zeros((4, 3)), np.zeros((5, 3)), None, "one shape"),
        (np.zeros((2, 3)), np.zeros((2, 3)), None, "K at least 3"),
        (np.zeros((4, 3)), np.zeros((4, 3)), np.zeros(4), "some of them positive"),
        (np.zeros((4, 3)), np.full((4, 3), np.nan), None, "target must be finite"),
    ],
)
def test_rejects(source, target, weights, message):
    with pytest.raises(ValueError, match=message):
        align_points(source, target, weights=weights)
