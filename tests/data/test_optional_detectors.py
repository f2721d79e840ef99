"""Detectors of other packages, with stand-ins that have their interfaces."""

import pickle
import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from pgnface._errors import UserError
from pgnface.data.cropping import SquareBox
from pgnface.data.detectors import build_detector, detect_many

IMAGE = np.zeros((200, 200, 3), np.uint8)


def install(monkeypatch, name, **members):
    """A module, and those that it lies in."""
    parts = name.split(".")
    for i in range(1, len(parts)):
        package = ".".join(parts[:i])
        if not isinstance(sys.modules.get(package), ModuleType) or i > 1:
            monkeypatch.setitem(sys.modules, package, ModuleType(package))
    module = ModuleType(name)
    module.__dict__.update(members)
    monkeypatch.setitem(sys.modules, name, module)


class FakeS3fd:
    """In place of face-alignment's detector; faces are where pixels say."""

    calls: ClassVar[list] = []

    def __init__(self, device, path_to_detector=None):
        if path_to_detector is None:
            raise OSError("no network")
        self.device = device

    def detect_from_image(self, image):
        self.calls.append("image")
        shift = int(image[0, 0, 0])
        return [
            (10 + shift, 20, 30 + shift, 60, 0.9),
            (11 + shift, 21, 31 + shift, 61, 0.8),
            (100, 100, 160, 180, 0.6),
            (0, 0, 9, 9, 0.2),
        ]

    def detect_from_batch(self, tensor):
        self.calls.append(tuple(tensor.shape))
        images = tensor.numpy().transpose(0, 2, 3, 1)
        return [[] if image[0, 0, 1] else self.detect_from_image(image) for image in images]


@pytest.fixture
def s3fd(monkeypatch, tmp_path):
    """The file of its weights."""
    install(monkeypatch, "face_alignment.detection.sfd", FaceDetector=FakeS3fd)
    monkeypatch.setattr(FakeS3fd, "calls", [])
    weights = tmp_path / "s3fd.pth"
    weights.touch()
    return weights


def test_boxes_of_face_alignment_become_squares(s3fd):
    found = build_detector("face-alignment", s3fd)(IMAGE)
    assert found == [SquareBox(130, 140, 80 * 1.35), SquareBox(20, 40, 40 * 1.35)]


def test_images_of_one_size_are_looked_at_together(s3fd):
    wide = np.zeros((100, 200, 3), np.uint8)
    shifted, empty = IMAGE.copy(), IMAGE.copy()
    shifted[0, 0, 0], empty[0, 0, 1] = 7, 1
    detect = build_detector("face-alignment", s3fd)
    found = detect_many(detect, [IMAGE, wide, shifted, empty])
    assert FakeS3fd.calls == [(3, 3, 200, 200), "image", "image", "image"]
    assert found == [detect(IMAGE), detect(wide), detect(shifted), []]
    assert found[2][1].x == found[0][1].x + 7


def test_the_gpu_is_used_where_there_is_one(s3fd, monkeypatch):
    for available, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert build_detector("face-alignment", s3fd)._detector.device == device
        assert build_detector("face-alignment", s3fd, "cpu")._detector.device == "cpu"


def test_missing_weights_of_face_alignment(s3fd, tmp_path):
    with pytest.raises(
        UserError, match=r"weights of face-alignment cannot be loaded \(no network\)"
    ):
        build_detector("face-alignment")
    with pytest.raises(UserError, match=r"no such file of detector weights: .*none\.pth"):
        build_detector("face-alignment", tmp_path / "none.pth")


def test_blazeface_takes_its_anchors_along(s3fd, monkeypatch):
    given = {}
    fake = SimpleNamespace(
        detect_from_image=lambda image: [np.array([20.0, 20, 60, 60])]  # without a score
    )
    install(
        monkeypatch,
        "face_alignment.detection.blazeface",
        FaceDetector=lambda **arguments: given.update(arguments) or fake,
    )
    with pytest.raises(UserError, match=r"BlazeFace needs its anchors\*\.npy"):
        build_detector("face-alignment:blazeface", s3fd)
    anchors = s3fd.with_name("anchorsback.npy")
    anchors.touch()
    weights = s3fd.rename(s3fd.with_name("blazefaceback.pth"))
    detect = build_detector("face-alignment:blazeface", weights, "cpu")
    assert detect(IMAGE) == [SquareBox(40, 40, 54)]
    assert given == {
        **{"device": "cpu", "back_model": True},
        **{"path_to_detector": str(weights), "path_to_anchor": str(anchors)},
    }


