"""``pgnface model fit-landmarks``: a file of points in, mesh, pictures and numbers out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface._output import prepare_folder
from pgnface.data.points import JAW, jaw_on_contour, read_pts
from pgnface.geometry import angles_from_rotation, apply_pose
from pgnface.geometry.landmarks import LANDMARK_COUNT
from pgnface.morphable import MorphableModel, load_model

from .landmarks import LandmarkFit, fit_landmarks
from .uncertainty import confidence_radius, vertex_covariance

_CANVAS = 512  # pixels of the picture where there is no photo
_MARGIN = 0.08


class SparsePoints(NamedTuple):
    """Points of a face and which they are.

    Attributes:
        points: ``(K, 2|3)``, NaN where not observed.
        vertex_ids: ``(K,)``, or None for the 68 landmarks.
    """

    points: NDArray[np.float64]
    vertex_ids: NDArray[np.int64] | None


def read_sparse_points(path: str | Path) -> SparsePoints:
    """Points of a ``.pts``, ``.npy``, ``.json`` or text file.

    A ``.json`` file holds a list of points, or an object of ``points`` and ``vertex_ids``; a text
    file a row for each point. ``null`` (in text ``nan``) is a point that was not observed. The
    points of ``.pts`` are moved by half a pixel, as their files count from the first pixel's centre
    as 1.

    Raises:
        FileNotFoundError: when there is no such file.
        UserError: naming the file, for anything but ``(K, 2)`` or ``(K, 3)`` numbers, or another
            number of points than 68 without ``vertex_ids``.
    """
    path, ids = Path(path), None
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        suffix = path.suffix.lower()
        if suffix == ".pts":
            values = read_pts(path) - 0.5
        elif suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        elif suffix == ".json":
            values = json.loads(path.read_text())
            if isinstance(values, dict):
                ids, values = values.get("vertex_ids"), values["points"]
        else:
            values = np.loadtxt(path, ndmin=2, delimiter=None)
        points = np.asarray(values, np.float64)
        ids = None if ids is None else np.asarray(ids)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise UserError(
            f"{path}: expected points in a .pts, .npy, .json or .txt file ({error})"
        ) from error
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise UserError(f"{path}: expected points (K, 2) or (K, 3), got shape {points.shape}")
    if ids is None and len(points) != LANDMARK_COUNT:
        raise UserError(
            f"{path}: expected {LANDMARK_COUNT} landmarks, got {len(points)} points; say which "
            'they are in a .json file {"points": [...], "vertex_ids": [...]}'
        )
    if ids is not None and (ids.dtype.kind not in "iu" or ids.shape != (len(points),)):
        raise UserError(f"{path}: expected {len(points)} whole numbers as vertex_ids")
    return SparsePoints(points, ids)


def fit_file(
    points: str | Path,
    output: str | Path,
    *,
    model: str | Path = "default",
    image: str | Path | None = None,
    noise: float | None = None,
    expression_std: float = 0.3,
    jaw: Literal["auto", "use", "ignore"] = "auto",
) -> LandmarkFit:
    """Fit a model to a file's points and write ``face.glb``, ``face.ply``,
    ``overlay.png``, ``uncertainty.png`` and ``fit.json`` into a folder.

    Args:
        points: see :func:`read_sparse_points`.
        output: the folder.
        model: ``"default"`` or a file.
        image: the photo that 2D points belong to, for the overlay.
        noise, expression_std: as for :func:`fit_landmarks`.
        jaw: whether the 17 jaw landmarks are used; ``"auto"`` leaves those of .pts files out, which
            lie on the visible contour and not on the jaw of the model.

    Raises:
        UserError: for a file, folder or photo that cannot be used.
    """
    from pgnface.evaluation.plots import plot_error_map
    from pgnface.evaluation.result import ErrorMap
    from pgnface.reconstruction.export import save_mesh

    given, face_model = read_sparse_points(points), load_model(model)
    folder = prepare_folder(output)
    weights = np.isfinite(given.points).all(1).astype(np.float64)
    contour = jaw == "ignore" or (jaw == "auto" and jaw_on_contour(Path(points)))
    if contour and given.vertex_ids is None:
        weights[list(JAW)] = 0
    if weights.sum() < 4:
        raise UserError(f"{points}: expected at least 4 points, got {int(weights.sum())}")
    fit = fit_landmarks(
        face_model,
        torch.from_numpy(given.points)[None],
        None if given.vertex_ids is None else torch.from_numpy(given.vertex_ids),
        noise=noise,
        weights=torch.from_numpy(weights),
        expression_std=expression_std,
    )
    radius = confidence_radius(vertex_covariance(face_model, fit.covariance))[0].numpy()
    vertices, triangles = fit.vertices[0].numpy(), face_model.triangles.numpy()
    for name in ("face.glb", "face.ply"):
        save_mesh(folder / name, vertices, triangles)
    plot_error_map(ErrorMap(vertices, triangles, radius), folder / "uncertainty.png")
    _draw_overlay(folder / "overlay.png", image, face_model, fit, given.points[weights > 0])
    _write_json(folder / "fit.json", face_model, fit, radius, int(weights.sum()))
    return fit


def _write_json(path: Path, model: MorphableModel, fit: LandmarkFit, radius, count: int) -> None:
    pitch, yaw, roll = angles_from_rotation(fit.pose.rotation[0]).tolist()
    content = {
        "model": model.name,
        "digest": model.digest,
        "points": count,
        "identity": fit.identity[0].tolist(),
        "expression": dict(zip(model.expression_names, fit.expression[0].tolist(), strict=True)),
        "scale": float(fit.pose.scale[0]),
        "rotation": fit.pose.rotation[0].tolist(),
        "translation": fit.pose.translation[0].tolist(),
        "angles_degrees": {"pitch": pitch, "yaw": yaw, "roll": roll},
        "noise": float(fit.noise[0]),
        "residual": float(fit.residual[0]),
        "radius95_mm": {
            "mean": float(radius.mean()),
            "median": float(np.median(radius)),
            "largest": float(radius.max()),
        },
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _draw_overlay(path: Path, image, model: MorphableModel, fit: LandmarkFit, points) -> None:
    """The fitted face and the points, on the photo or on a canvas that they fill."""
    import cv2
    from PIL import Image

    from pgnface.data.images import read_image
    from pgnface.render import overlay_mesh

    placed, points = apply_pose(fit.pose, fit.vertices)[0], points[:, :2]
    if image is not None:
        photo = read_image(image)
    else:
        low, high = placed.amin(0)[:2], placed.amax(0)[:2]
        size = (1 - 2 * _MARGIN) * _CANVAS / float((high - low).max())
        shift = _CANVAS / 2 - size * (low + high) / 2
        placed = size * placed
        placed[:, :2] += shift
        points = size * points + shift.numpy()
        photo = np.full((_CANVAS, _CANVAS, 3), 255, np.uint8)
    drawn = overlay_mesh(photo, placed, model.triangles)
    radius = max(2, round(max(drawn.shape[:2]) / 250))
    for x, y in points:
        # OpenCV counts pixel centres as integers.
        center = round(float(x) - 0.5), round(float(y) - 0.5)
        cv2.circle(drawn, center, radius, (220, 40, 40), -1, cv2.LINE_AA)
    Image.fromarray(drawn).save(path)
