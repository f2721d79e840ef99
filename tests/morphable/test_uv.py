"""UVAtlas: baking and sampling undo each other, up to the map's resolution."""

import pytest
import torch

from pgnface.morphable import UVAtlas
from tests.models import tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.mark.parametrize(("size", "limit"), [(32, 1.5), (64, 0.7), (256, 0.15)])
def test_round_trip_error_shrinks_with_size(model, size, limit):
    atlas = UVAtlas(model, size)
    error = (atlas.sample(atlas.bake(model.mean)) - model.mean).norm(dim=-1)
    assert error.mean() < limit / 4
    at_landmarks = atlas.sample(atlas.bake(model.mean), atlas.landmark_uv)
    expected = model.mean[model.landmarks]
    assert (at_landmarks - expected).norm(dim=-1).mean() < limit / 2


def test_values_linear_in_uv_are_reproduced(model):
    # Holds at every pixel of the chart, and at the border's vertices through what continues it.
    atlas = UVAtlas(model, 40)
    uv_map = atlas.bake(model.uv)
    centers = (torch.arange(40) + 0.5) / 40
    expected = torch.stack(torch.meshgrid(centers, centers, indexing="xy"))
    torch.testing.assert_close(uv_map[:, atlas.mask], expected[:, atlas.mask])
    torch.testing.assert_close(atlas.sample(uv_map), model.uv, atol=1e-5, rtol=0)


def test_mask_covers_the_chart(model):
    atlas = UVAtlas(model, 50)
    assert atlas.mask.shape == (50, 50)
    assert atlas.mask.float().mean() == pytest.approx(0.96**2, abs=0.02)
    assert torch.equal(atlas.skin_mask, atlas.mask)


def test_any_leading_dimensions_and_map_size(model):
    atlas = UVAtlas(model, 16)
    values = torch.randn(2, 3, 221, 5)
    maps = atlas.bake(values)
    assert maps.shape == (2, 3, 5, 16, 16)
    torch.testing.assert_close(maps[1, 2], atlas.bake(values[1, 2]))
    assert atlas.sample(torch.randn(2, 3, 5, 8, 24)).shape == (2, 3, 221, 5)
    assert atlas.sample(torch.randn(5, 8, 24), atlas.landmark_uv).shape == (68, 5)


def test_gradients_flow_both_ways(model):
    atlas = UVAtlas(model, 8)
    values = torch.randn(221, 2, dtype=torch.float64, requires_grad=True)
    maps = torch.randn(2, 8, 8, dtype=torch.float64, requires_grad=True)
    atlas.double()
    assert torch.autograd.gradcheck(atlas.bake, (values,))
    assert torch.autograd.gradcheck(atlas.sample, (maps,))


def test_state_dict_is_empty(model):
    assert UVAtlas(model, 8).state_dict() == {}


def test_size_must_be_positive(model):
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        UVAtlas(model, 0)
