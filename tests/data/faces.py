"""Small generated photos, annotations, shards and videos for the tests of the data sources."""

from __future__ import annotations

import dataclasses
import io
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
