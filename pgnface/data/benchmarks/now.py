"""The NoW benchmark (Sanyal et al., *Learning to Regress 3D Face Shape and Expression from an Image
without 3D Supervision*, CVPR 2019): photos by phones, scans of the same people in millimetres.

::

    imagepathsvalidation.txt, imagepathstest.txt    lines SUBJECT/CHALLENGE/IMAGE.jpg
    iphone_pictures/SUBJECT/CHALLENGE/IMAGE.jpg
    detected_face/SUBJECT/CHALLENGE/IMAGE.npy       box of the face
    scans/SUBJECT/*.obj                             published for validation only
    scans_lmks_onlypp/SUBJECT/*.pp                  seven landmarks

The first four may lie in the archive's own folder ``final_release_version``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgnface.data.cropping import BOX_SCALE, SquareBox
from pgnface.morphable.formats.pickles import read_pickle

from .layout import (
    SampleError,
    Skipped,
    existing_file,
    existing_folder,
    find,
    only_file,
    read_picked_points,
    require_samples,
    skip_or_raise,
)

CHALLENGES = ("multiview_neutral", "multiview_expressions", "multiview_occlusions", "selfie")

LANDMARK_COUNT = 7
"""Outer and inner corner of the right eye, inner and outer one of the left, nose bottom, right and
left corner of the mouth (the subject's sides)."""

_PLACES = ("", "final_release_version", "NoW_Dataset/final_release_version")


@dataclass(frozen=True)
class NowSample:
    """A photo and the scan of its person.

    Attributes:
        subject: name of the person's folder.
        challenge: one of :data:`CHALLENGES`.
        image: the photo.
        box: file of the face's box, see :func:`read_box`; ``None`` where it is not there.
        scan: mesh in mm, ``None`` for the test set, whose scans are not published.
        landmarks: ``(7, 3)`` on the scan in mm, ``None`` with it.
    """

    subject: str
    challenge: str
    image: Path
    box: Path | None
    scan: Path | None
    landmarks: NDArray[np.float64] | None

    @property
    def name(self) -> str:
        """SUBJECT/CHALLENGE/IMAGE without suffix, as predictions are laid out."""
        return f"{self.subject}/{self.challenge}/{self.image.stem}"


def list_now(
    root: str | Path, split: str = "validation", skipped: Skipped | None = None
) -> list[NowSample]:
    """The samples of a split, in the order of its published list.

    Args:
        root: the data set's folder.
        split: ``"validation"`` or ``"test"``.
        skipped: takes up the samples that cannot be used, and why; without it the first raises.

    Raises:
        FileNotFoundError: when the folder, the list or the pictures are missing.
        ValueError: for an unknown split.
        SampleError: naming the file, for a missing or damaged one, unless ``skipped`` is given.
    """
    if split not in ("validation", "test"):
        raise ValueError(f"split must be 'validation' or 'test', got {split!r}")
    root = existing_folder(root)
    listing = find(root, f"imagepaths{split}.txt", _PLACES)
    pictures = find(root, "iphone_pictures", _PLACES)
    folders = None
    if split == "validation":
        folders = find(root, "scans", _PLACES), find(root, "scans_lmks_onlypp", _PLACES)
    samples = []
    for line in filter(None, map(str.strip, listing.read_text().splitlines())):
        try:
            samples.append(_sample(line, pictures, folders))
        except SampleError as error:
            skip_or_raise(line, error, skipped)
    return require_samples(samples, root, "NoW", skipped)


def read_box(path: str | Path) -> SquareBox:
    """The square to cut out around a published box.

    The files hold a pickled dictionary of ``left``, ``top``, ``right`` and ``bottom`` in pixels,
    which is read without running what is in it.

    Raises:
        SampleError: naming the file, when it is damaged or holds anything else.
    """
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version](file)
            start = file.tell()
        content = np.asarray(read_pickle(path, skip=start), object).item()
        left, top, right, bottom = (
            float(content[side]) for side in ("left", "top", "right", "bottom")
        )
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise SampleError(f"{path}: expected left, top, right and bottom ({error})") from error
    side = BOX_SCALE * max(right - left, bottom - top)
    if not (np.isfinite([left, top, side]).all() and side > 0):
        raise SampleError(f"{path}: the box is empty: {left}, {top}, {right}, {bottom}")
    return SquareBox((left + right) / 2, (top + bottom) / 2, side)


def _sample(line: str, pictures: Path, folders: tuple[Path, Path] | None) -> NowSample:
    parts = line.split("/")[-3:]
    if len(parts) < 3 or parts[1] not in CHALLENGES:
        raise SampleError(f"{line}: expected SUBJECT/CHALLENGE/IMAGE with a known challenge")
    subject, challenge, name = parts
    image = existing_file(pictures / subject / challenge / name)
    box = pictures.parent / "detected_face" / subject / challenge / f"{image.stem}.npy"
    scan = landmarks = None
    if folders is not None:
        scan = only_file(folders[0] / subject, "*.obj")
        points = only_file(folders[1] / subject, "*.pp")
        landmarks = read_picked_points(points, LANDMARK_COUNT)
    return NowSample(subject, challenge, image, box if box.is_file() else None, scan, landmarks)
