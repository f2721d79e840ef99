import copy

import pytest
import torch

from pgnface.geometry import Pose, apply_pose, rotation_from_angles
from pgnface.networks import NetworkConfig, PoseGuidanceNetwork
from tests.models import tiny_model

SIZE = 64


def make(model=None, **options):
    options = {"image_size": SIZE, "map_size": 16, "code_size": 32} | options
    return PoseGuidanceNetwork(model or tiny_model(), NetworkConfig(**options))


def shaken(network, amount=0.05):
    """The network with its zero-initialised layers moved off zero."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * amount)
    return network


def tensors(prediction):
    return [*prediction[:5], *prediction.pose, *prediction[6:]]


@pytest.mark.parametrize("pose", ["solved", "regressed"])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_shapes(pose, batch):
    network = make(pose=pose)
    p = network(torch.rand(batch, 3, SIZE, SIZE))
    assert p.identity.shape == (batch, 4) and p.expression.shape == (batch, 3)
    assert p.position_map.shape == (batch, 3, 16, 16) and p.landmark_weights.shape == (batch, 68)
    for points in (p.landmarks, p.posed_landmarks, p.annotated_landmarks):
        assert points.shape == (batch, 68, 3)
    assert p.pose.scale.shape == (batch,) and p.pose.rotation.shape == (batch, 3, 3)
    assert p.pose.translation.shape == p.landmarks.mean(1).shape
    assert network.vertices(p).shape == (batch, network.model.vertex_count, 3)


@pytest.mark.parametrize("pose", ["solved", "regressed"])
def test_starts_with_the_mean_face_seen_from_the_front(pose):
    network = make(pose=pose)
    p = network(torch.rand(2, 3, SIZE, SIZE))
    model = network.model
    torch.testing.assert_close(p.pose.rotation, torch.eye(3).expand(2, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(p.landmarks, p.posed_landmarks, atol=1e-3, rtol=0)
    torch.testing.assert_close(
        network.vertices(p)[0], model.vertices(pose=p.pose)[0], atol=1e-3, rtol=0
    )
    low, high = p.landmarks[0, :, :2].amin(0), p.landmarks[0, :, :2].amax(0)
    assert torch.allclose((low + high) / 2, torch.tensor([SIZE / 2, SIZE / 2]), atol=1e-3)
    assert float((high - low).max().detach()) == pytest.approx(SIZE / 1.35, abs=1e-3)
    assert p.landmarks[..., 2].mean(1).abs().max() < 1e-4
    baked = network.atlas.bake(network.vertices(p))
    torch.testing.assert_close(p.position_map, baked, atol=1e-3, rtol=0)


def test_landmarks_are_those_of_the_map():
    """The map is linear between pixels; the mean face's share is placed exactly."""
    network = shaken(make(map_size=64))
    p = network(torch.rand(2, 3, SIZE, SIZE))
    read = network.atlas.sample(p.position_map, network.atlas.landmark_uv)
    distance = (read - p.landmarks).norm(dim=-1)
    size = (p.landmarks.amax(1) - p.landmarks.amin(1)).norm(dim=-1)
    assert (distance.mean(1) / size < 0.01).all()


def test_solved_pose_fits_model_to_landmarks():
    network = shaken(make())
    p = network(torch.rand(2, 3, SIZE, SIZE))
    best = (p.landmark_weights * (p.landmarks - p.posed_landmarks).square().sum(-1)).sum(1)
    points = network.model.landmark_points(p.identity, p.expression)
    for axis in range(3):
        turn = rotation_from_angles(torch.eye(3)[axis])
        moved = Pose(p.pose.scale, p.pose.rotation @ turn, p.pose.translation)
        other = apply_pose(moved, points)
        error = (p.landmark_weights * (p.landmarks - other).square().sum(-1)).sum(1)
        assert (error > best).all()


@pytest.mark.parametrize("pose", ["solved", "regressed"])
@pytest.mark.parametrize("confidence", [True, False])
def test_every_parameter_learns_from_the_posed_landmarks_and_the_map(pose, confidence):
    network = shaken(make(pose=pose, landmark_confidence=confidence))
    p = network(torch.rand(2, 3, SIZE, SIZE))
    (p.posed_annotated_landmarks.square().mean() + p.position_map.square().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_gradient_passes_through_the_solved_pose():
    network = shaken(make())
    p = network(torch.rand(2, 3, SIZE, SIZE))
    grads = torch.autograd.grad(p.pose.rotation[:, 0, 2].sum(), [p.landmarks, p.identity])
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in grads)


