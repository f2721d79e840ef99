"""Head pose, cameras and the conventions that the rest of the package relies on."""

from .head_pose import solve_head_pose
from .pose import (
    Pose,
    angles_from_rotation,
    apply_pose,
    flip_axes,
    mean_rotation,
    rotation_distance,
    rotation_from_angles,
)

__all__ = [
    "Pose",
    "angles_from_rotation",
    "apply_pose",
    "flip_axes",
    "mean_rotation",
    "rotation_distance",
    "rotation_from_angles",
    "solve_head_pose",
]
