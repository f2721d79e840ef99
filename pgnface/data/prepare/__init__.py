"""Face crops in WebDataset shards, from photos, folders and videos."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__, {"PrepareSettings": ".settings", "prepare": ".run"}
)
