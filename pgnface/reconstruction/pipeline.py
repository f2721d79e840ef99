"""From a photo to the 3D faces in it."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pgnface._errors import NothingFoundError, UserError
from pgnface._output import prepare_folder
from pgnface.data.cropping import square_box
from pgnface.data.detectors import Detector, build_detector
from pgnface.data.images import read_image
from pgnface.data.video import VIDEO_SUFFIXES, Video
from pgnface.evaluation.report import describe
from pgnface.networks import PoseGuidanceNetwork
from pgnface.networks.inference import resolve_network
from pgnface.reconstruction.export import FORMATS, save_mesh
from pgnface.reconstruction.face import Face, draw_faces
from pgnface.reconstruction.find import Rejected, find_faces, find_person


def reconstruct(
    photo: str | Path | NDArray[np.uint8],
    *,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    detector: str = "auto",
    box: Sequence[float] | None = None,
) -> list[Face]:
    """The faces in a photo, largest first; an empty list when there is none.

    A detection in which the network sees no face is left out with a warning.

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
    rejected = _rejections(detector, box)
    faces = find_faces(network, _image(photo), _box_finder(detector, box), rejected)
    _warn(rejected)
    return faces


def reconstruct_person(
    photos: Sequence[str | Path | NDArray[np.uint8]],
    *,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    detector: str = "auto",
    box: Sequence[float] | None = None,
) -> list[Face | None]:
    """The largest face of each photo as one person, ``None`` for a photo without a face.

    What differs between photos by chance cancels in the mean of their identities; what a network
    gets wrong in all of them stays. ``pgnface evaluate shape`` measures by how much it helps.

    Args:
        photos: files, or ``(H, W, 3)`` uint8 RGB, of one person.
        checkpoint, detector, box, errors: as for :func:`reconstruct`.
    """
    network = resolve_network(checkpoint)
    images = [_image(photo) for photo in photos]
    rejected = _rejections(detector, box)
    people = find_person(network, images, _box_finder(detector, box), rejected)
    _warn(rejected)
    return people


def _rejections(detector: str, box: Sequence[float] | None) -> list[Rejected] | None:
    """Where to note detections that are no faces; ``None`` where the user names a place."""
    return [] if box is None and detector != "none" else None


def _warn(rejected: list[Rejected] | None) -> None:
    for detection in rejected or ():
        warnings.warn(str(detection), stacklevel=3)


def reconstruct_files(
    photos: Sequence[Path],
    output: Path,
    *,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    detector: str = "auto",
    box: Sequence[float] | None = None,
    formats: Sequence[str] = FORMATS,
    every: int = 10,
    one_person: bool = False,
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
        one_person: all pictures show one person: of each the largest face is taken, all get one
            identity, and the neutral shape is written as ``person.glb`` (and so on). All pictures
            are then held in memory.

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
    pictures = _read(photos, every, summary)
    rejected = _rejections(detector, box)
    if one_person:
        shots = list(pictures)
        people = find_person(network, [shot.image for shot in shots], finder, rejected)
        for detection in rejected or ():
            print(f"{shots[detection.picture].label}: {detection}", file=sys.stderr)
        found = ((shot, [face] if face else []) for shot, face in zip(shots, people, strict=True))
    else:
        found = ((shot, _faces(network, shot, finder, rejected)) for shot in pictures)
    for shot, faces in found:
        summary.faces += len(faces)
        summary.empty += not faces
        _write(
            *(faces, shot.image, output, shot.name, formats),
            {"photo": str(shot.path), "checkpoint": describe(checkpoint)},
        )
        count = {0: "no face found", 1: "1 face"}.get(len(faces), f"{len(faces)} faces")
        print(f"{shot.label}: {count}")
    summary.rejected = len(rejected or ())
    if not summary.pictures:
        raise UserError(f"none of {len(photos)} files could be read")
    print(summary.sentence(output))
    if one_person and summary.faces:
        face = next(filter(None, people))
        neutral = face.model.vertices(face.identity)
        for suffix in formats:
            save_mesh(output / f"person.{suffix}", neutral, face.model.triangles)
    if not summary.faces:
        raise NothingFoundError(
            f"no face in {summary.pictures} picture(s), {summary.rejected} detection(s) left out; "
            "give its place with --box x0 y0 x1 y1"
        )
    return summary


@dataclass
class Summary:
    """What :func:`reconstruct_files` did.

    Attributes:
        pictures: photos and video frames that were read.
        faces: faces found in them.
        empty: pictures without a face.
        rejected: detections left out because the network sees no face in them.
        failed: files that could not be read, with the reason.
    """

    pictures: int = 0
    faces: int = 0
    empty: int = 0
    rejected: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def sentence(self, output: Path) -> str:
        """For the terminal."""
        return (
            f"{self.faces} face(s) in {self.pictures} picture(s), {self.empty} without a face, "
            f"{self.rejected} detection(s) left out as no face, "
            f"{len(self.failed)} file(s) unreadable; results in {output}"
        )


class _Picture(NamedTuple):
    """A photo or a frame of a video."""

    path: Path
    label: str
    name: str
    image: NDArray[np.uint8]


def _read(photos: Sequence[Path], every: int, summary: Summary) -> Iterator[_Picture]:
    """All pictures of the files; counts them and notes the files that cannot be read."""
    for path, name in zip(photos, _distinct_names(photos), strict=True):
        try:
            for suffix, image in _pictures(path, every):
                summary.pictures += 1
                yield _Picture(path, f"{path}{suffix.replace('_', ' ')}", name + suffix, image)
        except (ValueError, OSError) as error:
            summary.failed[str(path)] = str(error)
            print(f"{path}: {error}", file=sys.stderr)


def _faces(
    network: PoseGuidanceNetwork, shot: _Picture, finder: Detector, rejected: list[Rejected] | None
) -> list[Face]:
    """:func:`find_faces` of a picture; says what is rejected."""
    known = len(rejected or ())
    faces = find_faces(network, shot.image, finder, rejected)
    for detection in (rejected or [])[known:]:
        print(f"{shot.label}: {detection}", file=sys.stderr)
    return faces


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


def _image(photo: str | Path | NDArray) -> NDArray[np.uint8]:
    if isinstance(photo, (str, Path)):
        return read_image(photo)
    return _checked_image(photo)


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
