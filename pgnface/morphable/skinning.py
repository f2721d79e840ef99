"""Face models with joints: linear blend skinning on top of the linear shape space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pgnface.geometry.pose import Pose, apply_pose

from .model import MorphableModel, require_shape


class SkinnedModel(MorphableModel):
    """A :class:`MorphableModel` whose jaw, neck and eyes turn about joints (Li et al., Learning a
    Model of Facial Shape and Expression from 4D Scans, SIGGRAPH Asia 2017; skinning as in Loper et
    al., SMPL, 2015).

    ``S = mean + identity + expression`` is the linear model's shape; joint j lies at row j of
    ``joint_regressor @ S``. With rotations ``R_j`` of the joints,

        ``vertices = sum_j weights_j (G_j (S + sum_k (R - I)_k pose_basis_k))``

    where ``G_j`` chains the rotations about the joints from the root to j. Without ``joints`` the
    model is its linear part, in everything that knows only linear models too.

    Args:
        tensors: as :class:`MorphableModel`.
        joint_regressor: ``(J, V)``.
        skin_weights: ``(V, J)``, each row with the sum 1.
        joint_parents: J ids; each parent comes before its children, the root's is -1.
        pose_basis: ``(9 (J - 1), V, 3)`` mm, for the entries of ``R - I``, row by row, of all
            joints but the root.
        joint_names: J names.
        options: as :class:`MorphableModel`.

    Raises:
        TypeError, ValueError: as :class:`MorphableModel`; also for parents that come after their
            children.
    """

    joint_regressor: Tensor
    skin_weights: Tensor
    pose_basis: Tensor

    def __init__(
        self,
        *tensors: Tensor,
        joint_regressor: Tensor,
        skin_weights: Tensor,
        joint_parents: Sequence[int],
        pose_basis: Tensor,
        joint_names: Sequence[str],
        **options: object,
    ):
        super().__init__(*tensors, **options)
        count = len(joint_names)
        require_shape("joint_regressor", joint_regressor, (count, self.vertex_count))
        require_shape("skin_weights", skin_weights, (self.vertex_count, count))
        require_shape("pose_basis", pose_basis, (9 * (count - 1), self.vertex_count, 3))
        parents = [int(parent) for parent in joint_parents]
        if (
            len(parents) != count
            or parents[:1] != [-1]
            or any(not 0 <= p < i for i, p in enumerate(parents) if i)
        ):
            raise ValueError(
                f"joint_parents: expected {count} ids, -1 for the first and each other's "
                f"parent before it, got {parents}"
            )
        for key, value in (
            ("joint_regressor", joint_regressor),
            ("skin_weights", skin_weights),
            ("pose_basis", pose_basis),
        ):
            if not torch.isfinite(value).all():
                raise ValueError(f"{key}: expected finite values")
            self.register_buffer(key, value.float().contiguous(), persistent=False)
        self.joint_parents = tuple(parents)
        self.joint_names = tuple(str(name) for name in joint_names)

    def vertices(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        pose: Pose | None = None,
        joints: Tensor | None = None,
    ) -> Tensor:
        """Vertices ``(..., V, 3)`` as :meth:`MorphableModel.vertices`.

        Args:
            joints: ``(..., J, 3)`` rotations about the joints as axis times angle in radians, each
                relative to its parent; the linear model when missing. Its leading dimensions are
                broadcast against the others'. Differentiable, at zero too.
        """
        if joints is None:
            return super().vertices(identity, expression, pose)
        if joints.shape[-2:] != (len(self.joint_names), 3):
            raise ValueError(
                f"joints: expected shape (..., {len(self.joint_names)}, 3) for "
                f"{', '.join(self.joint_names)}, got {tuple(joints.shape)}"
            )
        shape = super().vertices(identity, expression)
        rotations = rotation_from_axis_angle(joints)
        identity_matrix = torch.eye(3, dtype=joints.dtype, device=joints.device)
        features = (rotations[..., 1:, :, :] - identity_matrix).flatten(-3)
        correctives = features @ self.pose_basis.flatten(1)
        corrected = shape + correctives.unflatten(-1, (-1, 3))
        turn, shift = self._chain(rotations, self.joint_regressor @ shape)
        turn = torch.einsum("vj,...jab->...vab", self.skin_weights, turn)
        moved = (turn @ corrected[..., None])[..., 0] + self.skin_weights @ shift
        return moved if pose is None else apply_pose(pose, moved)

    def landmark_points(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        pose: Pose | None = None,
        joints: Tensor | None = None,
    ) -> Tensor:
        """The landmarks ``(..., 68, 3)`` as :meth:`vertices`."""
        if joints is None:
            return super().landmark_points(identity, expression, pose)
        return self.vertices(identity, expression, pose, joints)[..., self.landmarks, :]

    def _chain(self, rotations: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """For each joint the rotation ``(..., J, 3, 3)`` and translation ``(..., J, 3)`` that take
        the unposed surface to where the joint carries it.
        """
        turns, shifts = [], []
        for i, parent in enumerate(self.joint_parents):
            rotation, place = rotations[..., i, :, :], places[..., i, :]
            # x -> R (x - place) + place, then as the parent moves.
            shift = place - (rotation @ place[..., None])[..., 0]
            if i:
                shift = (turns[parent] @ shift[..., None])[..., 0] + shifts[parent]
                rotation = turns[parent] @ rotation
            turns.append(rotation)
            shifts.append(shift)
        return torch.stack(turns, -3), torch.stack(torch.broadcast_tensors(*shifts), -2)


def rotation_from_axis_angle(values: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` about axes by angles in radians, ``(..., 3)``: the
    exponential of the cross-product matrix, which has gradients at zero.
    """
    x, y, z = values.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(cross)
