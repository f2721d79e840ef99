"""Where faces come from: training sources, file formats, cropping, detectors."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Aflw2000Config": ".config",
        "AflwConfig": ".config",
        "FaceBatch": ".batch",
        "FolderConfig": ".config",
        "LandmarkFolderConfig": ".config",
        "Mixture": ".mixture",
        "ShardsConfig": ".config",
        "Source": ".source",
        "SyntheticConfig": ".config",
        "VideoConfig": ".config",
        "W300LpConfig": ".config",
        "build_source": ".build",
        "concatenate": ".batch",
    },
)
