"""Networks as files for other runtimes: ONNX, and programs of ``torch.export``."""

from pgnface._lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "FaceSession": ".session",
        "NamedOutputs": ".program",
        "compare_onnx": ".compare",
        "describe_network": ".program",
        "differences": ".compare",
        "export_program": ".program",
        "load_program": ".program",
        "save_onnx": ".onnx_file",
        "save_program": ".program",
    },
)
