from pathlib import Path

import pytest

from pgnface import cli
from pgnface.training.command import parse_train
from pgnface.training.config import load_config


def test_settings_of_a_file_are_changed_one_by_one(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "steps: 5\nlr: 1e-4\ndata: [{source: {kind: synthetic, frames: 3}}]\n", encoding="utf-8"
    )
    config = parse_train(
        ["--lr", "2e-3", "--config", str(path), "--loss.census", "0.5", "--data.0.weight", "2"]
    )
    assert (config.steps, config.lr, config.loss.census) == (5, 2e-3, 0.5)
    assert config.data[0].source.frames == 3 and config.data[0].weight == 2


def test_without_arguments_it_is_the_preset_that_needs_no_data():
    assert parse_train([]) == load_config("synthetic")


def test_unknown_options_end_the_process_with_a_hint(capsys):
    with pytest.raises(SystemExit) as end:
        parse_train(["--step", "3"])
    assert end.value.code == 2
    assert "--steps" in capsys.readouterr().err


def test_help_lists_the_presets(capsys):
    with pytest.raises(SystemExit) as end:
        parse_train(["--help"])
    assert end.value.code == 0
    assert "aflw2000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "absent.yaml"], "absent.yaml is neither a file nor one of the presets"),
        (["--output", "{file}/run"], "cannot write to the folder"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path, capsys, arguments, message):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SystemExit) as end:
        cli.main(["train", *(a.format(file=file) for a in arguments)])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert message in error and len(error.strip().splitlines()) == 1


def test_the_verb_trains(tmp_path, monkeypatch, capsys):
    import pgnface.training as training

    class Result:
        step, folder = 3, Path("here")

    monkeypatch.setattr(training, "train", lambda config: Result(), raising=False)
    cli.main(["train", "--steps", "3"])
    assert "weights after 3 steps: here/final.safetensors" in capsys.readouterr().out