@pytest.mark.slow
def test_can_fit_one_face():
    """A few steps of Adam bring map, solved pose and posed model to given landmarks."""
    model = tiny_model()
    network = make(model)
    rotation = rotation_from_angles(torch.tensor([[10.0, 40.0, 5.0], [-5.0, -30.0, 0.0]]))
    truth = Pose(torch.full((2,), 0.3), rotation, torch.tensor([[30.0, 34, 0], [36.0, 30, 0]]))
    target = apply_pose(truth, model.landmark_points(torch.randn(2, 4), torch.rand(2, 3)))
    target = target - target.mean(1, keepdim=True) * torch.tensor([0.0, 0, 1])
    images = torch.rand(2, 3, SIZE, SIZE)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    errors = []
    for _ in range(60):
        p = network(images)
        errors.append([(q - target).norm(dim=-1).mean() for q in (p.landmarks, p.posed_landmarks)])
        optimizer.zero_grad()
        sum(errors[-1]).backward()
        optimizer.step()
    assert all(last < first / 4 for first, last in zip(errors[0], errors[-1], strict=True))


def test_annotation_style():
    network = shaken(make())
    network.pose_offset.copy_(rotation_from_angles(torch.tensor([5.0, 0.0, 0.0])))
    p = network(torch.rand(2, 3, SIZE, SIZE))
    points = network.model.landmark_points(p.identity, p.expression) + network.landmark_offsets
    torch.testing.assert_close(
        p.posed_annotated_landmarks, apply_pose(p.pose, points), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        p.annotated_landmarks - p.landmarks, p.posed_annotated_landmarks - p.posed_landmarks
    )
    rotation = network.annotated_rotation(p.pose)
    torch.testing.assert_close(rotation @ network.pose_offset.T, p.pose.rotation)


def test_state_dict_holds_no_face_model_and_restores_the_network():
    network = shaken(make()).eval()
    state = network.state_dict()
    assert "pose_offset" in state and "landmark_offsets" in state
    assert not any(name.startswith(("model.", "atlas.", "_")) for name in state)
    other = make().eval()
    other.load_state_dict(state)
    image = torch.rand(1, 3, SIZE, SIZE)
    for a, b in zip(tensors(network(image)), tensors(other(image)), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(copy.deepcopy(network)(image).landmarks, network(image).landmarks)


@pytest.mark.parametrize("pose", ["solved", "regressed"])
def test_autocast(pose):
    network = shaken(make(pose=pose), 0.02)
    image = torch.rand(2, 3, SIZE, SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        p = network(image)
    exact = network(image)
    assert all(t.dtype == torch.float32 for t in tensors(p))
    assert (p.landmarks - exact.landmarks).abs().max() < SIZE / 10
    p.posed_landmarks.sum().backward()


@pytest.mark.slow
def test_compile():
    network = shaken(make()).eval()
    image = torch.rand(2, 3, SIZE, SIZE)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    for a, b in zip(tensors(compiled(image)), tensors(network(image)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


@pytest.mark.kit
def test_another_model(kit):
    from pgnface.morphable import load_model

    network = make(load_model(kit / "models" / "ict_face.npz"))
    p = network(torch.rand(1, 3, SIZE, SIZE))
    assert p.identity.shape == (1, 100) and p.expression.shape == (1, 53)


@pytest.mark.parametrize(
    "image, error, message",
    [
        (torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8), TypeError, "floating-point.*uint8"),
        (None, TypeError, "got NoneType"),
        (torch.zeros(3, SIZE, SIZE), ValueError, r"\(N, 3, 64, 64\), got \(3, 64, 64\)"),
        (torch.zeros(1, 1, SIZE, SIZE), ValueError, "image must have shape"),
        (torch.zeros(1, 3, SIZE, 32), ValueError, "image must have shape"),
        (torch.zeros(1, 3, 0, 0), ValueError, "image must have shape"),
    ],
)
def test_bad_images(image, error, message):
    with pytest.raises(error, match=message):
        make()(image)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"encoder": "vgg"}, "encoder must be one of.*'vgg'"),
        ({"pose": "guessed"}, "pose must be one of"),
        ({"image_size": 100}, "multiple of 32, got 100"),
        ({"image_size": 0}, "image_size"),
        ({"map_size": 24}, "8 times a power of two, got 24"),
        ({"map_size": 0}, "map_size"),
        ({"code_size": 0}, "code_size"),
    ],
)
def test_bad_configurations(options, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**options)


def test_for_inference_predicts_the_same():
    network, images = shaken(make()), torch.rand(2, 3, SIZE, SIZE)
    with torch.no_grad():
        before = tensors(network.eval()(images))
        after = tensors(network.train().for_inference()(images))
    assert not network.training
    assert network.map_head.convs[0].weight.is_contiguous(memory_format=torch.channels_last)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-4)
