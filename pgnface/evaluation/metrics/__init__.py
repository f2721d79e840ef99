"""The numbers that faces are judged by: functions of points, rotations and meshes.

Metrics of points and poses take and give tensors; those of meshes take anything that NumPy reads as
an array and give arrays.
"""

from .alignment import IDENTITY, Alignment, align_along, align_points
from .bins import BinnedError, balanced_subset, check_bins, error_by_yaw
from .curves import cumulative_error
from .icp import IcpResult, icp
from .landmarks import box_size, dense_nme, sparse_nme
from .pose import MAX_ANGLE, PoseError, PoseErrors, mean_pose_error, pose_errors
from .scan_to_mesh import SurfaceFit, align_surface
from .shape import shape_error, vertex_errors
from .surface import Surface, SurfacePoints, point_to_plane, point_to_surface, vertex_normals
from .video import coefficient_spread, landmark_jitter, pose_jitter, shape_spread

__all__ = [
    "IDENTITY",
    "MAX_ANGLE",
    "Alignment",
    "BinnedError",
    "IcpResult",
    "PoseError",
    "PoseErrors",
    "Surface",
    "SurfaceFit",
    "SurfacePoints",
    "align_along",
    "align_points",
    "align_surface",
    "balanced_subset",
    "box_size",
    "check_bins",
    "coefficient_spread",
    "cumulative_error",
    "dense_nme",
    "error_by_yaw",
    "icp",
    "landmark_jitter",
    "mean_pose_error",
    "point_to_plane",
    "point_to_surface",
    "pose_errors",
    "pose_jitter",
    "shape_error",
    "shape_spread",
    "sparse_nme",
    "vertex_errors",
    "vertex_normals",
]
