"""FaceWarehouse (Cao et al., *FaceWarehouse: A 3D Facial Expression Database for Visual Computing*,
TVCG 2014): 150 people with 20 expressions each, registered meshes, and blendshapes fitted to them.

::

    Tester_1/TrainingPose/pose_0.{obj,png,land}     to pose_19
    Tester_1/Blendshape/shape.bs

The folders ``Tester_N`` may be spread over ``FaceWarehouse_Data_0`` and so on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .layout import (
    SampleError,
    Skipped,
    existing_file,
    existing_folder,
    require_samples,
    skip_or_raise,
)

EXPRESSION_COUNT = 20

_SUBJECT = re.compile(r"Tester_\(?(\d+)\)?")
_IMAGE_SUFFIXES = (".png", ".jpg")


@dataclass(frozen=True)
class FaceWarehouseSample:
    """A person with an expression.

    Attributes:
        subject: number from 1.
        expression: from 0, the neutral one, to 19.
        image: the photo.
        mesh: registered mesh (11,510 vertices, quads).
        landmarks: file of the 74 points in the photo, ``None`` where it is not there.
    """

    subject: int
    expression: int
    image: Path
    mesh: Path
    landmarks: Path | None

    @property
    def name(self) -> str:
        """As the mesh's file is called, with the person's folder."""
        return f"Tester_{self.subject}/pose_{self.expression}"


def list_facewarehouse(
    root: str | Path, skipped: Skipped | None = None
) -> list[FaceWarehouseSample]:
    """The samples by person and expression.

    Args:
        root: folder of the folders ``Tester_1`` and so on, or of the published archives.
        skipped: takes up the samples that cannot be used, and why; without it the first raises.

    Raises:
        FileNotFoundError: when the folder is missing.
        SampleError: naming the file, for a missing or empty one, unless ``skipped`` is given.
        UserError: when no sample is left.
    """
    root = existing_folder(root)
    people = {}
    for folder in sorted([*root.glob("Tester_*"), *root.glob("*/Tester_*")]):
        if (match := _SUBJECT.fullmatch(folder.name)) and (folder / "TrainingPose").is_dir():
            people[int(match[1])] = folder / "TrainingPose"
    samples = []
    for subject, folder in sorted(people.items()):
        for expression in range(EXPRESSION_COUNT):
            stem = folder / f"pose_{expression}"
            try:
                samples.append(_sample(subject, expression, stem))
            except SampleError as error:
                skip_or_raise(f"Tester_{subject}/pose_{expression}", error, skipped)
    return require_samples(samples, root, "FaceWarehouse", skipped)


def _sample(subject: int, expression: int, stem: Path) -> FaceWarehouseSample:
    mesh = existing_file(stem.with_suffix(".obj"))
    images = [stem.with_suffix(s) for s in _IMAGE_SUFFIXES]
    image = existing_file(next((path for path in images if path.is_file()), images[0]))
    landmarks = stem.with_suffix(".land")
    return FaceWarehouseSample(
        subject, expression, image, mesh, landmarks if landmarks.is_file() else None
    )


def read_blendshapes(path: str | Path) -> NDArray[np.float32]:
    """The shapes of a ``shape.bs``: ``(47, V, 3)``, the neutral face first.

    The file is three int32, the numbers of blendshapes (without the neutral one), vertices and
    polygons, and then float32 coordinates, little-endian.

    Raises:
        SampleError: naming the file, when it is missing or its size is not what its head says.
    """
    data = existing_file(Path(path)).read_bytes()
    head = np.frombuffer(data[:12], "<i4") if len(data) >= 12 else np.zeros(3, int)
    shapes, vertices = int(head[0]) + 1, int(head[1])
    if shapes < 2 or vertices < 1 or len(data) != 12 + 12 * shapes * vertices:
        raise SampleError(
            f"{path}: expected 12 bytes and 12 for each vertex of each shape, got {len(data)} "
            f"bytes for {shapes} shapes of {vertices} vertices"
        )
    return np.frombuffer(data, "<f4", offset=12).reshape(shapes, vertices, 3).copy()
