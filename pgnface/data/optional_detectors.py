"""Detectors of packages that are installed by those who want them.

Each is a function from an RGB image to squares, as :mod:`pgnface.data.detectors` describes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError

from .cropping import SquareBox, square_box
from .detectors import BoxFit, suppress_overlaps


class FaceAlignmentDetector:
    """A detector of the package face-alignment (Bulat and Tzimiropoulos): S3FD (Zhang et al., ICCV
    2017), BlazeFace, and from its version 1.5 on RetinaFace, SCRFD and YuNet.

    Args:
        weights: file of the network's weights; for BlazeFace, ``anchors*.npy`` lies beside it.
            Without it face-alignment takes the one it keeps, or downloads it.
        device: as for torch; ``"auto"`` is the GPU where it can be used.
        network: name of face-alignment's detector: ``"sfd"``, ``"blazeface"``, ...

    Raises:
        UserError: when the package, this detector of it or the weights are missing.
    """

    # S3FD's boxes reach from the brows to the chin and from ear to ear, much as landmarks do.
    _THRESHOLD = 0.5

    def __init__(
        self, weights: str | Path | None = None, device: str = "cpu", network: str = "sfd"
    ) -> None:
        try:
            detector = import_module(f"face_alignment.detection.{network}").FaceDetector
        except ImportError as error:
            if _is_installed("face_alignment"):
                raise UserError(
                    f"the detector {network!r} of the installed face-alignment cannot be imported "
                    f"({error}); pip install -U 'pgnface[detect]', and what the detector needs"
                ) from error
            raise UserError(
                "the detector face-alignment is not installed: pip install 'pgnface[detect]'"
            ) from error
        files = {"path_to_detector": None}
        if weights is not None:
            files = _weight_files(Path(weights), network)
        if device == "auto":
            import torch

            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._detector = detector(device=device, **files)
        except Exception as error:  # its download fails in many ways
            raise UserError(
                f"the weights of face-alignment cannot be loaded ({error}); name their file, put "
                f"it into {_torch_cache()} (s3fd-619a316812.pth for S3FD), or use the detector "
                "blazeface"
            ) from error

    def __call__(self, image: NDArray[np.uint8]) -> list[SquareBox]:
        """Squares of the faces in an RGB image, the largest first."""
        return self._squares(self._detector.detect_from_image(image))

    def batch(self, images: Sequence[NDArray[np.uint8]]) -> list[list[SquareBox]]:
        """Squares of the faces in each image; those of one size go through the network at once."""
        import torch

        found: list[list[SquareBox]] = [[] for _ in images]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for i, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(i)
        for places in by_size.values():
            if len(places) == 1:
                found[places[0]] = self(images[places[0]])
                continue
            stack = np.stack([images[i].transpose(2, 0, 1) for i in places])
            boxes = self._detector.detect_from_batch(torch.from_numpy(stack))
            for i, entry in zip(places, boxes, strict=True):
                found[i] = self._squares(entry)
        return found

    def _squares(self, faces: Iterable[Sequence[float]]) -> list[SquareBox]:
        # Some of its detectors give no score.
        scored = [(*face[:4], face[4] if len(face) > 4 else 1.0) for face in faces if len(face)]
        found = [
            (float(score), square_box((x0, y0, x1, y1)))
            for x0, y0, x1, y1, score in scored
            if score > self._THRESHOLD and max(x1 - x0, y1 - y0) > 0
        ]
        return sorted(suppress_overlaps(found), key=lambda box: -box.side)


def _weight_files(weights: Path, network: str) -> dict[str, str | bool]:
    """Arguments of a face-alignment detector that name its local files."""
    if not weights.is_file():
        raise UserError(f"no such file of detector weights: {weights}")
    if network != "blazeface":
        return {"path_to_detector": str(weights)}
    anchors = sorted(weights.parent.glob("anchors*.npy"))
    if not anchors:
        raise UserError(f"BlazeFace needs its anchors*.npy beside {weights}")
    return {
        "path_to_detector": str(weights),
        "path_to_anchor": str(anchors[0]),
        "back_model": "back" in weights.stem,
    }


class MediaPipeDetector:
    """MediaPipe's face detector (Bazarevsky et al., *BlazeFace*, 2019).

    Args:
        weights: the model's file, such as ``blaze_face_short_range.tflite``.

    Raises:
        UserError: when the package or the file is missing, or MediaPipe refuses it.
    """

    # Measured on 150 annotated faces, as the one of dlib: 149 found, against 111.
    _FIT = BoxFit(0.0, 0.05, 1.31)
    _CONFIDENCE = 0.5

    def __init__(self, weights: str | Path | None = None) -> None:
        try:
            from mediapipe import Image, ImageFormat
            from mediapipe.tasks.python import BaseOptions
            from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions
        except ImportError as error:
            raise UserError(
                f"the detector mediapipe is not installed ({error}): "
                "pip install 'pgnface[mediapipe]'"
            ) from error
        if weights is None or not Path(weights).is_file():
            raise UserError(
                "the detector mediapipe needs its model's file, blaze_face_short_range.tflite, "
                f"given as the detector's weights; got {weights}"
            )
        self._weights = weights
        self._to_image = lambda pixels: Image(image_format=ImageFormat.SRGB, data=pixels)
        try:
            self._detector = FaceDetector.create_from_options(
                FaceDetectorOptions(
                    base_options=BaseOptions(model_asset_path=str(weights)),
                    min_detection_confidence=self._CONFIDENCE,
                )
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(f"{weights}: MediaPipe cannot load it ({error})") from error

    def __reduce__(self) -> tuple:
        """MediaPipe's objects cannot be pickled, but are soon made anew."""
        return MediaPipeDetector, (self._weights,)

    def __call__(self, image: NDArray[np.uint8]) -> list[SquareBox]:
        """Squares of the faces in an RGB image, the largest first."""
        result = self._detector.detect(self._to_image(np.ascontiguousarray(image)))
        boxes = [
            (face.bounding_box, face.categories[0].score if face.categories else 1.0)
            for face in result.detections
        ]
        return _fitted(
            (
                (score, b.origin_x + b.width / 2, b.origin_y + b.height / 2, max(b.width, b.height))
                for b, score in boxes
            ),
            self._FIT,
        )


