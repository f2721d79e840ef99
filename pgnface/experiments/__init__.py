"""The method's claims as experiments that anyone can run again."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "load_study": ".study",
        "measure_bottleneck": ".bottleneck",
        "measure_robustness": ".robustness",
        "run_study": ".run",
    },
)
