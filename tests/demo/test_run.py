from dataclasses import replace

import pytest
import trimesh

from pgnface._errors import UserError
from pgnface.demo import run as demo
from pgnface.morphable import save_model
from pgnface.networks import NetworkConfig
from tests.models import tiny_model


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A demo of seconds: a tiny face model, a tiny network, few people."""
    full = demo.demo_config

    def config(*arguments):
        return replace(
            full(*arguments),
            network=NetworkConfig(image_size=32, map_size=8, code_size=16),
            batch_size=4,
            workers=0,
            multiframe=replace(full(*arguments).multiframe, start=0),
        )

    monkeypatch.setattr(demo, "demo_config", config)
    monkeypatch.setattr(demo, "_MEASURED_PEOPLE", 3)
    monkeypatch.setattr(demo, "_SHOWN_PEOPLE", 2)
    monkeypatch.setattr(demo, "_WARM_BATCHES", 1)
    monkeypatch.setattr(demo, "_TIMED_STEPS", (1, 2))
    model = tmp_path / "tiny.npz"
    save_model(tiny_model(), model)
    return str(model)


def test_demo(small, tmp_path, capsys):
    output = tmp_path / "demo"
    page = demo.run_demo(output, minutes=0.01, model=small)
    text = page.read_text()
    assert page == output / "index.html"
    assert "landmarks" in text and "photometric" in text and "{{" not in text
    assert len(trimesh.load(output / "head.glb", force="mesh", process=False).vertices) == 221
    assert "Rendered people" in capsys.readouterr().out


def test_an_earlier_demos_run_is_replaced_and_nothing_else(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run, other):
        folder.mkdir()
        (folder / "file").write_text("")
    (run / "config.yaml").write_text("")
    for folder in (run, other, tmp_path / "missing"):
        demo._clear_run(folder)
    assert not run.exists() and (other / "file").exists()


def test_bad_arguments(tmp_path):
    with pytest.raises(UserError, match="minutes must be positive"):
        demo.run_demo(tmp_path, minutes=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to the folder"):
        demo.run_demo(tmp_path / "file" / "demo")
