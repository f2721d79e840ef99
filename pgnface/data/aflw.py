"""AFLW (Koestinger, Wohlhart, Roth and Bischof, *Annotated Facial Landmarks in the Wild*, 2011): 21
landmarks of 25 thousand faces in photos from Flickr, those that can be seen.

::

    data/aflw.sqlite                    the annotations
    data/flickr/{0,2,3}/image00002.jpg  the photos

Its left and right are those of the picture of a frontal face, not the subject's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError

from .annotated import AnnotatedPhoto, AnnotatedSource
from .cropping import SquareBox
from .splits import in_split

POINT_NAMES = (
    *("LeftBrowLeftCorner", "LeftBrowCenter", "LeftBrowRightCorner"),
    *("RightBrowLeftCorner", "RightBrowCenter", "RightBrowRightCorner"),
    *("LeftEyeLeftCorner", "LeftEyeCenter", "LeftEyeRightCorner"),
    *("RightEyeLeftCorner", "RightEyeCenter", "RightEyeRightCorner"),
    *("LeftEar", "NoseLeft", "NoseCenter", "NoseRight", "RightEar"),
    *("MouthLeftCorner", "MouthCenter", "MouthRightCorner", "ChinCenter"),
)

IBUG = {
    **{0: 17, 1: 19, 2: 21, 3: 22, 4: 24, 5: 26, 6: 36, 8: 39, 9: 42, 11: 45},
    **{13: 31, 14: 30, 15: 35, 17: 48, 19: 54, 20: 8},
}
"""Of the 21 points, from 0, those that have a counterpart among the 68."""


@dataclass(frozen=True)
class AflwFace:
    """A face of AFLW.

    Attributes:
        face_id: its number in the data base.
        image: the photo.
        points: ``(21, 2)`` in pixels, the image's corner at (0, 0); zeros where hidden.
        visible: ``(21,)`` bool; only points that can be seen are annotated.
        box: the face's rectangle as a square; ``None`` where it is missing.
        angles: ``(3,)`` pitch, yaw, roll in degrees as AFLW has them, estimated from the points of
            a mean face; ``None`` where they are missing. Their signs are not those of
            :class:`pgnface.geometry.Pose`.
    """

    face_id: int
    image: Path
    points: NDArray[np.float64]
    visible: NDArray[np.bool_]
    box: SquareBox | None
    angles: NDArray[np.float64] | None


_FACES = """
SELECT Faces.face_id, FaceImages.filepath, FaceRect.x, FaceRect.y, FaceRect.w, FaceRect.h,
       FacePose.pitch, FacePose.yaw, FacePose.roll
FROM Faces
JOIN FaceImages ON FaceImages.file_id = Faces.file_id
LEFT JOIN FaceRect ON FaceRect.face_id = Faces.face_id
LEFT JOIN FacePose ON FacePose.face_id = Faces.face_id
GROUP BY Faces.face_id
ORDER BY Faces.face_id
"""
_POINTS = "SELECT face_id, feature_id, x, y FROM FeatureCoords"
_PLACES = ("data", "", "aflw/data")


def read_aflw(root: str | Path, skipped: dict[str, str] | None = None) -> list[AflwFace]:
    """The faces of AFLW in the order of their numbers.

    Args:
        root: folder of ``data/aflw.sqlite`` and ``data/flickr``.
        skipped: takes up faces that cannot be used (no point, no photo), and why; without it the
            first raises.

    Raises:
        FileNotFoundError: when the data base is missing.
        UserError: when it is damaged or has other tables, or for a face that cannot be used.
    """
    paths = [path for folder in _PLACES if (path := Path(root, folder, "aflw.sqlite")).is_file()]
    if not paths:
        raise FileNotFoundError(f"{root}: expected data/aflw.sqlite")
    path = paths[0]
    try:
        base = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            rows, coordinates = base.execute(_FACES).fetchall(), base.execute(_POINTS).fetchall()
        finally:
            base.close()
        places = _by_face(coordinates)
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise UserError(f"{path}: is not the data base of AFLW ({error})") from None
    faces = []
    for row in rows:
        try:
            faces.append(_face(row, places, path.parent / "flickr"))
        except UserError as error:
            if skipped is None:
                raise
            skipped[f"face {row[0]}"] = str(error)
    return faces


def _by_face(coordinates: Sequence[tuple]) -> dict[int, list[tuple[int, float, float]]]:
    places: dict[int, list[tuple[int, float, float]]] = {}
    for face, feature, x, y in coordinates:
        places.setdefault(face, []).append((int(feature) - 1, float(x), float(y)))
    return places


def _face(row: tuple, places: dict, photos: Path) -> AflwFace:
    face_id, file, *rectangle_and_angles = row
    rectangle, angles = rectangle_and_angles[:4], rectangle_and_angles[4:]
    image = photos / file
    if not image.is_file():
        raise UserError(f"{image}: no such file")
    points, visible = np.zeros((21, 2)), np.zeros(21, bool)
    for feature, x, y in places.get(face_id, ()):
        if 0 <= feature < 21 and np.isfinite([x, y]).all():
            # Pixels are counted from 0, and their centres are at +0.5 here.
            points[feature], visible[feature] = (x + 0.5, y + 0.5), True
    if not visible.any():
        raise UserError(f"face {face_id}: no landmark is visible")
    box = None
    if None not in rectangle and min(rectangle[2:]) > 0:
        x, y, width, height = map(float, rectangle)
        box = SquareBox(x + width / 2, y + height / 2, max(width, height))
    return AflwFace(
        *(face_id, image, points, visible, box),
        None if None in angles else np.rad2deg(np.array(angles, float)),
    )


class AflwSource(AnnotatedSource):
    """Faces of AFLW as training batches of one frame a subject.

    Points with a counterpart among the 68 are labels where they can be seen, in the plane of the
    picture. A face is cut out by its rectangle, which is about as large as ours.

    Args:
        root: see :func:`read_aflw`.
        image_size: pixels of the crops.
        split: ``"all"``, ``"train"`` or ``"validation"``: of every five blocks of 20 photos the
            first four train, the fifth validates.
        **settings: ``seed``, ``augment`` and so on, see
            :class:`pgnface.data.annotated.AnnotatedSource`.

    Raises:
        FileNotFoundError: when the data base is missing.
        UserError: when it is damaged, or holds no usable face. Unusable ones are counted in
            ``skipped``.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int,
        split: str = "train",
        **settings,
    ) -> None:
        skipped: dict[str, str] = {}
        faces = read_aflw(root, skipped)
        order = {image: i for i, image in enumerate(sorted({face.image for face in faces}))}
        photos = []
        for face in faces:
            if not in_split(order[face.image], split):
                continue
            if face.box is None:
                skipped[f"face {face.face_id}"] = "has no rectangle"
                continue
            photos.append(annotated(face))
        super().__init__(
            photos,
            image_size,
            skipped=skipped,
            what=f"{root}, split {split!r}",
            **settings,
        )


def annotated(face: AflwFace) -> AnnotatedPhoto:
    """A face with those of its points that have a counterpart among the 68."""
    landmarks, weights = np.zeros((68, 3)), np.zeros((68, 3))
    for theirs, ours in IBUG.items():
        landmarks[ours, :2] = face.points[theirs]
        weights[ours, :2] = face.visible[theirs]
    name = f"{face.image.parent.name}/{face.image.name}#{face.face_id}"
    return AnnotatedPhoto(face.image, name, landmarks, weights, box=face.box)
