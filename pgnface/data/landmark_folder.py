"""Photos with a file of landmarks beside each: 300-W (.pts), LS3D-W (.t7) and their like."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from .annotated import AnnotatedPhoto, AnnotatedSource
from .cropping import square_box
from .images import list_images
from .points import JAW, PointsError, jaw_on_contour, read_points
from .splits import in_split

SUFFIXES = (".pts", ".t7")


class LandmarkFolderSource(AnnotatedSource):
    """Photos with landmarks as training batches of one frame a subject.

    Args:
        root: folder of photos with a .pts or .t7 file beside each, searched recursively.
        image_size: pixels of the crops.
        split: ``"all"``, ``"train"`` or ``"validation"``: of every five blocks of 20 files the
            first four train, the fifth validates.
        jaw: whether the points of the jaw are vertices of the head, and so labels of ours:
            ``"3d"`` and ``"2d"`` say so, ``"auto"`` takes .t7 for the former (LS3D-W) and .pts for
            the latter (300-W, whose jaw follows the visible contour).
        **settings: ``seed``, ``augment`` and so on, see
            :class:`pgnface.data.annotated.AnnotatedSource`.

    Raises:
        FileNotFoundError: when the folder is missing.
        UserError: when no usable sample is there. Damaged files of landmarks are counted in
            ``skipped``; photos without one are no samples.
    """

    def __init__(
        self,
        root: str | Path,
        image_size: int,
        split: str = "train",
        jaw: Literal["auto", "2d", "3d"] = "auto",
        **settings,
    ) -> None:
        skipped: dict[str, str] = {}
        pairs = [(path, file) for path in list_images(root) if (file := _beside(path)) is not None]
        photos = []
        for i, (path, file) in enumerate(pairs):
            if not in_split(i, split):
                continue
            name = path.relative_to(root).as_posix()
            try:
                photos.append(_photo(path, file, name, jaw))
            except PointsError as error:
                skipped[name] = str(error)
        super().__init__(
            photos,
            image_size,
            skipped=skipped,
            what=f"{root}, split {split!r}",
            **settings,
        )


def _beside(path: Path) -> Path | None:
    files = (path.with_suffix(suffix) for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def _photo(path: Path, file: Path, name: str, jaw: str) -> AnnotatedPhoto:
    points = read_points(file)
    depth = points.shape[1] == 3
    landmarks, weights = np.zeros((68, 3)), np.ones((68, 3))
    landmarks[:, : points.shape[1]] = points
    weights[:, 2] = depth
    if jaw == "2d" or (jaw == "auto" and jaw_on_contour(file)):
        weights[JAW] = 0
    # The crop goes about all points, whether they are labels or not.
    return AnnotatedPhoto(path, name, landmarks, weights, box=square_box(points))
