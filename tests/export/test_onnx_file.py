import json
import subprocess
import sys

import pytest
import torch

from pgnface import cli
from pgnface._errors import UserError
from pgnface.export import compare_onnx, differences, save_onnx


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_agrees_with_the_network(module, onnx_file, batch):
    found = differences(module, onnx_file, torch.rand(batch, 3, 64, 64))
    assert found.keys() == module(torch.rand(1, 3, 64, 64)).keys()
    assert max(found.values()) < 1e-3


@pytest.mark.parametrize(
    "encoder, pose",
    [
        ("mobile", "solved"),
        pytest.param("resnet18", "regressed", marks=pytest.mark.slow),
        pytest.param("resnet50", "solved", marks=pytest.mark.slow),
    ],
)
def test_every_encoder_and_both_poses(make_module, tmp_path, encoder, pose):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = make_module(encoder, pose, vertices=False)
    save_onnx(module, tmp_path / "face.onnx")
    found = differences(module, tmp_path / "face.onnx", torch.rand(2, 3, 64, 64))
    assert max(found.values()) < 1e-2


def test_only_standard_operators_and_a_batch_of_any_size(onnx_file):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(onnx_file)
    onnx.checker.check_model(model)
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"} and not model.functions
    (image,) = model.graph.input
    dims = image.type.tensor_type.shape.dim
    assert image.name == "image" and dims[0].dim_param == "N" and dims[2].dim_value == 64


def test_says_what_it_holds(onnx_file):
    onnx = pytest.importorskip("onnx")
    facts = {entry.key: entry.value for entry in onnx.load(onnx_file).metadata_props}
    assert facts["face_model"] == "tiny" and facts["face_model_license"] == "generated"
    assert float(facts["crop_scale"]) == 1.35 and int(facts["image_size"]) == 64
    assert json.loads(facts["expression_names"])[0] == "jawOpen"


def test_tells_another_networks_file(make_module, onnx_file):
    other = make_module(position_map=True)
    with torch.no_grad():
        other.network.landmark_offsets.add_(1)
    with pytest.raises(UserError, match="annotated_landmarks on noise"):
        compare_onnx(other, onnx_file)


def test_command_says_what_it_wrote(exported):
    path, said = exported
    assert said.startswith("the file holds a copy of the face model 'tiny': generated")
    assert "greatest difference from the network (noise, 5 crops): landmarks " in said
    assert said.rstrip().endswith("MB") and str(path) in said


@pytest.mark.parametrize("verb, ending", [("onnx", ".onnx"), ("torch-export", ".pt2")])
def test_another_ending_is_refused(verb, ending, capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(["export", verb, "-o", "face.bin"])
    assert exit.value.code == 2 and f"ends in {ending}" in capsys.readouterr().err


def test_a_missing_package_is_named(module, tmp_path, monkeypatch):
    monkeypatch.setattr("pgnface.export.onnx_file.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"package onnx; .*pgnface\[export\]"):
        save_onnx(module, tmp_path / "face.onnx")


def test_help_imports_nothing_heavy():
    code = (
        "import sys, pgnface.export, pgnface.commands.export\n"
        "print([name for name in ('torch', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
