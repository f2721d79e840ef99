"""Faces of photos and videos: finding, fitting, drawing and writing them."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "FORMATS": ".export",
        "Face": ".face",
        "build_faces": ".face",
        "draw_faces": ".face",
        "find_faces": ".find",
        "reconstruct": ".pipeline",
        "find_person": ".find",
        "fuse_identity": ".person",
        "reconstruct_files": ".pipeline",
        "reconstruct_person": ".pipeline",
        "share_identity": ".person",
    },
)