class DlibDetector:
    """dlib's detector of frontal faces (King, *Max-Margin Object Detection*, 2015), on HOG.

    Raises:
        UserError: when the package is missing.
    """

    _FIT = BoxFit(0.0, 0.10, 1.30)

    def __init__(self) -> None:
        try:
            from dlib import get_frontal_face_detector
        except ImportError as error:
            raise UserError(
                "the detector dlib is not installed: pip install 'pgnface[dlib]', which compiles "
                "it, or dlib-bin, which comes compiled"
            ) from error
        self._detector = get_frontal_face_detector()

    def __reduce__(self) -> tuple:
        """dlib's detector cannot be pickled, but is soon made anew."""
        return DlibDetector, ()

    def __call__(self, image: NDArray[np.uint8]) -> list[SquareBox]:
        """Squares of the faces in an RGB image, the largest first."""
        rectangles, scores, _ = self._detector.run(np.ascontiguousarray(image), 1, 0.0)
        return _fitted(
            (
                (score, (r.left() + r.right() + 1) / 2, (r.top() + r.bottom() + 1) / 2, r.width())
                for r, score in zip(rectangles, scores, strict=True)
            ),
            self._FIT,
        )


def _fitted(found: Iterable[tuple[float, float, float, float]], fit: BoxFit) -> list[SquareBox]:
    """Our squares of a detector's (score, x, y, side), the largest first."""
    squares = [(float(score), fit.apply(x, y, side)) for score, x, y, side in found if side > 0]
    return sorted(suppress_overlaps(squares), key=lambda box: -box.side)


def _torch_cache() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def _is_installed(package: str) -> bool:
    """Whether a package is installed; one that was made unimportable counts as missing."""
    try:
        return find_spec(package) is not None
    except ValueError:
        return False
