import json

import pytest
import torch
from safetensors.torch import save_file

from pgnface.morphable import save_model
from pgnface.training.checkpoint import load_network, read_header, save_weights

from .faces import tiny_network


@pytest.fixture
def stored(tmp_path):
    """A network with random offsets, its file of weights and its face model's file."""
    network = tiny_network().eval()
    with torch.no_grad():
        network.landmark_offsets.normal_()
    model = tmp_path / "model.npz"
    save_model(network.model, model)
    path = tmp_path / "weights.safetensors"
    save_weights(network, path, model_name=str(model), training={"step": 7})
    return network, path, model


def test_weights_round_trip_with_their_model(stored):
    network, path, _ = stored
    loaded = load_network(path)
    image = torch.rand(2, 3, 32, 32)
    assert torch.equal(loaded(image).landmarks, network(image).landmarks)
    assert not loaded.training
    assert read_header(path)["training"] == {"step": 7}


def test_half_precision_is_smaller_and_nearly_the_same(stored, tmp_path):
    network, path, model = stored
    half = tmp_path / "half.safetensors"
    save_weights(network, half, model_name=str(model), half=True)
    assert half.stat().st_size < 0.55 * path.stat().st_size
    loaded = load_network(half)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    assert torch.equal(loaded.landmark_offsets, network.landmark_offsets)
    image = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(loaded(image).landmarks, network(image).landmarks, atol=0.1, rtol=0)


def test_another_face_model_is_refused(stored):
    _, path, model = stored
    other = tiny_network().model
    other.mean += 1
    with pytest.raises(ValueError, match="trained with another face model"):
        load_network(path, model=other)
    model.unlink()
    with pytest.raises(FileNotFoundError, match="needs the face model"):
        load_network(path)


def test_files_that_are_no_weights(tmp_path, stored):
    _, path, _ = stored
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.ones(2)}, other)
    with pytest.raises(ValueError, match=r"other\.safetensors holds no weights of pgnface"):
        load_network(other)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"weights\.safetensors is damaged"):
        load_network(path)
    with pytest.raises(FileNotFoundError, match="do not exist"):
        load_network(tmp_path / "absent.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="neither final weights nor a checkpoint"):
        load_network(tmp_path / "empty")


def test_weights_that_do_not_fit_their_own_description(stored, tmp_path):
    network, path, model = stored
    state = network.state_dict()
    state["unexpected"] = torch.ones(1)
    state["landmark_offsets"] = torch.ones(3)
    del state["pose_offset"]
    save_weights(network, path, model_name=str(model), state=state)
    with pytest.raises(ValueError, match=r"landmark_offsets has shape .*; pose_offset is missing"):
        load_network(path)


def test_later_format_is_named(stored, tmp_path):
    network, path, _ = stored
    header = {**read_header(path), "format": 99}
    save_file(network.state_dict(), path, {"pgnface": json.dumps(header)})
    with pytest.raises(ValueError, match="has format 99, this version reads 1"):
        load_network(path)
