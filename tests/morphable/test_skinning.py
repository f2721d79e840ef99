"""Joints: linear blend skinning against the linear model, rigid motion and numpy."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pgnface.geometry import Pose, apply_pose, rotation_from_angles
from pgnface.morphable import load_model, save_model
from pgnface.morphable.description import describe_model, format_description
from pgnface.morphable.skinning import SkinnedModel, rotation_from_axis_angle
from tests.models import tiny_model

NAMES = ("root", "neck", "jaw", "left_eye", "right_eye")
PARENTS = (-1, 0, 1, 1, 1)


def skinned(**changes) -> SkinnedModel:
    """The tiny model with five joints; the jaw carries what lies below the mouth."""
    plain = tiny_model()
    generator = torch.Generator().manual_seed(0)
    regressor = torch.rand(5, plain.vertex_count, generator=generator)
    regressor[2] = 0
    regressor[2, plain.landmarks[[0, 16]]] = 1  # the jaw turns about the ears
    weights = 0.05 * torch.rand(plain.vertex_count, 5, generator=generator)
    low = plain.mean[:, 1] < plain.mean[plain.landmarks[62], 1]
    weights[:, 2] += low.float()
    weights[:, 1] += 1 - low.float()
    options = {
        "joint_regressor": regressor / regressor.sum(1, keepdim=True),
        "skin_weights": weights / weights.sum(1, keepdim=True),
        "joint_parents": PARENTS,
        "pose_basis": 0.5 * torch.randn(36, plain.vertex_count, 3, generator=generator),
        "joint_names": NAMES,
        **changes,
    }
    keys = ("mean", "identity_basis", "expression_basis", "triangles", "uv", "landmarks")
    return SkinnedModel(*(getattr(plain, key) for key in keys), name="skinned", **options)


@pytest.fixture(scope="module")
def model() -> SkinnedModel:
    return skinned()


def test_zero_joints_are_the_linear_model(model):
    identity, expression = torch.randn(2, 4), torch.rand(2, 3)
    linear = model.vertices(identity, expression)
    still = model.vertices(identity, expression, joints=torch.zeros(2, 5, 3))
    torch.testing.assert_close(still, linear, atol=1e-4, rtol=0)
    torch.testing.assert_close(linear, tiny_model().vertices(identity, expression))


def test_the_root_moves_all_vertices_rigidly(model):
    joints = torch.zeros(5, 3)
    joints[0] = torch.tensor([0.3, -0.5, 0.2])
    moved = model.vertices(joints=joints)
    root = model.joint_regressor[0] @ model.mean
    rotation = torch.tensor(Rotation.from_rotvec(joints[0]).as_matrix(), dtype=torch.float32)
    expected = (model.mean - root) @ rotation.T + root
    torch.testing.assert_close(moved, expected, atol=2e-4, rtol=0)


def test_against_numpy_with_homogeneous_transforms(model):
    rng = np.random.default_rng(1)
    joints = rng.normal(0, 0.4, (3, 5, 3))
    identity = rng.normal(size=(3, 4))
    got = model.vertices(
        torch.tensor(identity, dtype=torch.float32), joints=torch.tensor(joints).float()
    )
    basis, mean = model.identity_basis.double().numpy(), model.mean.double().numpy()
    weights = model.skin_weights.double().numpy()
    for n in range(3):
        shape = mean + np.tensordot(identity[n], basis, 1)
        rotations = Rotation.from_rotvec(joints[n]).as_matrix()
        places = model.joint_regressor.double().numpy() @ shape
        features = np.concatenate([(r - np.eye(3)).ravel() for r in rotations[1:]])
        posed = shape + np.tensordot(features, model.pose_basis.double().numpy(), 1)
        world = []
        for j, parent in enumerate(PARENTS):
            local = np.eye(4)
            local[:3, :3] = rotations[j]
            local[:3, 3] = places[j] - (places[parent] if j else 0)
            world.append(world[parent] @ local if j else local)
        expected = np.zeros_like(shape)
        for j in range(5):
            undo = np.eye(4)
            undo[:3, 3] = -places[j]
            moved = np.c_[posed, np.ones(len(posed))] @ (world[j] @ undo).T
            expected += weights[:, j, None] * moved[:, :3]
        np.testing.assert_allclose(got[n].numpy(), expected, atol=1e-3)


def test_opening_the_jaw_lowers_the_chin(model):
    joints = torch.zeros(5, 3)
    joints[2, 0] = 0.15
    points, still = model.landmark_points(joints=joints), model.landmark_points()
    assert points[8, 1] < still[8, 1] - 2
    assert (points[27] - still[27]).norm() < 2


def test_pose_applies_after_the_joints(model):
    pose = Pose(torch.tensor(1.5), rotation_from_angles(torch.tensor([5.0, 20, 3])), torch.ones(3))
    joints = torch.randn(5, 3) * 0.2
    torch.testing.assert_close(
        model.vertices(pose=pose, joints=joints), apply_pose(pose, model.vertices(joints=joints))
    )


def test_gradients_at_zero_and_elsewhere():
    values = torch.stack((torch.zeros(3), torch.tensor([0.5, -2, 1]))).double().requires_grad_()
    assert torch.autograd.gradcheck(rotation_from_axis_angle, values)
    joints = torch.zeros(5, 3, requires_grad=True)
    skinned().vertices(joints=joints)[:, 1].sum().backward()
    assert torch.isfinite(joints.grad).all() and joints.grad[2].abs().max() > 0


def test_leading_dimensions_broadcast(model):
    out = model.vertices(torch.zeros(3, 1, 4), joints=torch.zeros(2, 5, 3))
    assert out.shape == (3, 2, model.vertex_count, 3)


def test_saved_and_loaded_with_its_joints(model, tmp_path):
    save_model(model, tmp_path / "m.npz")
    loaded = load_model(tmp_path / "m.npz")
    assert isinstance(loaded, SkinnedModel)
    assert loaded.joint_names == NAMES and loaded.joint_parents == PARENTS
    joints = 0.3 * torch.randn(5, 3)
    torch.testing.assert_close(loaded.vertices(joints=joints), model.vertices(joints=joints))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"joint_regressor": torch.zeros(4, 221)}, "joint_regressor: expected shape"),
        ({"skin_weights": torch.full((221, 5), torch.nan)}, "skin_weights: expected finite"),
        ({"joint_parents": (-1, 2, 1, 1, 1)}, "joint_parents: expected 5 ids"),
        ({"pose_basis": torch.zeros(45, 221, 3)}, "pose_basis: expected shape"),
    ],
)
def test_wrong_arguments_are_named(changes, match):
    with pytest.raises(ValueError, match=match):
        skinned(**changes)


def test_wrong_joints_are_named(model):
    with pytest.raises(ValueError, match=r"joints: expected shape \(\.\.\., 5, 3\) for root"):
        model.vertices(joints=torch.zeros(4, 3))


def test_description_names_the_joints(model):
    assert describe_model(model)["joints"] == list(model.joint_names)
    assert ", ".join(model.joint_names) in format_description(describe_model(model))
