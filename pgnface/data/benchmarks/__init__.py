"""Evaluation sets as they are published: where image, scan and landmarks of each sample lie.

A module for each, with ``list_<name>(root)``. Scans are named, not read: their files are large.
"""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "list_facewarehouse": ".facewarehouse",
        "list_micc": ".micc",
        "list_now": ".now",
        "list_realy": ".realy",
        "list_stirling": ".stirling",
    },
)
