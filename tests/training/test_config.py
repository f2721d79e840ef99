import subprocess
import sys
from dataclasses import replace

import pytest

from pgnface.training.config import (
    LossWeights,
    TrainConfig,
    load_config,
    preset_names,
    save_config,
)


def test_round_trip(tmp_path):
    config = replace(load_config(preset_names()[0]), lr=3e-4, loss=LossWeights(census=0.5))
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_valid_and_name_their_data(name):
    config = load_config(name)
    assert config.data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate: 1", "unknown key learning_rate"),
        ("network: {encoder: huge}", "network.encoder must be one of"),
        ("network: {image_size: 33}", "network: .*image_size must be a positive multiple"),
        ("loss: {census: -1}", "loss: census must not be negative"),
        ("steps: 0", "steps must be positive"),
        ("steps: many", "steps must be an integer"),
        ("ema_decay: 1.5", "ema_decay must lie in"),
        ("data: [{weight: 1}]", r"data\[0\].source is missing"),
        ("data: [{source: {kind: nothing}}]", r"data\[0\].source.kind must be one of"),
        ("- 1", "must be a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        load_config(path)
    assert str(path) in str(error.value)


def test_absent_file_lists_the_presets(tmp_path):
    with pytest.raises(FileNotFoundError, match=preset_names()[0]):
        load_config(tmp_path / "absent.yaml")


def test_empty_file_is_the_default(tmp_path):
    (tmp_path / "config.yaml").write_text("")
    assert load_config(tmp_path / "config.yaml") == TrainConfig()


def test_configuration_does_not_import_torch():
    code = "import sys, pgnface.training.config; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
