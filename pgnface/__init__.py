"""3D faces from photos and videos with a pose guidance network, on C++/CUDA kernels.

Reconstruct the faces of a photo::

    import pgnface

    face = pgnface.reconstruct("photo.jpg")[0]
    print(face.angles)  # pitch, yaw, roll in degrees
    face.save("face.glb")

Names are imported when they are first used, so ``import pgnface`` is quick.
"""

from importlib.metadata import version

from pgnface._lazy import lazy_exports

__version__ = version("pgnface")

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Face": "pgnface.reconstruction",
        "MorphableModel": "pgnface.morphable",
        "NetworkConfig": "pgnface.networks",
        "Pose": "pgnface.geometry",
        "PoseGuidanceNetwork": "pgnface.networks",
        "TrainConfig": "pgnface.training",
        "evaluate_aflw2000": "pgnface.evaluation",
        "evaluate_synthetic": "pgnface.evaluation",
        "geometry": "pgnface.geometry",
        "load_model": "pgnface.morphable",
        "load_network": "pgnface.training",
        "ops": "pgnface.ops",
        "reconstruct": "pgnface.reconstruction",
        "reconstruct_person": "pgnface.reconstruction",
        "run_demo": "pgnface.demo",
        "train": "pgnface.training",
    },
)
