"""MorphableModel: shapes, gradients, devices and bad input."""

import copy

import pytest
import torch

from pgnface.geometry.landmarks import LANDMARK_GROUPS, LANDMARK_MIRROR
from pgnface.geometry.pose import Pose, apply_pose, rotation_from_angles
from pgnface.morphable import MorphableModel, load_model, save_model
from tests.models import tiny_model


@pytest.fixture
def model() -> MorphableModel:
    return tiny_model()


def fields(model: MorphableModel) -> dict:
    """Constructor arguments of a model, to be broken one at a time."""
    keys = ("mean", "identity_basis", "expression_basis", "triangles", "uv", "landmarks")
    return {key: getattr(model, key).clone() for key in keys}


def random_pose(*leading: int) -> Pose:
    return Pose(
        torch.rand(leading) + 0.5,
        rotation_from_angles(60 * (torch.rand(*leading, 3) - 0.5)),
        torch.randn(*leading, 3),
    )


@pytest.mark.parametrize("leading", [(), (1,), (5,), (2, 3), (0,)])
def test_any_leading_dimensions(model, leading):
    identity, expression = torch.randn(*leading, 4), torch.randn(*leading, 3)
    vertices = model.vertices(identity, expression)
    expected = (
        model.mean
        + torch.einsum("...p,pvk->...vk", identity, model.identity_basis)
        + torch.einsum("...p,pvk->...vk", expression, model.expression_basis)
    )
    torch.testing.assert_close(vertices, expected)
    assert vertices.shape == (*leading, 221, 3)
    points = model.landmark_points(identity, expression)
    torch.testing.assert_close(points, vertices[..., model.landmarks, :])


def test_missing_coefficients_are_zeros(model):
    torch.testing.assert_close(model.vertices(), model.mean)
    expression = torch.randn(2, 3)
    torch.testing.assert_close(
        model.vertices(expression=expression), model.vertices(torch.zeros(2, 4), expression)
    )


def test_leading_dimensions_broadcast(model):
    identity, expression = torch.randn(2, 1, 4), torch.randn(2, 5, 3)
    vertices = model.vertices(identity, expression)
    torch.testing.assert_close(vertices[1, 3], model.vertices(identity[1, 0], expression[1, 3]))


def test_pose_is_applied_by_the_convention(model):
    identity, pose = torch.randn(2, 3, 4), random_pose(2, 3)
    torch.testing.assert_close(
        model.vertices(identity, pose=pose),
        apply_pose(pose, model.vertices(identity)),
        atol=1e-3,
        rtol=1e-5,
    )
    assert model.vertices(pose=random_pose(2, 3)).shape == (2, 3, 221, 3)


def test_gradients_reach_coefficients_and_pose(model):
    identity, expression = torch.randn(2, 4), torch.randn(2, 3)
    pose = random_pose(2)
    leaves = [identity, expression, *pose]
    for leaf in leaves:
        leaf.requires_grad_()
    model.vertices(identity, expression, pose).square().mean().backward()
    for leaf in leaves:
        assert leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0


def test_state_dict_is_empty_and_buffers_move(model):
    assert model.state_dict() == {}
    moved = model.to("meta")
    assert all(buffer.device.type == "meta" for buffer in moved.buffers())
    assert moved.identity_count == 4 and moved.expression_count == 3


def test_bases_are_views(model):
    assert model.identity_basis.data_ptr() == model.basis.data_ptr()
    assert model.expression_basis.data_ptr() == model.basis[4].data_ptr()


def test_regions_default_to_skin(model):
    assert model.regions.shape == (221,) and not model.regions.any()
    assert model.region_names == ("skin",)


def test_model_without_expressions(model):
    values = fields(model) | {"expression_basis": torch.zeros(0, 221, 3)}
    bare = MorphableModel(**values)
    assert bare.expression_count == 0 and bare.expression_names == ()
    assert bare.vertices(torch.zeros(2, 4)).shape == (2, 221, 3)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mean", torch.zeros(221, 2), r"mean: expected shape \(\*, 3\), got \(221, 2\)"),
        ("mean", torch.full((221, 3), float("nan")), "mean: expected finite values, got 663"),
        ("identity_basis", torch.zeros(4, 220, 3), r"identity_basis: expected shape \(\*, 221, 3"),
        ("expression_basis", torch.zeros(221, 3), "expression_basis: expected shape"),
        ("uv", torch.zeros(221, 3), r"uv: expected shape \(221, 2\)"),
        ("uv", torch.full((221, 2), 1.5), r"uv: expected values in \[0, 1\]"),
        ("triangles", torch.tensor([[0, 1, 221]]), "triangles: expected ids from 0 to 220, got 0"),
        ("triangles", torch.tensor([[0, -1, 2]]), "triangles: expected ids from 0 to 220, got -1"),
        ("landmarks", torch.zeros(51, dtype=torch.int64), r"landmarks: expected shape \(68\)"),
    ],
)
def test_bad_values_are_named(model, key, value, message):
    with pytest.raises(ValueError, match=message):
        MorphableModel(**(fields(model) | {key: value}))


