import numpy as np
import pytest
import torch

from pgnface.render import draw_landmarks, overlay_mesh

from ..models import tiny_model


def photo(height=60, width=80):
    return np.full((height, width, 3), 40, np.uint8)


def posed(scale=0.25, x=40.0, y=30.0):
    points = tiny_model().mean * scale
    return torch.stack((points[:, 0] + x, y - points[:, 1], -points[:, 2]), dim=-1)


def test_mesh_is_drawn_where_it_lies_and_nowhere_else():
    before = photo()
    vertices = posed()
    after = overlay_mesh(before, vertices, tiny_model().triangles)
    assert after.shape == before.shape and after.dtype == np.uint8
    assert (before == 40).all()
    changed = (after != before).any(2)
    rows, columns = np.nonzero(changed)
    low, high = vertices[:, :2].amin(0), vertices[:, :2].amax(0)
    assert columns.min() == pytest.approx(float(low[0]), abs=1.5)
    assert columns.max() + 1 == pytest.approx(float(high[0]), abs=1.5)
    assert rows.min() == pytest.approx(float(low[1]), abs=1.5)
    assert after[30, 40].mean() > 90


def test_no_opacity_no_change():
    assert (overlay_mesh(photo(), posed(), tiny_model().triangles, opacity=0.0) == 40).all()


@pytest.mark.parametrize("x", [-500.0, 0.0, 80.0, 900.0, float("nan")])
def test_mesh_beyond_the_border(x):
    after = overlay_mesh(photo(), posed(x=x), tiny_model().triangles)
    assert (after != 40).any() == (x in (0.0, 80.0))


def test_landmarks_are_dots_at_their_points():
    points = np.full((68, 2), np.nan)
    points[30] = (20.5, 10.5)
    after = draw_landmarks(photo(), points, color=(255, 0, 0))
    rows, columns = np.nonzero((after != 40).any(2))
    assert (rows.mean(), columns.mean()) == pytest.approx((10, 20), abs=0.2)
    assert len(rows) < 30 and tuple(after[10, 20]) == (255, 0, 0)


def test_landmarks_are_joined():
    points = posed(1.2, 160.0, 120.0)[tiny_model().landmarks]
    large = photo(240, 320)
    count = [(draw_landmarks(large, points, lines=lines) != 40).sum() for lines in (False, True)]
    assert count[1] > 1.2 * count[0]


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), [[0]]])
def test_photos_of_another_kind_are_refused(image):
    with pytest.raises(ValueError, match="uint8"):
        draw_landmarks(image, np.zeros((68, 2)))
    with pytest.raises(ValueError, match="uint8"):
        overlay_mesh(image, posed(), tiny_model().triangles)


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"landmarks.*68"):
        draw_landmarks(photo(), np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"vertices.*\(V, 3\)"):
        overlay_mesh(photo(), posed()[None], tiny_model().triangles)
