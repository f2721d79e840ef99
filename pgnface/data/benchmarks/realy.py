"""REALY (Chai et al., *REALY: Rethinking the Evaluation of 3D Face Reconstruction*, ECCV 2022):
rendered photos of a hundred scans of the LYHM set, cut into four regions.

::

    REALY_HIFI3D_keypoints/ID.obj                       85 key points
    REALY_scan_region/ID/{nose,mouth,forehead,cheek}.obj
    metrical_scale.txt                                  a factor a line: line ID, to millimetres
    .../ID.png, .../ID_VIEW.png                         frontal and other views, in any folder

IDs are numbers from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.data.images import list_images

from .layout import (
    SampleError,
    Skipped,
    checked_points,
    existing_file,
    existing_folder,
    find,
    require_samples,
    skip_or_raise,
)

REGIONS = ("nose", "mouth", "forehead", "cheek")

KEYPOINT_COUNT = 85

_NAME = re.compile(r"(\d+)(?:_(\w+))?")
_PLACES = ("", "data")


@dataclass(frozen=True)
class RealySample:
    """A photo and the regions of its scan.

    Attributes:
        subject: ID from 1.
        view: what follows the ID in the photo's name; empty for the frontal set.
        image: the photo.
        regions: mesh of each of :data:`REGIONS`, in the scan's own unit.
        keypoints: ``(85, 3)`` in the same unit.
        scale: millimetres in that unit.
    """

    subject: int
    view: str
    image: Path
    regions: dict[str, Path]
    keypoints: NDArray[np.float64]
    scale: float

    @property
    def name(self) -> str:
        """The photo's name without suffix, as predictions are named."""
        return self.image.stem


def list_realy(
    root: str | Path, images: str | Path | None = None, skipped: Skipped | None = None
) -> list[RealySample]:
    """The samples by number and view.

    Args:
        root: folder of the key points, the regions and the scales.
        images: folder of the photos, searched recursively; default: ``root``.
        skipped: takes up the samples that cannot be used, and why; without it the first raises.

    Raises:
        FileNotFoundError: when a folder is missing.
        UserError: when the scales are damaged, or two photos have one name.
        SampleError: naming the file, for a missing or damaged one, unless ``skipped`` is given.
    """
    root = existing_folder(root)
    keypoints = find(root, "REALY_HIFI3D_keypoints", _PLACES)
    regions = find(root, "REALY_scan_region", _PLACES)
    scales = _read_scales(find(root, "metrical_scale.txt", _PLACES))
    photos = {}
    for path in list_images(images or root):
        match = _NAME.fullmatch(path.stem)
        if match is None or {regions.name, keypoints.name} & set(path.parts):
            continue  # textures and pictures of something else
        key = int(match[1]), match[2] or ""
        if key in photos:
            raise UserError(f"two photos of one name: {photos[key]} and {path}; give images=")
        photos[key] = path
    samples = []
    for (subject, view), image in sorted(photos.items()):
        try:
            if not 1 <= subject <= len(scales):
                raise SampleError(f"{image}: expected a number from 1 to {len(scales)}")
            folder = regions / str(subject)
            samples.append(
                RealySample(
                    subject,
                    view,
                    existing_file(image),
                    {region: existing_file(folder / f"{region}.obj") for region in REGIONS},
                    read_keypoints(keypoints / f"{subject}.obj"),
                    float(scales[subject - 1]),
                )
            )
        except SampleError as error:
            skip_or_raise(image.name, error, skipped)
    return require_samples(samples, root, "REALY", skipped)


def read_keypoints(path: Path) -> NDArray[np.float64]:
    """The vertices of an .obj that holds the 85 key points, ``(85, 3)``.

    Raises:
        SampleError: when the file is missing or holds something else.
    """
    lines = existing_file(path).read_text(errors="replace").splitlines()
    points = [line.split()[1:4] for line in lines if line.startswith("v ")]
    return checked_points(points, KEYPOINT_COUNT, path)


def _read_scales(path: Path) -> NDArray[np.float64]:
    try:
        scales = np.loadtxt(path, ndmin=1)
    except ValueError as error:
        raise UserError(f"{path}: expected a number a line ({error})") from None
    if scales.ndim != 1 or not len(scales) or not (np.isfinite(scales) & (scales > 0)).all():
        raise UserError(f"{path}: expected positive numbers, one a line, got {scales.shape}")
    return scales
