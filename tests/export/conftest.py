from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch

from pgnface.cli import main
from pgnface.export import NamedOutputs
from pgnface.morphable import save_model
from pgnface.networks import NetworkConfig, PoseGuidanceNetwork
from pgnface.training.checkpoint import save_weights
from tests.models import tiny_model


@pytest.fixture(scope="session")
def make_module():
    """``make_module(encoder, pose)``: an exportable network whose outputs depend on the image."""

    def make(encoder="small", pose="solved", **outputs):
        torch.manual_seed(0)
        config = NetworkConfig(encoder=encoder, pose=pose, image_size=64, map_size=16, code_size=16)
        network = PoseGuidanceNetwork(tiny_model(), config).eval()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if "head" in name or "offsets" in name:
                    parameter.add_(0.05 * torch.randn_like(parameter))
        return NamedOutputs(network, **outputs)

    return make


@pytest.fixture(scope="session")
def module(make_module):
    return make_module(position_map=True)


@pytest.fixture(scope="session")
def exported(module, tmp_path_factory):
    """The module as an ONNX file and what the command said; skips without the packages for it."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("export")
    network, model, weights = module.network, folder / "tiny.npz", folder / "tiny.safetensors"
    save_model(network.model, model)
    save_weights(network, weights, model_name=str(model))
    path = folder / "new" / "face.onnx"
    with redirect_stdout(StringIO()) as said:
        main(["export", "onnx", "--position-map", "--checkpoint", str(weights), "-o", str(path)])
    return path, said.getvalue()


@pytest.fixture(scope="session")
def onnx_file(exported):
    return exported[0]