def test_bad_dtypes_are_named(model):
    with pytest.raises(TypeError, match="triangles: expected an integer tensor"):
        MorphableModel(**(fields(model) | {"triangles": torch.zeros(3, 3)}))
    with pytest.raises(TypeError, match="mean: expected a floating-point tensor"):
        MorphableModel(**(fields(model) | {"mean": torch.zeros(221, 3, dtype=torch.int64)}))


def test_bad_coefficients_are_named(model):
    with pytest.raises(ValueError, match=r"identity: expected shape \(\.\.\., 4\), got \(2, 5\)"):
        model.vertices(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"expression: expected shape"):
        model.landmark_points(expression=torch.zeros(()))


def test_expression_names_must_match(model):
    with pytest.raises(ValueError, match="expression_names: expected 3 names"):
        MorphableModel(**fields(model), expression_names=["one"])


def test_landmark_mirror_is_an_involution():
    assert sorted(LANDMARK_MIRROR) == list(range(68))
    assert all(LANDMARK_MIRROR[LANDMARK_MIRROR[i]] == i for i in range(68))
    groups = [i for group in LANDMARK_GROUPS.values() for i in group]
    assert groups == list(range(68))
    mirrored = {LANDMARK_MIRROR[i] for i in LANDMARK_GROUPS["right_eye"]}
    assert mirrored == set(LANDMARK_GROUPS["left_eye"])


def test_tiny_model_is_symmetric_and_faces_outwards(model):
    points = model.landmark_points()
    torch.testing.assert_close(points[list(LANDMARK_MIRROR)] * torch.tensor([-1, 1, 1]), points)
    assert len(model.landmarks.unique()) == 68
    a, b, c = model.mean[model.triangles.long()].unbind(1)
    assert (torch.linalg.cross(b - a, c - a)[:, 2] > 0).all()
    assert points[0, 0] < 0 < points[16, 0]  # point 0 is on the subject's right


def test_adjacency_is_built_once():
    model = tiny_model()
    adjacency = model.adjacency
    assert adjacency is model.adjacency
    assert len(adjacency.offsets) == model.vertex_count + 1
    assert len(adjacency.incident) == 3 * len(model.triangles)


def test_digest_follows_the_numbers():
    model, same, other = tiny_model(), tiny_model(), tiny_model()
    other.mean[0, 0] += 1e-3
    assert model.digest == same.digest != other.digest


def test_digest_of_the_built_in_model_is_that_of_its_file():
    # Its vertices come out of a sparse product, which another processor may round differently.
    model = load_model()
    digest = model.digest
    model.mean *= 1 + 1e-6
    assert model.digest == digest


def test_quantized_basis(model):
    identity, expression = torch.randn(2, 4), torch.rand(2, 3)
    expected, points = model.vertices(identity, expression), model.landmark_points(identity)
    digest, basis = model.digest, model.basis.clone()
    assert model.quantized is None
    assert model.quantize_basis() is model and model.quantize_basis() is model
    assert model.quantized.values.dtype == torch.int16 and not model.state_dict()
    assert (model.vertices(identity, expression) - expected).abs().max() < 1e-3
    assert not torch.equal(model.vertices(identity, expression), expected)
    assert torch.equal(model.landmark_points(identity), points)
    assert model.digest == digest and model.identity_basis.shape == (4, 221, 3)
    torch.testing.assert_close(model.basis, basis, atol=1e-3, rtol=0)


def test_quantized_basis_survives_copies_and_dtypes(model):
    identity, pose = torch.randn(2, 4), random_pose(2)
    expected = model.quantize_basis().vertices(identity, pose=pose)
    copied = copy.deepcopy(model).double()
    assert copied.quantized.values.dtype == torch.int16
    double = Pose(*(part.double() for part in pose))
    torch.testing.assert_close(
        copied.vertices(identity.double(), pose=double).float(), expected, atol=1e-3, rtol=1e-5
    )
    halved = copy.deepcopy(model).half().vertices(identity, pose=pose)
    assert (halved - expected).abs().max() < 0.2  # half precision of a mean of 100 mm


def test_a_file_never_holds_rounded_numbers(model, tmp_path):
    save_model(model, tmp_path / "model.npz")
    model.quantize_basis()
    with pytest.raises(ValueError, match=r"save_model: expected .* float32, got one in 16 bits"):
        save_model(model, tmp_path / "rounded.npz")
    assert not (tmp_path / "rounded.npz").exists()
    assert load_model(tmp_path / "model.npz").quantize_basis().digest == model.digest


def test_gradients_with_a_quantized_basis(model):
    identity = torch.randn(2, 4, requires_grad=True)
    (expected,) = torch.autograd.grad(model.vertices(identity).square().sum(), identity)
    (actual,) = torch.autograd.grad(
        model.quantize_basis().vertices(identity).square().sum(), identity
    )
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1)
