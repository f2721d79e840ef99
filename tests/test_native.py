"""The extension on a machine without a device or without CUDA in the build."""

import pytest
import torch

from pgnface import _C
from pgnface.ops import _library


@pytest.mark.skipif(not _C.has_cuda, reason="built without CUDA")
@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_launch_without_a_device_is_an_exception():
    with pytest.raises(RuntimeError, match="pgnface CUDA: no usable device"):
        _C.sample_colors_forward_cuda_f32(None, None, None, 1, 1, 1, 1, 1, 2, _C.Context(device=0))


def test_a_missing_kernel_is_named():
    with pytest.raises(TypeError, match=r"no kernel for torch\.float16 on cpu"):
        _library.launch("sample_colors_forward", torch.zeros(1, dtype=torch.float16))


def test_cuda_tensors_in_a_build_without_cuda(monkeypatch):
    class Fake(torch.Tensor):
        device = torch.device("cuda", 0)
        is_cpu = False

    monkeypatch.setattr(_library, "_C", type("Module", (), {"has_cuda": False}))
    fake = torch.zeros(1).as_subclass(Fake)
    with pytest.raises(RuntimeError, match="built without CUDA"):
        _library.launch("sample_colors_forward", fake)


def test_arguments_for_pointers_are_tensors():
    context = _C.Context(threads=1)
    points = torch.rand(1, 2, 3)
    results = torch.empty(1), torch.empty(1, 3, 3), torch.empty(1, 3), torch.empty(1)
    for wrong in (0, [1.0], points.to_sparse()):
        with pytest.raises((AttributeError, RuntimeError), match=r"data_ptr|storage"):
            _C.solve_pose_forward_cpu_f32(wrong, points, None, *results, None, 1, 2, context)
