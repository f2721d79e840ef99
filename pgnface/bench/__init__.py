"""How long the kernels take, and how far that is from what the machine can do: ``pgnface bench``.

The cases, their floors (bytes and operations), their inputs and the clock are shared with the
suites in ``benchmarks/``.
"""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Case": ".case",
        "Floor": ".case",
        "Limits": ".machine",
        "Scene": ".inputs",
        "Timing": ".clock",
        "cases": ".cases",
        "face_mesh": ".meshes",
        "measure_limits": ".machine",
        "run_bench": ".report",
        "steps": ".steps",
        "time_calls": ".clock",
    },
)
