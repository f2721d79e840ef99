"""Teachers: what says where the landmarks of unlabelled faces are."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Calibration": ".calibration",
        "FaceMesh": ".facemesh",
        "FaceMeshTeacher": ".facemesh",
        "MeshMap": ".mesh_map",
        "NetworkTeacher": ".base",
        "Teacher": ".base",
        "YawWeights": ".weights",
        "calibrate": ".calibration",
    },
)
