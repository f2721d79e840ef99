"""From a photo to the 3D faces in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pgnface._errors import NothingFoundError, UserError
from pgnface._output import prepare_folder
from pgnface.data.cropping import SquareBox, square_box
from pgnface.data.detectors import Detector, build_detector, intersection_over_union
from pgnface.data.images import read_image
from pgnface.data.video import VIDEO_SUFFIXES, Video
from pgnface.evaluation.report import describe
from pgnface.networks import PoseGuidanceNetwork
from pgnface.networks.inference import boxes_around, predict_faces, resolve_network
from pgnface.reconstruction.export import FORMATS
from pgnface.reconstruction.face import Face, build_faces, draw_faces

# Two detections whose boxes overlap by more than this are one face.
_SAME_FACE = 0.5


def reconstruct(
    photo: str | Path | NDArray[np.uint8],
    *,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    detector: str = "auto",
    box: Sequence[float] | None = None,
) -> list[Face]:
    """The faces in a photo, largest first; an empty list when there is none.

    Args:
        photo: a file, or ``(H, W, 3)`` uint8 RGB.
        checkpoint: weights to load, or a network (load it once for many photos).
        detector: of :func:`pgnface.data.detectors.build_detector`; ``"none"`` takes the whole
            photo for the face.
        box: edges (x0, y0, x1, y1) of the face in pixels, in place of a detector.

    Raises:
        ValueError: for a file that is no image, a box without area, or an array of another kind.
        FileNotFoundError: without photo or weights.
    """
    network = resolve_network(checkpoint)
    image = read_image(photo) if isinstance(photo, (str, Path)) else _checked_image(photo)
    return find_faces(network, image, _box_finder(detector, box))


def find_faces(
    network: PoseGuidanceNetwork, image: NDArray[np.uint8], finder: Detector
) -> list[Face]:
    """Reconstruct what a finder (image to boxes) finds in an image, largest first."""
    boxes = finder(image)
    if not boxes:
        return []
    # Crops cut anew around the landmarks depend less on the detector's habits, and two detections
    # of one face become alike.
    boxes = _distinct(boxes_around(predict_faces(network, [image] * len(boxes), boxes)))
    prediction = predict_faces(network, [image] * len(boxes), boxes)
    faces = build_faces(network, [image] * len(boxes), boxes, prediction)
    return sorted(faces, key=lambda face: -face.box.side)


def reconstruct_files(
    photos: Sequence[Path],
    output: Path,
    *,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    detector: str = "auto",
    box: Sequence[float] | None = None,
    formats: Sequence[str] = FORMATS,
    every: int = 10,
) -> Summary:
    """Reconstruct the faces of photos and videos and write them into a folder.

    For each picture ``NAME`` with faces: ``NAME_overlay.png``, and for each face, largest first,
    ``NAME_face0.glb`` (and the other formats) and ``NAME_face0.json``. Frames of a video are named
    ``NAME_frame000120``. A line is printed for each picture.

    Args:
        photos: files; a video by its suffix.
        output: folder.
        checkpoint, detector, box: as for :func:`reconstruct`.
        formats: of :data:`pgnface.reconstruction.export.FORMATS`.
        every: in a video, every how many frames one is used.

    Returns:
        Counts, and what could not be read.

    Raises:
        UserError: without photos, for an unwritable folder, or when no file could be read.
        NothingFoundError: when no picture holds a face.
    """
    if not photos:
        raise UserError("name at least one photo or video")
    output = prepare_folder(output)
    finder = _box_finder(detector, box)
    network = resolve_network(checkpoint)
    summary = Summary()
    names = _distinct_names(photos)
    for path, name in zip(photos, names, strict=True):
        try:
            for suffix, image in _pictures(path, every):
                faces = find_faces(network, image, finder)
                summary.pictures += 1
                summary.faces += len(faces)
                summary.empty += not faces
                _write(
                    *(faces, image, output, name + suffix, formats),
                    {"photo": str(path), "checkpoint": describe(checkpoint)},
                )
                count = {0: "no face found", 1: "1 face"}.get(len(faces), f"{len(faces)} faces")
                print(f"{path}{suffix.replace('_', ' ')}: {count}")
        except (ValueError, OSError) as error:
            summary.failed[str(path)] = str(error)
            print(f"{path}: {error}", file=sys.stderr)
    if not summary.pictures:
        raise UserError(f"none of {len(photos)} files could be read")
    print(summary.sentence(output))
    if not summary.faces:
        raise NothingFoundError(
            f"no face in {summary.pictures} picture(s); give its place with --box x0 y0 x1 y1"
        )
    return summary


@dataclass
class Summary:
    """What :func:`reconstruct_files` did.

    Attributes:
        pictures: photos and video frames that were read.
        faces: faces found in them.
        empty: pictures without a face.
        failed: files that could not be read, with the reason.
    """

    pictures: int = 0
    faces: int = 0
    empty: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def sentence(self, output: Path) -> str:
        """For the terminal."""
        return (
            f"{self.faces} face(s) in {self.pictures} picture(s), {self.empty} without a face, "
            f"{len(self.failed)} file(s) unreadable; results in {output}"
        )


def _write(
    faces: Sequence[Face],
    image: NDArray[np.uint8],
    output: Path,
    name: str,
    formats: Sequence[str],
    origin: dict[str, str],
) -> None:
    if faces:
        Image.fromarray(draw_faces(image, faces)).save(output / f"{name}_overlay.png")
    for i, face in enumerate(faces):
        for suffix in formats:
            face.save(output / f"{name}_face{i}.{suffix}")
        facts = {**origin, **face.to_dict()}
        (output / f"{name}_face{i}.json").write_text(json.dumps(facts, indent=1))


def _box_finder(detector: str, box: Sequence[float] | None) -> Detector:
    """What finds boxes in an image: a detector, or always the same box."""
    if box is not None:
        if len(box) != 4 or box[2] <= box[0] or box[3] <= box[1]:
            raise UserError(f"box must be x0 y0 x1 y1 with x0 < x1 and y0 < y1, got {tuple(box)}")
        return lambda image: [square_box(box)]
    if detector == "none":
        return lambda image: [square_box((0, 0, image.shape[1], image.shape[0]), scale=1.0)]
    return build_detector(detector)


def _checked_image(image: NDArray) -> NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f"photo must be a (H, W, 3) uint8 array with pixels, got {image.dtype} {image.shape}"
        )
    return image


def _pictures(path: Path, every: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The pictures of a file, with the ending of their names."""
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        yield "", read_image(path)
        return
    video = Video(path)
    for number, image in video.frames(every):
        yield f"_frame{number:06d}", image
    if not video.decoded:
        raise UserError(f"{path}: no frame can be decoded")
    if video.shortfall:
        print(f"{path}: {video.shortfall}", file=sys.stderr)


def _distinct_names(photos: Sequence[Path]) -> list[str]:
    """A name for the results of each photo; photos of one name in several folders get numbers."""
    names: list[str] = []
    for path in photos:
        name, number = path.stem, 2
        while name in names:
            name, number = f"{path.stem}_{number}", number + 1
        names.append(name)
    return names


def _distinct(boxes: Sequence[SquareBox]) -> list[SquareBox]:
    """Boxes without those that overlap an earlier one too much."""
    kept: list[SquareBox] = []
    for box in boxes:
        if all(intersection_over_union(box, other) < _SAME_FACE for other in kept):
            kept.append(box)
    return kept
