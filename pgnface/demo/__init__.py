"""The demo: train on rendered people, measure, report."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(__name__, {"run_demo": ".run"})
