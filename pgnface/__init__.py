"""3D faces from photos and videos with a pose guidance network, on C++/CUDA kernels."""

from importlib.metadata import version

from pgnface._lazy import lazy_exports

__version__ = version("pgnface")

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Pose": "pgnface.geometry",
        "geometry": "pgnface.geometry",
        "load_model": "pgnface.morphable",
        "ops": "pgnface.ops",
    },
)
