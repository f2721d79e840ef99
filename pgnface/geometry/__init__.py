"""Head pose, cameras and the conventions that the rest of the package relies on."""

from .camera import (
    PinholeCamera,
    pinhole_from_field_of_view,
    project_pinhole,
    project_weak_perspective,
    to_camera,
    weak_perspective_pose,
)
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
    "PinholeCamera",
    "Pose",
    "angles_from_rotation",
    "apply_pose",
    "flip_axes",
    "mean_rotation",
    "pinhole_from_field_of_view",
    "project_pinhole",
    "project_weak_perspective",
    "rotation_distance",
    "rotation_from_angles",
    "solve_head_pose",
    "to_camera",
    "weak_perspective_pose",
]