def test_a_detector_that_the_installed_version_lacks(s3fd, monkeypatch):
    monkeypatch.setitem(sys.modules, "face_alignment.detection.scrfd", None)
    monkeypatch.setattr("pgnface.data.optional_detectors._is_installed", lambda package: True)
    with pytest.raises(UserError, match=r"'scrfd' of the installed .* cannot be imported"):
        build_detector("face-alignment:scrfd", s3fd)


class FakeMediaPipe:
    """In place of MediaPipe's detector."""

    def __init__(self, options):
        if options.base_options.model_asset_path.endswith("broken.tflite"):
            raise RuntimeError("bad model")
        self.least = options.min_detection_confidence

    create_from_options = classmethod(lambda cls, options: cls(options))

    def detect(self, image):
        assert image.data.flags.c_contiguous
        box = SimpleNamespace(origin_x=40, origin_y=60, width=100, height=90)
        category = SimpleNamespace(score=0.9)
        return SimpleNamespace(
            detections=[SimpleNamespace(bounding_box=box, categories=[category])]
        )


@pytest.fixture
def mediapipe(monkeypatch, tmp_path):
    """The file of its model."""
    install(
        monkeypatch,
        "mediapipe.tasks.python.vision",
        FaceDetector=FakeMediaPipe,
        FaceDetectorOptions=lambda **options: SimpleNamespace(**options),
    )
    options = {"BaseOptions": lambda **options: SimpleNamespace(**options)}
    sys.modules["mediapipe.tasks.python"].__dict__.update(options)
    image = {
        "Image": lambda image_format, data: SimpleNamespace(data=data),
        "ImageFormat": SimpleNamespace(SRGB=1),
    }
    monkeypatch.setitem(sys.modules, "mediapipe", ModuleType("mediapipe"))
    sys.modules["mediapipe"].__dict__.update(image)
    path = tmp_path / "blaze_face_short_range.tflite"
    path.touch()
    return path


def test_boxes_of_mediapipe_become_squares(mediapipe):
    detect = build_detector("mediapipe", mediapipe)
    (box,) = detect(IMAGE[:, ::-1])
    assert box[:3] == pytest.approx((90, 105 + 0.05 * 100, 131))
    assert pickle.loads(pickle.dumps(detect))(IMAGE) == [box]


def test_what_mediapipe_needs(mediapipe, monkeypatch):
    with pytest.raises(UserError, match=r"needs its model's file, .*got None"):
        build_detector("mediapipe")
    broken = mediapipe.with_name("broken.tflite")
    broken.touch()
    with pytest.raises(UserError, match=r"broken\.tflite: MediaPipe cannot load it \(bad model"):
        build_detector("mediapipe", broken)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(
        UserError, match=r"mediapipe is not installed .* pip install 'pgnface\[mediapipe\]'"
    ):
        build_detector("mediapipe", mediapipe)


def test_boxes_of_dlib_become_squares(monkeypatch):
    def rectangle(left, top, side):
        return SimpleNamespace(
            **{"left": lambda: left, "top": lambda: top},
            **{"right": lambda: left + side - 1, "bottom": lambda: top + side - 1},
            width=lambda: side,
        )

    found = [rectangle(20, 30, 40), rectangle(100, 90, 80), rectangle(104, 92, 80)]
    fake = SimpleNamespace(run=lambda image, upsample, threshold: (found, [1.0, 0.5, 0.9], [0] * 3))
    install(monkeypatch, "dlib", get_frontal_face_detector=lambda: fake)
    detect = build_detector("dlib")
    large, small = detect(IMAGE)
    assert large[:3] == pytest.approx((144, 132 + 8, 104))
    assert small[:3] == pytest.approx((40, 50 + 4, 52))
    assert pickle.loads(pickle.dumps(detect))(IMAGE) == [large, small]
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UserError, match=r"dlib is not installed: pip install 'pgnface\[dlib\]'"):
        build_detector("dlib")
