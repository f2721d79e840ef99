"""The file format of AFLW2000-3D and 300W-LP (Zhu et al., CVPR 2016): an image, a .mat beside it.

The files count pixels from 1 and have z pointing to the viewer; here the image's corner is (0, 0)
and z points into the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.geometry import Pose, rotation_from_angles

from .augment import (
    CropJitter,
    degrade,
    mirror_image,
    mirror_landmarks,
    mirror_rotation,
    rotation_in_crop,
)
from .batch import FaceBatch
from .cropping import box_warp, invert_warp, square_box, warp_image, warp_points
from .images import IMAGE_SUFFIXES, read_image, to_tensor
from .source import EpochOrder, stand_ins, step_generator

MAX_ANGLE = 99.0
"""Degrees beyond which an annotated angle is taken for a mistake, as published evaluations do."""

BLOCK = 20
"""Consecutive files often show one person: splits cut between blocks of this many files."""

_SPLITS = ("all", "train", "validation")


class AnnotationError(UserError):
    """A .mat file that does not hold the annotation of a face."""


@dataclass(frozen=True)
class Annotation:
    """What a .mat file says of a face.

    Attributes:
        landmarks: ``(68, 3)`` in pixels of the image, z into the scene.
        has_depth: whether z is known; files with ``pt2d`` alone have zeros.
        angles: ``(3,)`` pitch, yaw, roll in degrees.
        rotation: ``(3, 3)`` of :class:`pgnface.geometry.Pose`, against BFM's frontal head.
        scale: pixels per millimetre of BFM's head.
    """

    landmarks: NDArray[np.float64]
    has_depth: bool
    angles: NDArray[np.float64]
    rotation: NDArray[np.float64]
    scale: float

    @property
    def plausible(self) -> bool:
        """Whether all angles lie within :data:`MAX_ANGLE`."""
        return bool((np.abs(self.angles) <= MAX_ANGLE).all())


def read_annotation(path: str | Path) -> Annotation:
    """Read a .mat file: ``Pose_Para`` and ``pt3d_68``, or 68 points of ``pt2d``.

    Raises:
        AnnotationError: naming the file, when it is missing, no .mat file, or lacks an entry.
    """
    from scipy.io import loadmat

    if not Path(path).is_file():
        raise AnnotationError(f"{path}: no such file")
    try:
        content = loadmat(path, appendmat=False)
    except Exception as error:  # scipy raises many kinds for files that are not what they say
        raise AnnotationError(f"{path}: is not a readable .mat file ({error})") from error
    try:
        return _parse(content)
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from None


def _parse(content: dict) -> Annotation:
    """The annotation in the entries of a .mat file."""
    points = content.get("pt3d_68")
    if points is None and np.shape(content.get("pt2d")) == (2, 68):
        points = content["pt2d"]
    if points is None or np.shape(points) not in ((3, 68), (2, 68)):
        raise AnnotationError(
            "expected pt3d_68 of shape (3, 68) or pt2d of shape (2, 68), "
            f"got pt3d_68 {np.shape(points) if points is not None else 'missing'}"
        )
    try:
        points = np.asarray(points, dtype=np.float64)
        pose = np.asarray(content.get("Pose_Para", ()), dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"expected numbers in pt3d_68 and Pose_Para ({error})") from None
    if pose.size != 7:
        raise AnnotationError(f"expected Pose_Para with 7 numbers, got {pose.size}")
    if not (np.isfinite(points).all() and np.isfinite(pose).all()):
        raise AnnotationError("landmarks and pose must be finite")
    if not np.ptp(points[:2], 1).max() > 0:
        raise AnnotationError("landmarks must span an area, all 68 coincide")
    landmarks = np.zeros((68, 3))
    # The first pixel's centre is 1 in the files and 0.5 here.
    landmarks[:, :2] = points[:2].T - 0.5
    if len(points) == 3:
        landmarks[:, 2] = -points[2]
    angles = np.rad2deg(pose[:3])
    return Annotation(
        landmarks=landmarks,
        has_depth=len(points) == 3,
        angles=angles,
        rotation=rotation_from_angles(torch.from_numpy(angles)).numpy(),
        scale=float(pose[6]) * 1000,
    )


def list_samples(root: str | Path, split: str = "all", block: int = BLOCK) -> list[Path]:
    """Image files with a .mat beside them, sorted by name, of a split.

    Of every five blocks of ``block`` consecutive files the first four train, the fifth validates.

    Raises:
        FileNotFoundError: when the folder is missing.
        ValueError: for an unknown split.
    """
    if split not in _SPLITS:
        raise ValueError(f"split must be one of {_SPLITS}, got {split!r}")
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no such folder: {root}")
    paths = sorted(
        p
        for p in root.rglob("*")
        if p.suffix.lower() in IMAGE_SUFFIXES and p.with_suffix(".mat").exists()
    )
    if split == "all":
        return paths
    return [p for i, p in enumerate(paths) if (i // block % 5 == 4) == (split == "validation")]


class Aflw2000Source:
    """Annotated photos as training batches of one frame a subject.

    Args:
        root: folder of images and .mat files, searched recursively.
        image_size: pixels of the crops.
        split: ``"all"``, ``"train"`` or ``"validation"`` (:func:`list_samples`).
        seed: of the order and the augmentation.
        augment: random mirroring, crops, colours, occluders and noise; without it, crops as in the
            evaluation, in the order of the names.
        identity_count, expression_count: sizes of the coefficients, which are unknown here.

    Raises:
        UserError: when no usable sample is there. Unusable ones, and those with an implausible
            angle, are counted in ``skipped``.
    """

    frames = 1

    def __init__(
        self,
        root: str | Path,
        image_size: int,
        split: str = "train",
        seed: int = 0,
        augment: bool = True,
        identity_count: int = 0,
        expression_count: int = 0,
        jitter: CropJitter | None = None,
    ) -> None:
        self.image_size = image_size
        self.seed = seed
        self.augment = augment
        self.jitter = jitter or CropJitter()
        self.skipped: dict[str, str] = {}
        self._sizes = {"identity_count": identity_count, "expression_count": expression_count}
        self._samples: list[tuple[Path, Annotation]] = []
        for path in list_samples(root, split):
            try:
                annotation = read_annotation(path.with_suffix(".mat"))
            except AnnotationError as error:
                self.skipped[path.name] = str(error)
                continue
            if annotation.plausible:
                self._samples.append((path, annotation))
            else:
                self.skipped[path.name] = f"an annotated angle beyond {MAX_ANGLE:g} degrees"
        if not self._samples:
            raise UserError(
                f"{root}: no usable sample in split {split!r} ({len(self.skipped)} skipped)"
            )
        self._order = EpochOrder(len(self._samples), seed)

    def __len__(self) -> int:
        return len(self._samples)

    def batch(self, step: int, size: int) -> FaceBatch:
        """See :class:`pgnface.data.source.Source`."""
        faces = [self._face(step, slot, size) for slot in range(max(size, 1))]
        return _collate(faces, self._sizes)

    def _face(self, step: int, slot: int, size: int) -> _Face:
        """A sample; where its image is broken, the next in order in its place."""
        rng = step_generator(self.seed, step, slot)
        start = step * size + slot
        for position in stand_ins(start, len(self._samples)):
            index = self._order[position] if self.augment else position % len(self._samples)
            path, annotation = self._samples[index]
            try:
                image = read_image(path)
            except UserError as error:
                self.skipped[path.name] = str(error)
                continue
            return self._crop(path.name, image, annotation, rng)
        raise UserError(f"no image of {len(self._samples)} can be read, the last: {path}")

    def _crop(
        self, name: str, image: NDArray, annotation: Annotation, rng: np.random.Generator
    ) -> _Face:
        landmarks, rotation = annotation.landmarks, annotation.rotation
        if self.augment and rng.random() < 0.5:
            landmarks = mirror_landmarks(landmarks, image.shape[1])
            image, rotation = mirror_image(image), mirror_rotation(rotation)
        box = square_box(landmarks)
        if self.augment:
            warp = self.jitter.warp(box, self.image_size, rng)
            crop = degrade(warp_image(image, warp, self.image_size), rng)
        else:
            warp = box_warp(box, self.image_size)
            crop = warp_image(image, warp, self.image_size)
        weights = np.ones((68, 3))
        weights[:, 2] = annotation.has_depth
        return _Face(
            name,
            crop,
            warp_points(invert_warp(warp), landmarks),
            weights,
            rotation_in_crop(rotation, warp),
            warp,
        )


@dataclass(frozen=True)
class _Face:
    name: str
    crop: NDArray[np.uint8]
    landmarks: NDArray
    weights: NDArray
    rotation: NDArray
    warp: NDArray


def _collate(faces: Sequence[_Face], sizes: dict[str, int]) -> FaceBatch:
    def stack(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(face, name) for face in faces])[:, None]).float()

    count = len(faces)
    return FaceBatch.create(
        torch.stack([to_tensor(face.crop) for face in faces])[:, None],
        landmarks=stack("landmarks"),
        landmark_weights=stack("weights"),
        annotated=torch.ones(count, dtype=torch.bool),
        pose=Pose(torch.ones(count, 1), stack("rotation"), torch.zeros(count, 1, 3)),
        pose_weight=torch.ones(count, 1),
        warp=stack("warp"),
        names=[face.name for face in faces],
        **sizes,
    )
