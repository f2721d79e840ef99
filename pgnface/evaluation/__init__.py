"""Metrics and evaluation protocols."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "BinnedError": ".metrics",
        "PoseError": ".metrics",
        "PoseErrors": ".metrics",
        "Report": ".report",
        "cumulative_error": ".metrics",
        "dense_nme": ".metrics",
        "error_by_yaw": ".metrics",
        "evaluate_aflw2000": ".protocols.aflw2000",
        "evaluate_synthetic": ".protocols.synthetic",
        "mean_pose_error": ".metrics",
        "point_to_surface": ".metrics",
        "pose_errors": ".metrics",
        "shape_error": ".metrics",
        "sparse_nme": ".metrics",
    },
)
