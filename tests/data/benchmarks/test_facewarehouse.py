import struct

import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.benchmarks import list_facewarehouse
from pgnface.data.benchmarks.facewarehouse import read_blendshapes
from pgnface.data.benchmarks.layout import SampleError

from .published import TRIANGLE, write, write_photo


@pytest.fixture
def root(tmp_path):
    """Tester 2 in one archive's folder, tester 10 in another."""
    for folder in ("FaceWarehouse_Data_1/Tester_10", "FaceWarehouse_Data_0/Tester_2"):
        for expression in range(20):
            stem = tmp_path / folder / f"TrainingPose/pose_{expression}"
            write(stem.with_suffix(".obj"), TRIANGLE)
            write_photo(stem.with_suffix(".png"))
            if expression < 3:
                write(stem.with_suffix(".land"), "74\n")
    return tmp_path


def test_every_expression_of_every_person(root):
    samples = list_facewarehouse(root)
    assert len(samples) == 40
    assert [(s.subject, s.expression) for s in samples[::10]] == [
        (2, 0),
        (2, 10),
        (10, 0),
        (10, 10),
    ]
    assert samples[21].name == "Tester_10/pose_1"
    assert samples[21].mesh.parent == samples[21].image.parent == samples[21].landmarks.parent
    assert samples[23].landmarks is None
    assert len(list_facewarehouse(root / "FaceWarehouse_Data_0")) == 20


def test_damaged_samples_are_reported(root):
    folder = root / "FaceWarehouse_Data_0/Tester_2/TrainingPose"
    (folder / "pose_4.png").unlink()
    write(folder / "pose_7.obj")
    with pytest.raises(SampleError, match=r"pose_4\.png: no such file"):
        list_facewarehouse(root)
    skipped = {}
    assert len(list_facewarehouse(root, skipped)) == 38
    assert set(skipped) == {"Tester_2/pose_4", "Tester_2/pose_7"}
    with pytest.raises(UserError, match="no sample of FaceWarehouse"):
        list_facewarehouse(folder)


def test_blendshapes(tmp_path):
    shapes = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    data = struct.pack("<3i", 3, 5, 6) + shapes.tobytes()
    np.testing.assert_array_equal(read_blendshapes(write(tmp_path / "shape.bs", data)), shapes)
    for damaged in (data[:-4], data[:8], data + b"0000", struct.pack("<3i", -1, 5, 6)):
        with pytest.raises(SampleError, match=r"shape\.bs: expected 12 bytes"):
            read_blendshapes(write(tmp_path / "shape.bs", damaged))
    with pytest.raises(SampleError, match="no such file"):
        read_blendshapes(tmp_path / "none.bs")
