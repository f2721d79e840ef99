"""What ``pgnface model info`` says of a model, and what it warns of."""

import json

import numpy as np
import pytest
import torch

from pgnface import cli
from pgnface.morphable import MorphableModel, load_model, save_model
from pgnface.morphable.description import describe_model, format_description
from tests.models import tiny_model


def changed(scale=1.0, rotation=None, flip=False):
    model = tiny_model()
    turn = torch.eye(3) if rotation is None else torch.tensor(rotation, dtype=torch.float32)
    return MorphableModel(
        model.mean @ turn.T * scale,
        model.identity_basis @ turn.T * scale,
        model.expression_basis @ turn.T * scale,
        model.triangles.flip(1) if flip else model.triangles,
        model.uv,
        model.landmarks,
    )


def test_numbers_are_those_of_the_model():
    model = tiny_model()
    got = describe_model(model)
    assert (got["vertices"], got["triangles"]) == (221, 384)
    assert (got["identity_modes"], got["expressions"]) == (4, 3)
    mean = model.mean.numpy()
    np.testing.assert_allclose(got["extent_mm"], np.ptp(mean, axis=0), atol=0.01)
    corners = mean[model.landmarks[[36, 45]]]
    assert got["outer_ocular_mm"] == pytest.approx(
        np.linalg.norm(corners[0] - corners[1]), abs=0.01
    )
    rms = np.sqrt((model.identity_basis.numpy() ** 2).sum((0, 2)).mean())
    assert got["identity_spread_mm"] == pytest.approx(rms, abs=1e-3)
    assert got["distinct_landmarks"] == 68 and got["unused_vertices"] == 0
    assert "jawOpen ... mouthSmileLeft" in format_description(got)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0.1}, "the unit or the landmarks may be wrong"),
        ({"scale": 1000}, "the unit or the landmarks may be wrong"),
        ({"rotation": np.diag([-1, 1, -1])}, "the left eye is not at larger x"),
        ({"rotation": np.diag([-1, -1, 1])}, "y may not be up"),
        ({"rotation": np.diag([1, -1, -1])}, "z may not be out"),
        ({"flip": True}, "wound clockwise"),
    ],
)
def test_what_looks_wrong_is_warned_of(change, message):
    assert any(message in warning for warning in describe_model(changed(**change))["warnings"])


def test_the_built_in_model_looks_right():
    assert describe_model(load_model())["warnings"] == []


@pytest.mark.kit
def test_the_ict_model_looks_right(kit):
    assert describe_model(load_model(kit / "models" / "ict_face.npz"))["warnings"] == []


def test_info_prints_lines_and_json(tmp_path, capsys):
    save_model(tiny_model(), tmp_path / "tiny.npz")
    cli.main(["model", "info", str(tmp_path / "tiny.npz")])
    assert "221, 0 in no triangle" in capsys.readouterr().out
    cli.main(["model", "info", str(tmp_path / "tiny.npz"), "--json"])
    got = json.loads(capsys.readouterr().out)
    assert got["format"] == "pgnface-model-1" and got["license"] == "generated"


def test_convert_writes_the_same_model_with_the_users_landmarks(tmp_path, capsys):
    save_model(tiny_model(), tmp_path / "tiny.npz")
    ids = np.arange(68)[::-1]
    np.savetxt(tmp_path / "ids.txt", ids, fmt="%d")
    arguments = ["--landmarks", str(tmp_path / "ids.txt")]
    cli.main(
        ["model", "convert", str(tmp_path / "tiny.npz"), str(tmp_path / "new.npz"), *arguments]
    )
    model = load_model(tmp_path / "new.npz")
    assert model.landmarks.tolist() == ids.tolist()
    assert torch.equal(model.basis, tiny_model().basis)
    assert describe_model(tiny_model())["landmarks_source"] == "of the file"
    assert describe_model(model)["landmarks_source"] == "as the user gave them"


def test_convert_refuses_other_outputs(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(["model", "convert", "default", str(tmp_path / "model.pkl")])
    assert exit.value.code == 2 and "ends in .npz" in capsys.readouterr().err
