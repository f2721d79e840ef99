"""People rendered from a face model, with exact labels."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__, {"SyntheticCrops": ".crops", "SyntheticSource": ".people"}
)
