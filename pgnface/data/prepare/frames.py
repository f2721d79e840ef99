"""Images of units, one after the other, and which of their faces is whose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.data.cropping import SquareBox
from pgnface.data.detectors import intersection_over_union
from pgnface.data.images import read_image
from pgnface.data.video import Video, continue_track

from .inputs import Unit
from .labels import Labels, read_labels


@dataclass(frozen=True)
class Skip:
    """What was left out.

    Attributes:
        unit: where it belongs.
        source: name of the photo, video or frame.
        frame: its number in a video.
        reason: one of a few words, to be counted.
        detail: what else there is to say.
    """

    unit: Unit
    source: str
    frame: int | None
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Frame:
    """An image of a unit.

    Attributes:
        unit: where it comes from.
        source: name of the file, below the input.
        path: the file.
        number: of the frame in a video.
        image: RGB ``(H, W, 3)`` uint8.
        labels: landmarks, where a file beside it has them.
    """

    unit: Unit
    source: str
    path: Path
    number: int | None
    image: NDArray[np.uint8]
    labels: Labels | None = None


def read_frames(units: Sequence[Unit], every: int) -> Iterator[Frame | Skip]:
    """The images of units in order, and what could not be read."""
    for unit in units:
        if unit.kind == "video":
            yield from _video_frames(unit, every)
            continue
        for path in unit.paths:
            source = unit.name if unit.kind == "photo" else f"{unit.name}/{path.name}"
            try:
                image = read_image(path)
            except UserError as error:
                yield Skip(unit, source, None, "unreadable", _without_path(error, path))
                continue
            labels = None
            try:
                labels = read_labels(path)
            except UserError as error:
                yield Skip(unit, source, None, "unreadable labels", _without_path(error, path))
            yield Frame(unit, source, path, None, image, labels)


def _video_frames(unit: Unit, every: int) -> Iterator[Frame | Skip]:
    path = unit.paths[0]
    try:
        video = Video(path)
    except UserError as error:
        yield Skip(unit, unit.name, None, "unreadable", _without_path(error, path))
        return
    for number, image in video.frames(every):
        yield Frame(unit, unit.name, path, number, image)
    if video.shortfall:
        yield Skip(unit, unit.name, None, "video ends early", video.shortfall)


def _without_path(error: UserError, path: Path) -> str:
    """An error's message without the place of the file on this machine."""
    return str(error).replace(f"{path.parent}/", "")


class FaceTrack:
    """Follows one face through the frames of a unit.

    A track starts at the largest face and goes on with the detection that overlaps its last box
    most. It ends at a cut (the mean absolute difference of thumbnails of 32 pixels exceeds
    ``CUT``) and after ``PATIENCE`` frames without the face; the next one starts at the largest
    face again, and shows somebody else for all that is known.
    """

    CUT = 40.0
    PATIENCE = 10

    def __init__(self) -> None:
        self.number = 0
        self._last: SquareBox | None = None
        self._missing = 0
        self._thumbnail: NDArray | None = None

    def follow(
        self,
        image: NDArray[np.uint8],
        found: list[SquareBox],
        hint: SquareBox | None = None,
    ) -> SquareBox | None:
        """The face's box in the next frame, ``None`` where it is not found.

        Args:
            image: the frame.
            found: squares of all its faces, the largest first.
            hint: about where the face is, if something says so.
        """
        thumbnail = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._thumbnail is not None and self._last is not None:
            cut = float(np.abs(thumbnail - self._thumbnail).mean()) > self.CUT
            if cut or self._missing > self.PATIENCE:
                self._last = None
                self.number += 1
        self._thumbnail = thumbnail
        if hint is not None:
            near = [box for box in found if intersection_over_union(box, hint) > 0.1]
            box = max(near, key=lambda box: intersection_over_union(box, hint), default=None)
        else:
            box = continue_track(found, self._last)
        self._missing = 0 if box is not None else self._missing + 1
        self._last = box or self._last
        return box


def read_hints(unit: Unit) -> dict[Path, SquareBox]:
    """Where YouTube Faces says that the face of each frame is.

    ``NAME.labeled_faces.txt`` beside the folder ``NAME`` has lines
    ``NAME\\NUMBER\\NUMBER.FRAME.jpg,0,X,Y,WIDTH,HEIGHT,0,0`` with the centre of the face.
    """
    if unit.kind != "frames" or not unit.paths:
        return {}
    person = unit.paths[0].parent.parent
    listing = person.parent / f"{person.name}.labeled_faces.txt"
    if not listing.is_file():
        return {}
    boxes = {}
    for line in listing.read_text(errors="replace").splitlines():
        fields = line.split(",")
        try:
            x, y, width, height = map(float, fields[2:6])
        except ValueError:
            continue  # a frame that its authors left out, or half a line at the end
        name = fields[0].replace("\\", "/")
        boxes[listing.parent / name] = SquareBox(x, y, max(width, height))
    return {path: boxes[path] for path in unit.paths if path in boxes}
