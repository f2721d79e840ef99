import subprocess
import sys

import torch

from pgnface.export import load_program, save_program

NAMES = {
    "landmarks": (68, 3),
    "annotated_landmarks": (68, 3),
    "landmark_weights": (68,),
    "identity": (4,),
    "expression": (3,),
    "scale": (),
    "rotation": (3, 3),
    "translation": (3,),
    "vertices": (221, 3),
    "position_map": (3, 16, 16),
}


def test_names_and_shapes(module, make_module):
    outputs = module(torch.rand(2, 3, 64, 64))
    assert tuple(outputs.pop("triangles").shape) == (384, 3)
    assert {name: tuple(value.shape[1:]) for name, value in outputs.items()} == NAMES
    fewer = make_module(vertices=False)(torch.rand(2, 3, 64, 64))
    assert fewer.keys() == NAMES.keys() - {"vertices", "position_map"}


def test_a_program_runs_without_the_package(module, tmp_path):
    path = tmp_path / "face.pt2"
    save_program(module, path)
    program, description = load_program(path)
    assert description["face_model"] == "tiny" and description["image_size"] == 64
    for batch in (1, 3):
        images = torch.rand(batch, 3, 64, 64)
        torch.testing.assert_close(program(images), module(images), atol=1e-3, rtol=1e-4)
    code = (
        "import sys, torch; program = torch.export.load(sys.argv[1]).module()\n"
        "print(program(torch.rand(2, 3, 64, 64))['rotation'].shape, 'pgnface' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stdout.strip() == "torch.Size([2, 3, 3]) False", done.stderr
