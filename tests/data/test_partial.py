import pytest
import torch

from pgnface.data import build_source
from pgnface.data.config import SyntheticConfig
from pgnface.data.partial import PartialSource, hide_labels
from pgnface.data.synthetic import SyntheticCrops, SyntheticSource
from tests.models import tiny_model

SIZE = 48
SMALL = {"people": 2, "texture_size": 16, "supersample": 1}


@pytest.fixture(scope="module")
def people():
    return SyntheticSource(tiny_model(), SIZE, **SMALL)


def test_hidden_labels(people):
    batch = people.batch(0, 4)
    assert hide_labels(batch, "all") is batch
    landmarks, none = hide_labels(batch, "landmarks"), hide_labels(batch, "none")
    assert landmarks.known.landmarks and not landmarks.known.coefficients
    assert not landmarks.known.rotation and not landmarks.identity.any()
    assert torch.equal(landmarks.landmarks, batch.landmarks)
    assert not none.known.landmarks and not none.landmarks.any()
    assert torch.equal(none.image, batch.image) and none.identity.shape == batch.identity.shape


def test_pictures_come_again(people):
    source = PartialSource(people, pictures=9)
    first = [source.batch(step, 4) for step in range(3)]
    assert torch.equal(first[0].image, first[2].image)
    assert not torch.equal(first[0].image, first[1].image)
    with pytest.raises(ValueError, match="pictures must be at least 1, got 0"):
        PartialSource(people, pictures=0)


def test_description():
    config = SyntheticConfig(labels="landmarks", pictures=8)
    batch = build_source(config, tiny_model(), SIZE).batch(1, 4)
    assert batch.known.landmarks and not batch.known.coefficients
    crops = build_source(SyntheticConfig(crops=True, frames=3), tiny_model(), SIZE).batch(0, 6)
    assert crops.image.shape == (2, 3, 3, SIZE, SIZE) and crops.same_image.all()


def test_crops_show_the_same_face():
    """Pictures with a margin hold the same people, smaller, and warps lead back into them."""
    settings = SMALL | {"degrade_images": False}
    wide = SyntheticSource(tiny_model(), 96, 1, margin=2.0, **settings).batch(0, 2)
    tight = SyntheticSource(tiny_model(), 48, 1, **settings).batch(0, 2)
    assert torch.equal(wide.identity, tight.identity)

    def extent(batch):
        points = batch.landmarks[..., :2]
        return points.amax(2) - points.amin(2)

    assert torch.allclose(extent(wide), extent(tight), rtol=1e-4)
    crops = SyntheticCrops(tiny_model(), 48, **SMALL).batch(0, 4)
    scale = crops.warp[..., :2].det().sqrt()
    assert ((scale > 0.75) & (scale < 1.4)).all()
