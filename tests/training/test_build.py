import pytest
import torch
from safetensors.torch import save_file

import pgnface
from pgnface.data.config import SyntheticConfig
from pgnface.morphable import save_model
from pgnface.training.build import build_network, build_source, build_validation
from pgnface.training.checkpoint import save_weights
from pgnface.training.config import WeightedSource

from .faces import tiny_config, tiny_network


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.npz"
    save_model(tiny_network().model, path)
    return str(path)


def test_a_configuration_is_all_that_training_needs(tmp_path, model):
    config = tiny_config(
        tmp_path / "run",
        model=model,
        steps=2,
        data=(WeightedSource(SyntheticConfig(frames=2)),),
        validation=(SyntheticConfig(frames=1, seed=9),),
    )
    result = pgnface.train(config, quiet=True)
    assert result.complete
    assert set(result.validation["synthetic"]) == {"nme", "posed_nme", "pose", "shape_mm"}
    loaded = pgnface.load_network(tmp_path / "run")
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(loaded(image).landmarks, result.network(image).landmarks)


def test_the_seed_gives_the_initial_weights(tmp_path, model):
    first, same, other = (
        build_network(tiny_config(tmp_path, model=model, seed=seed)) for seed in (1, 1, 2)
    )
    weights = [next(net.encoder.parameters()) for net in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_initial_weights_are_taken_over(tmp_path, model):
    start = tiny_network()
    file = tmp_path / "start.safetensors"
    save_weights(start, file, model_name=model)
    network = build_network(tiny_config(tmp_path, model=model, initial_weights=str(file), seed=5))
    for name, value in start.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_encoder_weights_are_taken_over(tmp_path, model):
    start = tiny_network().encoder.state_dict()
    file = tmp_path / "encoder.safetensors"
    save_file({name: value + 1 for name, value in start.items()}, file)
    network = build_network(tiny_config(tmp_path, model=model, encoder_weights=str(file)))
    for name, value in start.items():
        assert torch.equal(network.encoder.state_dict()[name], value + 1)
    with pytest.raises(ValueError, match="initial_weights and encoder_weights exclude"):
        tiny_config(tmp_path, encoder_weights=str(file), initial_weights="default")


def test_no_data_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="data must name at least one source"):
        build_source(tiny_config(tmp_path), tiny_network())


def test_validation_sources_of_one_kind_have_names_of_their_own(tmp_path):
    config = tiny_config(tmp_path, validation=(SyntheticConfig(seed=1), SyntheticConfig(seed=2)))
    assert list(build_validation(config, tiny_network())) == ["synthetic", "synthetic_1"]
