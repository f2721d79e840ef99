"""What this installation is and what it runs on: ``pgnface info``."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

# Instruction sets that decide how fast the kernels run, under the names Linux and macOS use.
_CPU_FEATURES = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "asimd", "asimdhp", "asimddp", "bf16", "sve"),
)


def collect_info() -> dict[str, object]:
    """Versions, processor, threads and CUDA state of this machine.

    Returns:
        A JSON-ready dictionary. ``cuda_built`` says whether the kernels were built with CUDA,
        ``cuda_device`` names the device that torch sees (``None`` without one).
    """
    import numpy
    import torch

    import pgnface

    try:
        from pgnface import _C

        kernels, cuda_built = "loaded", bool(_C.has_cuda)
    except ImportError as error:
        kernels, cuda_built = f"cannot be loaded: {error}", False
    cpu, features = _processor()
    return {
        "pgnface": pgnface.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "cpu": cpu,
        "cpu_features": features,
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "kernels": kernels,
        "cuda_built": cuda_built,
        "cuda_torch": torch.version.cuda,
        "cuda_device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def format_info(info: dict[str, object]) -> str:
    """The information as aligned lines for a person."""
    if info["cuda_device"]:
        device = str(info["cuda_device"])
    else:
        device = "none seen" + ("" if info["cuda_torch"] else " (torch is a CPU build)")
    lines = {
        "pgnface": info["pgnface"],
        "python": info["python"],
        "torch": info["torch"],
        "numpy": info["numpy"],
        "platform": info["platform"],
        "CPU": info["cpu"],
        "CPU features": " ".join(info["cpu_features"]) or "unknown",
        "threads": f"{info['threads']} of {info['cores']} usable cores",
        "kernels": info["kernels"],
        "CUDA kernels": "built in" if info["cuda_built"] else "not built in",
        "CUDA device": device,
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> tuple[str, list[str]]:
    """Model name and the known features of the processor; empty where the system does not say."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(errors="replace") if path.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    model = name[1].strip() if name else platform.processor() or platform.machine()
    return model, [feature for feature in _CPU_FEATURES if feature in known]
