"""What teachers are worth, on photos with labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pgnface._errors import UserError
from pgnface.data.aflw2000 import annotated_photos, list_samples
from pgnface.data.annotated import AnnotatedPhoto
from pgnface.data.images import read_image
from pgnface.data.labelling import teach_landmarks

from .base import NetworkTeacher, Teacher
from .facemesh import FaceMesh, FaceMeshTeacher
from .mesh_map import MeshMap, centre_depth, fit_mesh_map
from .weights import YawWeights, fit_weights, head_yaw

_BATCH = 64
_PROFILE, _PROFILE_WEIGHT = 65.0, 0.1
"""Degrees of yaw beyond which FaceMesh sees little, so that such faces would bend its map."""


MESH_MAP = "facemesh_map.npz"
CALIBRATION = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """Teachers measured on the validation split of a folder.

    Attributes:
        weights: of the teachers.
        errors: NME (%) of each teacher, and of all together in the last row, ``(T + 1, 4)``: of the
            yaws 0-30, 30-60 and 60-90, and the mean of the three; over the faces that it sees.
        seen: ``(T + 1,)``, how many these are.
        faces: how many validated.
        skipped: photos of the folder that could not be used, and why.
        what: digest of the folder and of the teachers.
    """

    weights: YawWeights
    errors: list[list[float]]
    seen: list[int]
    faces: int
    skipped: dict[str, str]
    what: str

    def save(self, path: Path) -> None:
        """Write a .json file."""
        nodes = {"yaw": self.weights.yaw.tolist(), "weights": self.weights.weights.tolist()}
        content = {**vars(self), "weights": nodes}
        path.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: when it is something else.
        """
        try:
            content = json.loads(path.read_text())
            nodes = {name: np.array(value) for name, value in content["weights"].items()}
            return cls(**{**content, "weights": YawWeights(**nodes)})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: is no calibration of teachers ({error})") from None


def open_teachers(
    checkpoints: Sequence[str | Path],
    facemesh: str | Path | None,
    root: str | Path | None,
    output: Path,
) -> tuple[list[Teacher], Calibration | None]:
    """Teachers by the names of their files, and what they are worth.

    What is fitted is written into ``output``, and read from there by the next call with the same
    teachers and photos.

    Args:
        checkpoints: see :func:`pgnface.training.load_network`.
        facemesh: ``face_landmark.tflite``; needs ``root``.
        root: folder of photos and .mat files; without it all teachers count alike.
        output: folder.

    Raises:
        UserError: for no teacher, FaceMesh without ``root``, or files that cannot be used.
        FileNotFoundError: when a checkpoint or ``root`` is missing.
    """
    from pgnface.networks.inference import resolve_network

    if not checkpoints and facemesh is None:
        raise UserError("expected at least one teacher: --checkpoints or --facemesh")
    if facemesh is not None and root is None:
        raise UserError(
            "--facemesh needs --calibration, a folder of photos with .mat files: its points are "
            "mapped to the landmarks in the style of their annotation"
        )
    teachers: list[Teacher] = [NetworkTeacher(resolve_network(path)) for path in checkpoints]
    network = None if facemesh is None else FaceMesh(facemesh)
    if root is None:
        return teachers, None
    paths = list_samples(root)
    names = [[path.name, path.stat().st_size] for path in paths]
    digests = [*(teacher.digest for teacher in teachers), network and network.digest]
    what = hashlib.sha256(json.dumps([names, digests]).encode()).hexdigest()
    done = output / CALIBRATION
    known = Calibration.load(done) if done.is_file() else None
    if known is not None and known.what == what:
        if network is not None:
            teachers.append(FaceMeshTeacher(network, MeshMap.load(output / MESH_MAP)))
        return teachers, known
    skipped: dict[str, str] = {}
    if network is not None:
        teachers.append(fit_facemesh(root, network, skipped))
        teachers[-1].mesh_map.save(output / MESH_MAP)
    found = calibrate(root, teachers, skipped, what)
    found.save(done)
    return teachers, found


def fit_facemesh(root: str | Path, network: FaceMesh, skipped: dict[str, str]) -> FaceMeshTeacher:
    """FaceMesh with a map fitted on the training split of a folder of photos and .mat files.

    Args:
        root: see :func:`pgnface.data.aflw2000.list_samples`.
        network: FaceMesh.
        skipped: told of photos that cannot be used, and why.

    Raises:
        UserError: when FaceMesh sees no face in any photo.
    """
    meshes, mirrored, landmarks = [], [], []
    for photo in annotated_photos(list_samples(root, "train"), skipped):
        if (seen := network.see(read_image(photo.path), photo.square)) is None:
            skipped[photo.name] = "FaceMesh sees no face"
            continue
        meshes.append(seen.mesh)
        mirrored.append(seen.mirrored)
        landmarks.append(photo.landmarks)
    if not meshes:
        raise UserError(f"{root}: FaceMesh sees no face in the photos that train")
    true = np.stack(landmarks)
    profile = head_yaw(torch.from_numpy(true)).numpy() > _PROFILE
    counts = np.where(profile, _PROFILE_WEIGHT, 1.0)
    return FaceMeshTeacher(
        network, fit_mesh_map(np.stack(meshes), np.stack(mirrored), true, counts)
    )


def calibrate(
    root: str | Path,
    teachers: Sequence[Teacher],
    skipped: dict[str, str],
    what: str = "",
) -> Calibration:
    """Measure teachers on the validation split of a folder of photos and .mat files, and find how
    much each is to count.

    Args:
        root: see :func:`pgnface.data.aflw2000.list_samples`. No teacher must have been trained on
            this split.
        teachers: what is measured.
        skipped: told of photos that cannot be used, and why.
        what: see :class:`Calibration`.

    Raises:
        UserError: for fewer photos than a bin of yaw needs.
    """
    photos = annotated_photos(list_samples(root, "validation"), skipped)
    if not photos:
        raise UserError(f"{root}: no usable photo validates ({len(skipped)} left out)")
    parts = []
    for batch in _batches(photos):
        images, boxes = [read_image(p.path) for p in batch], [p.square for p in batch]
        answers = [teach_landmarks([t], images, boxes).landmarks for t in teachers]
        parts.append(torch.stack(answers))
    answers = torch.cat(parts, 1)
    true = torch.from_numpy(centre_depth(np.stack([p.landmarks for p in photos]))).float()
    weights = fit_weights(answers, true)
    trust = weights(true)[..., None, None] * answers.isfinite()
    together = (trust * answers.nan_to_num()).sum(0) / trust.sum(0)
    sides = (*answers, together)
    seen = [answer.isfinite().all(-1).all(-1) for answer in sides]
    return Calibration(
        weights=weights,
        errors=[_errors(a[known], true[known]) for a, known in zip(sides, seen, strict=True)],
        seen=[int(known.sum()) for known in seen],
        faces=len(photos),
        skipped=skipped,
        what=what,
    )


def _batches(photos: Sequence[AnnotatedPhoto]) -> Iterator[Sequence[AnnotatedPhoto]]:
    for start in range(0, len(photos), _BATCH):
        yield photos[start : start + _BATCH]


def _errors(answer: Tensor, true: Tensor) -> list[float]:
    from pgnface.evaluation.metrics import error_by_yaw, sparse_nme

    errors = sparse_nme(answer[..., :2], true[..., :2])
    binned = error_by_yaw(errors, head_yaw(true))
    return [round(value, 3) for value in (*binned.means, binned.mean)]
