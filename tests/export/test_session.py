import subprocess
import sys

import numpy as np
import pytest
import torch

from pgnface.data.cropping import SquareBox, box_warp, crop, square_box
from pgnface.networks.inference import boxes_around, predict_faces

pytest.importorskip("onnxruntime")

from pgnface.export import session


def picture(height=150, width=190, seed=0):
    """A smooth picture, so that a crop's rounding and not its noise is compared."""
    coarse = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (fine[0].permute(1, 2, 0) * 255).round().byte().numpy()


@pytest.mark.parametrize(
    "x, y, side, angle",
    [
        (90.3, 71.8, 40.0, 0),
        (90, 70, 64, 0),
        (80, 75, 128, 0),
        (95.2, 60.1, 300.7, 0),
        (5, 149, 100, 0),
        (88, 64, 70, 25),
        (20, 30, 200, -140),
    ],
    ids=[
        *("enlarged", "alike", "halved", "larger than the photo", "over the border"),
        *("turned", "turned over the border"),
    ],
)
def test_cuts_as_the_package_does(x, y, side, angle):
    photo = picture()
    box = SquareBox(x, y, side, angle)
    expected = crop(photo, box, 64)[0].transpose(2, 0, 1) / 255
    warp = session.square_warp(session.Square(x, y, side, np.deg2rad(angle)), 64)
    np.testing.assert_allclose(warp, box_warp(box, 64), atol=1e-12)
    found = session.cut(photo, warp, 64)
    # OpenCV rounds to whole levels, twice where it averages blocks.
    assert np.abs(found - expected).max() < 2.01 / 255


@pytest.mark.parametrize("passes", [1, 2])
def test_agrees_with_the_package_in_the_photos_pixels(module, onnx_file, passes):
    photo, network = picture(), module.network
    boxes = np.array([[40.0, 30.0, 110.0, 120.0], [90.0, 60.0, 150.0, 110.0]])
    found = session.FaceSession(onnx_file)(photo, boxes, passes=passes)
    squares = [square_box(box) for box in boxes]
    with torch.no_grad():
        for _ in range(passes):
            expected = predict_faces(network, [photo] * 2, squares)
            squares = boxes_around(expected)
        vertices = network.vertices(expected)
    points = {
        "landmarks": expected.landmarks,
        "annotated_landmarks": expected.annotated_landmarks,
        "vertices": vertices,
        "translation": expected.pose.translation,
        "position_map": expected.position_map,
    }
    others = {
        "scale": expected.pose.scale,
        "rotation": expected.pose.rotation,
        "identity": expected.identity,
    }
    # The crops differ by OpenCV's rounding to whole levels.
    for values, tolerance in ((points, 0.5), (others, 0.02)):
        for name, value in values.items():
            np.testing.assert_allclose(found[name], value, atol=tolerance, err_msg=name)
    assert found["triangles"].shape == (384, 3)


def test_needs_neither_torch_nor_the_package(onnx_file):
    code = (
        "import sys, numpy as np, runpy\n"
        "sys.modules.update(torch=None, cv2=None, pgnface=None)\n"
        "FaceSession = runpy.run_path(sys.argv[1])['FaceSession']\n"
        "faces = FaceSession(sys.argv[2])(np.zeros((80, 80, 3), np.uint8), [[20, 20, 60, 60]])\n"
        "print(faces['landmarks'].shape)"
    )
    command = [sys.executable, "-c", code, session.__file__, str(onnx_file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "(1, 68, 3)", done.stderr


@pytest.mark.parametrize(
    "photo, boxes, named",
    [
        (np.zeros((8, 8, 3)), [[0, 0, 4, 4]], "photo"),
        (np.zeros((8, 8), np.uint8), [[0, 0, 4, 4]], "photo"),
        (np.zeros((8, 8, 3), np.uint8), [0, 0, 4, 4], "boxes"),
        (np.zeros((8, 8, 3), np.uint8), [[4, 0, 4, 4]], "boxes"),
    ],
)
def test_bad_input_is_named(onnx_file, photo, boxes, named):
    with pytest.raises(ValueError, match=named):
        session.FaceSession(onnx_file)(photo, boxes)


def test_refuses_other_files(tmp_path):
    onnx = pytest.importorskip("onnx")
    kind = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], "other", [kind], [out])
    opset = [onnx.helper.make_opsetid("", 20)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "x.onnx"
    )
    with pytest.raises(ValueError, match="crop_scale"):
        session.FaceSession(tmp_path / "x.onnx")
