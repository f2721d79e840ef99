"""Lets the emulated CUDA kernels take the place of the CPU's."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def emulate_cuda(folder: Path) -> None:
    """Make the extension built in ``folder`` (see README.md) the one that ``pgnface`` runs.

    float32 tensors on the CPU go to its CUDA kernels from now on, those of float64 to its CPU
    kernels. To be called before pgnface is imported.
    """
    assert "pgnface" not in sys.modules
    (path,) = Path(folder).glob("_C*.so")
    spec = importlib.util.spec_from_file_location("pgnface._C", path)
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    sys.modules["pgnface._C"] = extension

    import torch

    import pgnface.ops

    def backend_of(tensor: torch.Tensor) -> str:
        return "cuda" if tensor.dtype == torch.float32 else "cpu"

    def context(tensor: torch.Tensor):
        return extension.Context(device=0)

    for name, module in list(sys.modules.items()):
        if name.startswith("pgnface.ops.") and hasattr(module, "backend_of"):
            module.backend_of = backend_of
    pgnface.ops._library._context = context
