"""The folder of MICC Florence and a network, or a folder of predicted meshes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.evaluation.meshes import MESH_SUFFIXES, Mesh, read_mesh, read_points
from pgnface.evaluation.metrics import align_points
from pgnface.evaluation.predictions import (
    FolderPredictions,
    NetworkPredictions,
    PredictedMesh,
    open_predictions,
)
from pgnface.evaluation.result import ErrorMap, Result, Table, map_of_crop
from pgnface.geometry.landmarks import LANDMARK_COUNT, NOSE_TIP, STABLE_LANDMARKS

from .distances import RADIUS, deng_rmse, ganfit_distance, prnet_nme
from .views import PITCHES, YAWS, render_view

if TYPE_CHECKING:
    from pgnface.data.benchmarks.micc import MiccSample
    from pgnface.networks import PoseGuidanceNetwork

#: Name to unit of the result.
PROTOCOLS = {"deng": "mm", "ganfit": "mm", "prnet": "% of the interocular distance"}

# Part of the data, error, and where the error lies if that is known.
_Measured = tuple[str, float, ErrorMap | None]

_FRONTAL = ("frontal1", "frontal2")


class _Scan(NamedTuple):
    path: Path
    mesh: Mesh
    landmarks: NDArray[np.float64]


def evaluate_florence(
    root: str | Path,
    landmarks: str | Path,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    protocol: str = "deng",
    predictions: str | Path | None = None,
    frames: int = 5,
) -> Result:
    """Measure MICC Florence (:func:`pgnface.data.benchmarks.list_micc`).

    Args:
        root: the data set's folder.
        landmarks: folder of the scans' 68 landmarks at the scans' relative places,
            ``subject_01/Model/frontal1/obj/*.ljson`` as published with GANFIT, or ``.npy`` or
            ``.txt``.
        checkpoint: the network to measure: its neutral faces for the videos, its posed ones for
            ``"prnet"``.
        protocol: one of :data:`PROTOCOLS`.
        predictions: measure the meshes of this folder instead, with 68 landmarks beside each
            (``.npy`` or ``.txt``): ``subject_01/PTZ-Indoor/FRAME.obj``, for ``"ganfit"``
            ``subject_01/PTZ-Indoor.obj``. Not for ``"prnet"``, whose pictures are rendered here.
        frames: evenly spread frames of a video that the network sees.

    Raises:
        FileNotFoundError: when a folder is missing.
        UserError: for an unknown protocol, or when nothing can be measured.
    """
    from pgnface.data.benchmarks import list_micc

    if protocol not in PROTOCOLS:
        raise UserError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}")
    if protocol == "prnet" and predictions is not None:
        raise UserError("the protocol 'prnet' measures a network on pictures that it renders")
    if frames < 1:
        raise UserError(f"frames must be at least 1, got {frames}")
    skipped: dict[str, str] = {}
    people = list_micc(root, skipped)
    predict = open_predictions(
        checkpoint,
        predictions,
        landmarks=range(LANDMARK_COUNT),
        expression=protocol == "prnet",
    )
    measure = {"deng": _deng, "ganfit": _ganfit, "prnet": _prnet}[protocol]
    found: dict[str, list[float]] = {}
    error_map = None
    for person in people:
        scans = _scans(person, Path(root), Path(landmarks), skipped)
        if not scans:
            continue
        for part, value, where in measure(person, scans, predict, frames, skipped):
            found.setdefault(part, []).append(value)
            error_map = error_map or where
    if not found:
        reason = next(iter(skipped.values()), "no video and no prediction")
        raise UserError(f"{root}: nothing could be measured: {reason}")
    rows = {part: _row(values) for part, values in found.items()}
    rows["all"] = _row([value for values in found.values() for value in values])
    unit = PROTOCOLS[protocol]
    return Result(
        title=f"MICC Florence, {protocol}",
        facts={
            "predictions": predict.source,
            "root": str(root),
            "people": len(people),
            "left_out": len(skipped),
        },
        tables=(
            Table(f"Error, {unit}", ("mean", "std", "count"), rows, key=f"florence_{protocol}"),
        ),
        errors={part: np.array(values) for part, values in found.items()},
        unit=unit,
        skipped=skipped,
        error_map=error_map,
    )


def read_ljson(path: str | Path) -> NDArray[np.float64]:
    """The 68 points of menpo's landmark format, in their order.

    Raises:
        UserError: naming the file, for anything else.
    """
    try:
        content = json.loads(Path(path).read_text())
        groups = list(content.get("groups", {"": content}).values())
        points = np.array(groups[0]["landmarks"]["points"], np.float64)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"{path}: is not a file of landmarks (.ljson): {error!r}") from error
    if points.shape != (LANDMARK_COUNT, 3) or not np.isfinite(points).all():
        raise UserError(f"{path}: expected 68 points in 3D, got shape {points.shape}")
    return points


def _row(values: list[float]) -> tuple[float, float, int]:
    return float(np.mean(values)), float(np.std(values)), len(values)


def _scans(person: MiccSample, root: Path, landmarks: Path, skipped: dict[str, str]) -> list[_Scan]:
    """The frontal scans that have landmarks; what is wrong with the others goes to ``skipped``."""
    scans = []
    for name in filter(person.scans.__contains__, _FRONTAL):
        path = person.scans[name]
        try:
            folder = landmarks / path.parent.relative_to(root)
            scans.append(_Scan(path, read_mesh(path), _read_landmarks(folder)))
        except UserError as error:
            skipped[f"{person.name}/{name}"] = str(error)
    return scans


def _read_landmarks(folder: Path) -> NDArray[np.float64]:
    for pattern in ("*.ljson", "*.npy", "*.txt"):
        for path in sorted(folder.glob(pattern)):
            return read_ljson(path) if path.suffix == ".ljson" else read_points(path, 68)
    raise UserError(f"{folder}: expected landmarks in a file .ljson, .npy or .txt")


def _deng(person, scans, predict, frames, skipped) -> Iterator[_Measured]:
    """Conditions, the mean error of a video's frames against the first frontal scan."""
    scan = scans[0]
    for condition, faces in _videos(person, predict, frames, skipped):
        errors = []
        for face in faces:
            start = _start(face, scan)
            tip = scan.landmarks[NOSE_TIP]
            errors.append(
                deng_rmse(scan.mesh.vertices, tip, face.vertices, face.triangles, initial=start)
            )
        where = map_of_crop(*scan.mesh, errors[0].kept, np.abs(errors[0].distances))
        yield condition, float(np.mean([error.rmse for error in errors])), where


def _ganfit(person, scans, predict, frames, skipped) -> Iterator[_Measured]:
    """Conditions, the error of a video's mean face against the nearer frontal scan."""
    for condition, faces in _videos(person, predict, frames, skipped, mean=True):
        face = PredictedMesh(
            np.mean([face.vertices for face in faces], 0),
            faces[0].triangles,
            np.mean([face.landmarks for face in faces], 0),
        )
        yield (
            condition,
            min(
                ganfit_distance(
                    *scan.mesh,
                    scan.landmarks[NOSE_TIP],
                    face.vertices,
                    face.triangles,
                    face.landmarks[NOSE_TIP],
                    initial=_start(face, scan),
                )
                for scan in scans
            ),
            None,
        )


def _prnet(person, scans, predict, frames, skipped) -> Iterator[_Measured]:
    """Yaws, the error in each of the rendered pictures of the first frontal scan."""
    from pgnface.evaluation.meshes import read_colors

    scan = scans[0]
    near = np.linalg.norm(scan.mesh.vertices - scan.landmarks[NOSE_TIP], axis=1) <= RADIUS
    colors = read_colors(scan.path)
    for yaw in YAWS:
        for pitch in PITCHES:
            view = render_view(*scan.mesh, scan.landmarks, pitch=pitch, yaw=yaw, colors=colors)
            try:
                face = predict.of_image(view.image, posed=True)
                value = prnet_nme(face.vertices, view.vertices[near], view.landmarks)
            except ValueError as error:
                skipped[f"{person.name}, yaw {yaw:g}, pitch {pitch:g}"] = str(error)
                continue
            yield f"yaw {yaw:g}", value, None


def _start(face: PredictedMesh, scan: _Scan):
    stable = list(STABLE_LANDMARKS)
    return align_points(face.landmarks[stable], scan.landmarks[stable], scale=True)


def _videos(
    person: MiccSample,
    predict: NetworkPredictions | FolderPredictions,
    frames: int,
    skipped: dict[str, str],
    mean: bool = False,
) -> Iterator[tuple[str, list[PredictedMesh]]]:
    """Condition and the faces predicted for it; frames without one go to ``skipped``."""
    from pgnface.data.benchmarks.micc import CONDITIONS

    for condition in CONDITIONS:
        name = f"{person.name}/{condition}"
        try:
            tasks = _tasks(person, condition, name, predict, frames, mean)
        except (UserError, OSError) as error:
            skipped[name] = str(error)
            continue
        faces = []
        for label, task in tasks:
            try:
                faces.append(task())
            except UserError as error:
                skipped[label] = str(error)
        if faces:
            yield condition, faces


def _tasks(
    person, condition, name, predict, frames, mean
) -> list[tuple[str, Callable[[], PredictedMesh]]]:
    """What is to be predicted for a video: a label and a function."""
    if isinstance(predict, FolderPredictions):
        if mean:
            return [(name, lambda: predict(name))]
        folder = predict.folder / name
        stems = sorted({p.stem for p in folder.glob("*") if p.suffix in MESH_SUFFIXES})
        if not stems:
            raise UserError(f"{folder}: expected a mesh (.obj or .ply) for each frame, found none")
        return [(f"{name}/{s}", lambda s=s: predict(f"{name}/{s}")) for s in stems]
    if condition not in person.videos:
        raise UserError(f"{name}: no video")
    images = _frames(person.videos[condition], frames)
    return [
        (f"{name}, frame {i + 1} of {len(images)}", lambda image=image: predict.of_image(image))
        for i, image in enumerate(images)
    ]


def _frames(path: Path, count: int) -> list[NDArray[np.uint8]]:
    from pgnface.data.images import list_images, read_image
    from pgnface.data.video import Video, spread_frames

    if path.is_dir():
        paths = list_images(path)
        chosen = np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round())
        return [read_image(paths[int(i)]) for i in chosen]
    images = spread_frames(Video(path), 2 * count)
    chosen = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).round())
    return [images[int(i)] for i in chosen]
