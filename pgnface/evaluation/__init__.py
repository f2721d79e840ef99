"""Metrics and evaluation protocols."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "BinnedError": ".metrics",
        "PoseError": ".metrics",
        "cumulative_error": ".metrics",
        "error_by_yaw": ".metrics",
        "nme": ".metrics",
        "pose_error": ".metrics",
        "shape_error": ".metrics",
    },
)
