import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pgnface.evaluation.metrics import Alignment, Surface, align_surface

from .test_icp import TRIANGLES, VERTICES, inner_points

TRUE = Alignment(1.1, Rotation.from_rotvec([0.05, -0.1, 0.08]).as_matrix(), np.array([2.0, 3, -1]))


def test_a_known_similarity_is_found_back():
    result = align_surface(Surface(VERTICES, TRIANGLES), TRUE.apply(inner_points()))
    assert result.converged and result.distances.max() < 1e-6
    assert result.alignment.scale == pytest.approx(1.1)
    assert np.allclose(result.alignment.rotation, TRUE.rotation)


def test_a_smaller_mesh_is_not_a_better_one():
    """Noise along the normals: the minimum is at the true size, in the scan's unit."""
    points = inner_points()
    noise = 0.5 * np.where(np.arange(len(points)) % 2, 1, -1)[:, None] * [0, 0, 1]
    result = align_surface(Surface(VERTICES / 10, TRIANGLES), points + noise)
    assert result.alignment.scale == pytest.approx(10, rel=1e-2)
    assert 0.2 < result.distances.mean() < 0.5


def test_rigid():
    points = TRUE._replace(scale=1.0).apply(inner_points())
    result = align_surface(Surface(VERTICES, TRIANGLES), points, scale=False)
    assert result.alignment.scale == 1 and result.distances.max() < 1e-6
    with pytest.raises(ValueError, match="at least 6 points, got 4"):
        align_surface(Surface(VERTICES, TRIANGLES), points[:4])
