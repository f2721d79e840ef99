from dataclasses import fields, replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from pgnface.geometry import apply_pose
from pgnface.networks import Prediction, join_predictions, split_prediction
from pgnface.training import LossWeights, MultiframeConfig, Objective

from .faces import LabelledSource, tiny_network

ZERO = LossWeights(**{f.name: 0.0 for f in fields(LossWeights)})
ALL = LossWeights(**{f.name: 1.0 for f in fields(LossWeights)})
COEFFICIENT_TERMS = {"identity", "expression", "shape"}


def predict(network, *batches):
    prediction = network(torch.cat([batch.images for batch in batches]))
    return split_prediction(prediction, [batch.subjects * batch.frames for batch in batches])


def true_prediction(network, batch) -> Prediction:
    """What a perfect network would say."""
    model = network.model
    identity = batch.identity.repeat_interleave(batch.frames, 0)
    expression = batch.expression.flatten(0, 1)
    pose = type(batch.pose)(*(value.flatten(0, 1) for value in batch.pose))
    landmarks = apply_pose(pose, model.landmark_points(identity, expression))
    return Prediction(
        identity=identity,
        expression=expression,
        position_map=network.atlas.bake(model.vertices(identity, expression, pose)),
        landmarks=landmarks,
        landmark_weights=torch.ones(len(landmarks), 68),
        pose=pose,
        posed_landmarks=landmarks,
        annotated_landmarks=landmarks + 100,
        posed_annotated_landmarks=landmarks + 100,
    )


def test_split_and_join_are_inverse():
    network = tiny_network()
    prediction = network(torch.rand(5, 3, 32, 32))
    parts = split_prediction(prediction, [2, 3])
    assert [len(part.landmarks) for part in parts] == [2, 3]
    assert parts[0].pose.rotation.shape == (2, 3, 3)
    joined = join_predictions(parts)
    assert torch.equal(joined.pose.rotation, prediction.pose.rotation)
    assert torch.equal(joined.position_map, prediction.position_map)


def test_every_term_is_zero_for_a_perfect_prediction():
    network = tiny_network()
    batch = LabelledSource().batch(0, 4)
    terms = Objective(network, ALL)([batch], [true_prediction(network, batch)])
    assert {"landmarks", "position_map", "rotation", "map_agreement"} | COEFFICIENT_TERMS < set(
        terms
    )
    for name, value in terms.items():
        assert value.item() == pytest.approx(0, abs=1e-3), name


def test_annotated_faces_are_compared_in_their_own_style_and_frame():
    network = tiny_network()
    batch = LabelledSource(annotated=True).batch(0, 4)
    terms = Objective(network, ALL)([batch], [true_prediction(network, batch)])
    assert terms["landmarks"] > 1 and terms["posed_landmarks"] > 1
    assert "rotation" not in terms and "position_map" not in terms
    assert "offset_prior" in terms


def test_total_is_the_weighted_sum():
    network = tiny_network()
    batch = LabelledSource().batch(0, 4)
    weights = replace(ZERO, landmarks=2.0, shape=0.5)
    terms = Objective(network, weights)([batch], predict(network, batch))
    assert set(terms) == {"landmarks", "shape", "total"}
    torch.testing.assert_close(terms["total"], 2 * terms["landmarks"] + 0.5 * terms["shape"])


def test_unlabelled_faces_get_priors_and_agreement_alone():
    network = tiny_network()
    batch = LabelledSource(labelled=False).batch(0, 4)
    terms = Objective(network, ALL)([batch], predict(network, batch))
    assert set(terms) == {
        "agreement", "map_agreement", "identity_prior", "expression_prior", "total",
    }  # fmt: skip


def test_no_usable_term_still_has_a_gradient():
    network = tiny_network()
    batch = LabelledSource(labelled=False).batch(0, 2)
    total = Objective(network, ZERO)([batch], predict(network, batch))["total"]
    assert total == 0 and total.requires_grad


def test_a_mixed_batch_counts_each_label_where_it_is():
    network = tiny_network()
    labelled, unlabelled = LabelledSource().batch(0, 2), LabelledSource(labelled=False).batch(1, 4)
    # In training mode the samples would reach each other through batch statistics.
    network.eval()
    objective = Objective(network, replace(ZERO, landmarks=1.0, identity=1.0))
    alone = objective([labelled], predict(network, labelled))
    mixed = objective([labelled, unlabelled], predict(network, labelled, unlabelled))
    for name, value in alone.items():
        torch.testing.assert_close(mixed[name], value, msg=name)


def test_frames_of_a_person_are_compared_with_each_other():
    network = tiny_network()
    batch = LabelledSource(frames=2).batch(0, 6)
    weights = replace(ZERO, consistency=1.0, photometric=1.0, census=1.0, equivariance=1.0)
    objective = Objective(network, weights, MultiframeConfig(every=2, start=2, subjects=2))
    assert set(objective([batch], predict(network, batch), step=0)) == {"consistency", "total"}
    assert set(objective([batch], predict(network, batch), step=3)) == {"consistency", "total"}
    terms = objective([batch], predict(network, batch), step=4)
    assert set(terms) == {"consistency", "photometric", "census", "total"}
    terms["photometric"].backward()
    gradient = network.coefficient_head.parameters()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in gradient)


def test_crops_of_one_photo_teach_equivariance_and_no_texture():
    network = tiny_network()
    batch = LabelledSource(frames=2).batch(0, 4)
    batch.same_image[:] = True
    weights = replace(ZERO, photometric=1.0, census=1.0, equivariance=1.0)
    terms = Objective(network, weights)([batch], predict(network, batch))
    assert set(terms) == {"equivariance", "total"}


def test_every_parameter_learns_something():
    network = tiny_network()
    batches = [LabelledSource(frames=2).batch(0, 4), LabelledSource(annotated=True).batch(1, 2)]
    Objective(network, ALL)(batches, predict(network, *batches))["total"].backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert not without


def test_the_step_never_asks_the_device_for_a_value():
    """Fake tensors have none to give; on a GPU each question would be a wait."""
    network = tiny_network()
    batches = [
        LabelledSource(frames=2).batch(0, 6),
        LabelledSource(annotated=True, frames=2).batch(1, 4),
        LabelledSource(labelled=False, frames=2).batch(2, 4),
    ]
    batches[2].same_image[0] = True
    objective = Objective(network, ALL)
    expected = set(objective(batches, predict(network, *batches)))
    assert {"photometric", "equivariance", "position_map", "offset_prior"} < expected
    batches = [batch.to("cpu") for batch in batches]  # they remember which labels they have
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        for batch in batches:
            known = batch.known
            for field in fields(batch):
                if field.type == "Tensor":
                    setattr(batch, field.name, fake.from_tensor(getattr(batch, field.name)))
            batch.pose = type(batch.pose)(*map(fake.from_tensor, batch.pose))
            batch._known = known
        terms = objective(batches, predict(network, *batches))
        torch.autograd.grad(terms["total"], [*network.parameters()])
    assert set(terms) == expected
