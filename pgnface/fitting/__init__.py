"""Dense faces from sparse points, with how sure they are."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "fit_file": ".files",
        "LandmarkFit": ".landmarks",
        "confidence_radius": ".uncertainty",
        "fit_landmarks": ".landmarks",
        "fit_surface": ".surface",
        "vertex_covariance": ".uncertainty",
    },
)
