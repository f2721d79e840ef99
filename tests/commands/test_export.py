"""``pgnface export weights``; the other formats are tested in tests/export."""

import pytest
import torch

from pgnface import cli
from pgnface._errors import UserError
from pgnface.commands.export import Weights
from pgnface.morphable import save_model
from pgnface.training.checkpoint import load_network, read_header, save_weights
from tests.training.faces import tiny_network


@pytest.mark.parametrize("half", [True, False])
def test_weights(tmp_path, half):
    network = tiny_network()
    save_model(network.model, tmp_path / "model.npz")
    save_weights(
        network,
        tmp_path / "run.safetensors",
        model_name=str(tmp_path / "model.npz"),
        training={"steps": 3},
    )
    output = tmp_path / "out" / "face.safetensors"
    arguments = ["--checkpoint", str(tmp_path / "run.safetensors"), "--output", str(output)]
    cli.main(["export", "weights", *arguments, *([] if half else ["--no-half"])])
    assert read_header(output)["training"] == {"steps": 3}
    state = load_network(output).state_dict()
    for name, value in network.state_dict().items():
        rounded = value.half().float() if half and value.numel() > 1024 else value
        assert torch.equal(state[name], rounded)
    sizes = [path.stat().st_size for path in (output, tmp_path / "run.safetensors")]
    assert (sizes[0] < 0.8 * sizes[1]) == half


def test_another_suffix_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"a name that ends in \.safetensors, got .*face\.pth"):
        Weights(output=tmp_path / "face.pth").run()
