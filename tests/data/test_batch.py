import dataclasses
import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from pgnface.data.batch import FaceBatch, KnownLabels, concatenate
from pgnface.geometry import Pose

from .faces import assert_equal, values_of


def random_batch(subjects=2, frames=3, seed=0, **changes) -> FaceBatch:
    random = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.rand(*shape, generator=random)

    labels = {
        "image": noise(subjects, frames, 3, 8, 8),
        "landmarks": noise(subjects, frames, 68, 3),
        "landmark_weights": noise(subjects, frames, 68, 3),
        "annotated": noise(subjects) > 0.5,
        "identity": noise(subjects, 4),
        "expression": noise(subjects, frames, 5),
        "coefficient_weight": noise(subjects),
        "pose": Pose(
            noise(subjects, frames), noise(subjects, frames, 3, 3), noise(subjects, frames, 3)
        ),
        "pose_weight": noise(subjects, frames),
        "warp": noise(subjects, frames, 2, 3),
        "same_image": noise(subjects) > 0.5,
        "names": [f"{seed}-{i}" for i in range(subjects)],
    }
    return FaceBatch(**{**labels, **changes})


def test_create_marks_everything_unknown():
    batch = FaceBatch.create(torch.rand(2, 3, 3, 8, 8), identity_count=4, expression_count=5)
    assert (batch.subjects, batch.frames) == (2, 3)
    assert batch.images.shape == (6, 3, 8, 8)
    assert torch.equal(batch.images[4], batch.image[1, 1])
    assert batch.identity.shape == (2, 4) and batch.expression.shape == (2, 3, 5)
    for name in ("landmark_weights", "coefficient_weight", "pose_weight"):
        assert not getattr(batch, name).any(), name
    assert not batch.annotated.any() and not batch.same_image.any()
    assert torch.equal(batch.pose.rotation, torch.eye(3).expand(2, 3, 3, 3))
    assert torch.equal(batch.warp, torch.eye(3)[:2].expand(2, 3, 2, 3))
    assert batch.names == ["", ""]


def test_create_takes_labels():
    identity = torch.rand(2, 7)
    batch = FaceBatch.create(torch.rand(2, 1, 3, 8, 8), identity=identity, names=["a", "b"])
    assert torch.equal(batch.identity, identity) and batch.names == ["a", "b"]
    with pytest.raises(TypeError, match="colour"):
        FaceBatch.create(torch.rand(2, 1, 3, 8, 8), colour=1)


@pytest.mark.parametrize(
    "name, value",
    [
        ("image", torch.rand(2, 3, 8, 8)),
        ("image", torch.rand(2, 3, 1, 8, 8)),
        ("landmarks", torch.rand(2, 3, 67, 3)),
        ("landmark_weights", torch.rand(2, 3, 68)),
        ("annotated", torch.zeros(3, dtype=torch.bool)),
        ("identity", torch.rand(3, 4)),
        ("expression", torch.rand(2, 4)),
        ("coefficient_weight", torch.rand(1)),
        ("pose_weight", torch.rand(2)),
        ("warp", torch.rand(2, 3, 3, 3)),
        ("same_image", torch.zeros(2, 3)[0] > 0),
        ("names", ["a"]),
        ("pose.rotation", torch.rand(2, 3, 3)),
        ("pose.translation", torch.rand(2, 3, 2)),
        ("pose.scale", torch.rand(2)),
    ],
)
def test_wrong_shapes_are_named(name, value):
    batch = random_batch()
    change = {name: value}
    if name.startswith("pose."):
        change = {"pose": batch.pose._replace(**{name[5:]: value})}
    with pytest.raises(ValueError, match=rf"^FaceBatch: {name} must have"):
        dataclasses.replace(batch, **change)


def test_concatenate_keeps_the_order_of_the_subjects():
    parts = [random_batch(1, seed=1), random_batch(2, seed=2)]
    whole = concatenate(parts)
    assert whole.subjects == 3 and whole.names == ["1-0", "2-0", "2-1"]
    for name, value in values_of(whole).items():
        if torch.is_tensor(value):
            assert torch.equal(value[1:], values_of(parts[1])[name]), name
    assert_equal(concatenate(parts[:1]), parts[0])


def test_concatenate_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="must not be empty"):
        concatenate([])
    others = (
        random_batch(frames=2),
        random_batch(identity=torch.rand(2, 9)),
        random_batch(image=torch.rand(2, 3, 3, 9, 9)),
    )
    for other in others:
        with pytest.raises(ValueError, match="must agree in"):
            concatenate([random_batch(), other])


def test_to_moves_every_tensor():
    moved = random_batch().to("meta", non_blocking=True)
    for name, value in values_of(moved).items():
        assert name in ("names", "_known") or value.device.type == "meta", name
    assert moved.names == ["0-0", "0-1"]


def test_goes_through_a_loader_and_a_pickle():
    batches = [random_batch(seed=i) for i in range(3)]
    for batch, loaded in zip(batches, DataLoader(batches, batch_size=None), strict=True):
        assert_equal(batch, loaded)
    assert_equal(pickle.loads(pickle.dumps(batches[0])), batches[0])


def test_known_labels_survive_a_move():
    batch = random_batch()
    batch.coefficient_weight[:] = torch.tensor([0.0, 1.0])
    batch.landmark_weights[:] = 0
    batch.annotated[:] = False
    batch.same_image[:] = True
    known = batch.known
    assert known == KnownLabels(
        landmarks=False,
        annotated=False,
        coefficients=True,
        no_coefficients=True,
        rotation=True,
        same_image=True,
        different_images=False,
    )
    assert batch.to("meta").known == known == batch.to("meta").to("meta").known
    moved = batch.to("cpu")
    moved.coefficient_weight = torch.ones(2)
    assert not moved.known.no_coefficients
    batch.annotated[:] = True  # its rotation is against another frontal head
    assert batch.known.annotated and not batch.known.rotation
    assert KnownLabels.any([known, batch.known]).rotation
