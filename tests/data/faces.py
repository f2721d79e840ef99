"""Small generated photos, annotations, shards and videos for the tests of the data sources."""

from __future__ import annotations

import dataclasses
import io
import sqlite3
import tarfile
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import savemat

from pgnface.data.batch import FaceBatch
from pgnface.geometry import Pose, apply_pose, rotation_from_angles
from tests.models import tiny_model

SIZE = 32


def picture(seed: int = 0, height: int = 60, width: int = 60) -> NDArray[np.uint8]:
    """A smooth colourful RGB image."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image: NDArray, suffix: str = ".jpg") -> bytes:
    """An image of RGB(A) or grey values in a file format."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, *range(3, image.shape[2])]]
    return cv2.imencode(suffix, image)[1].tobytes()


def head_points(angles=(5.0, 20.0, -8.0), scale=0.25, centre=(30.0, 30.0)) -> NDArray[np.float64]:
    """Landmarks (68, 3) in image space of a posed tiny face."""
    model = tiny_model()
    pose = Pose(
        torch.tensor(scale),
        rotation_from_angles(torch.tensor(angles)),
        torch.tensor([*centre, 0.0]),
    )
    return apply_pose(pose, model.mean[model.landmarks]).double().numpy()


def write_annotation(path: Path, angles=(5.0, 20.0, -8.0), **changes) -> NDArray[np.float64]:
    """A .mat file as AFLW2000-3D has them; returns its landmarks in our image space.

    Args:
        path: the file.
        angles: pitch, yaw, roll in degrees.
        **changes: entries in place of the usual ones; ``None`` leaves one out.
    """
    points = head_points(angles)
    # The files count pixels from 1, and z points to the viewer.
    theirs = (points * [1, 1, -1] + [0.5, 0.5, 0]).T
    pose = np.array([[*np.deg2rad(angles), 30.0, 30.0, 0.0, 2.5e-4]])
    content = {"pt3d_68": theirs, "Pose_Para": pose, "pt2d": -np.ones((2, 21))}
    savemat(path, {k: v for k, v in {**content, **changes}.items() if v is not None})
    return points


def write_faces(root: Path, count: int, annotated: bool = True) -> list[Path]:
    """Photos ``face000.jpg`` and so on, each another yaw, with .mat files where ``annotated``."""
    root.mkdir(exist_ok=True)
    paths = [root / f"face{i:03d}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(encoded(picture(i)))
        if annotated:
            write_annotation(path.with_suffix(".mat"), (0.0, 2.0 * i - 20, 0.0))
    return paths


def write_pts(path: Path, angles=(5.0, 20.0, -8.0)) -> NDArray[np.float64]:
    """A .pts file as 300-W has them; returns its landmarks (68, 2) in our image space."""
    points = head_points(angles)[:, :2]
    rows = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points + 0.5)
    path.write_text(f"version: 1\nn_points:  68\n{{\n{rows}\n}}\n")
    return points


def write_aflw(root: Path, count: int, features: int = 21) -> NDArray[np.float64]:
    """A data base as AFLW has it and its photos; returns the points (21, 2) of each face in our
    image space. Of face ``i`` the first ``i`` of ``features`` points are hidden.
    """
    points = np.random.default_rng(0).uniform(15, 45, (21, 2)).round(2)
    data = root / "data"
    (data / "flickr/0").mkdir(parents=True)
    base = sqlite3.connect(data / "aflw.sqlite")
    base.executescript(
        """
        CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT);
        CREATE TABLE FaceImages (image_id INTEGER PRIMARY KEY, db_id TEXT, file_id TEXT,
            filepath TEXT, bw INTEGER, width INTEGER, height INTEGER);
        CREATE TABLE FaceRect (face_id INTEGER, x INTEGER, y INTEGER, w INTEGER, h INTEGER,
            annot_type_id INTEGER);
        CREATE TABLE FacePose (face_id INTEGER, roll REAL, pitch REAL, yaw REAL,
            annot_type_id INTEGER, upsidedown INTEGER);
        CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x REAL, y REAL);
        """
    )
    for i in range(count):
        face, file = 39341 + i, f"image{i:05d}.jpg"
        (data / "flickr/0" / file).write_bytes(encoded(picture(i)))
        base.execute("INSERT INTO Faces VALUES (?, ?, 'aflw')", (face, file))
        base.execute(
            "INSERT INTO FaceImages VALUES (?, 'aflw', ?, ?, 0, 60, 60)", (i, file, f"0/{file}")
        )
        base.execute("INSERT INTO FaceRect VALUES (?, 10, 12, 40, 36, 1)", (face,))
        base.execute("INSERT INTO FacePose VALUES (?, 0.1, -0.2, 0.5, 1, 0)", (face,))
        for feature in range(i, features):
            x, y = points[feature] - 0.5
            base.execute("INSERT INTO FeatureCoords VALUES (?, ?, ?, ?)", (face, feature + 1, x, y))
    base.commit()
    base.close()
    return points


def write_shard(path: Path, members: dict[str, bytes]) -> Path:
    """A tar file."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def write_video(path: Path, frames: int, size: int = 64) -> Path:
    """A Motion-JPEG file in which a square travels to the right."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (size, size))
    assert writer.isOpened()
    for i in range(frames):
        image = np.full((size, size, 3), 40, np.uint8)
        image[20:40, i : i + 20] = 220
        writer.write(image)
    writer.release()
    return path


def values_of(batch: FaceBatch) -> dict[str, object]:
    """All that a batch holds, by name."""
    values = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    pose = values.pop("pose")
    return {**values, **pose._asdict()}


def assert_equal(a: FaceBatch, b: FaceBatch) -> None:
    """That two batches are equal bit for bit."""
    others = values_of(b)
    for name, value in values_of(a).items():
        same = torch.equal(value, others[name]) if torch.is_tensor(value) else value == others[name]
        assert same, name
