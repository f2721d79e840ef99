"""Metrics and evaluation protocols."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "BinnedError": ".metrics",
        "PoseError": ".metrics",
        "Report": ".report",
        "cumulative_error": ".metrics",
        "error_by_yaw": ".metrics",
        "evaluate_aflw2000": ".aflw2000",
        "evaluate_synthetic": ".synthetic",
        "nme": ".metrics",
        "pose_error": ".metrics",
        "shape_error": ".metrics",
    },
)
