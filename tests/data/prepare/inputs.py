"""Small inputs of preparations: pictures of a portrait that Haar's cascades find a face in."""

from __future__ import annotations

import json
import tarfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from tests.data.faces import encoded


@cache
def portrait() -> np.ndarray:
    """A face of about 125 pixels at about (158, 120) in 320 x 256."""
    return np.ascontiguousarray(astronaut()[:256, 64:384])


def photo(seed: int = 0) -> np.ndarray:
    """The portrait in another light and place."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-20, 20, 2)
    moved = cv2.warpAffine(
        portrait(), np.float64([[1, 0, x], [0, 1, y]]), (320, 256), borderMode=cv2.BORDER_REPLICATE
    )
    return (moved * rng.uniform(0.7, 1.0)).astype(np.uint8)


def write_photo(path: Path, seed: int = 0, image: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(photo(seed) if image is None else image, path.suffix))
    return path


def write_portrait_video(path: Path, frames: int, shift: int = 3) -> Path:
    """The portrait moving to the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 256))
    for i in range(frames):
        moved = np.roll(portrait(), shift * i, axis=1)
        writer.write(moved[..., ::-1])
    writer.release()
    return path


def read_shards(folder: Path) -> list[tuple[str, np.ndarray, dict]]:
    """Key, image and .json of every sample, with tarfile alone."""
    samples = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            members = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}
        for name in sorted(members):
            if name.endswith(".jpg"):
                image = cv2.imdecode(np.frombuffer(members[name], np.uint8), cv2.IMREAD_COLOR)
                about = json.loads(members[name.replace(".jpg", ".json")])
                samples.append((name[:-4], image[..., ::-1], about))
    return samples


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def skips(folder: Path) -> list[tuple[str, int | None, str]]:
    """What a preparation left out."""
    lines = (folder / "skipped.jsonl").read_text().splitlines()
    entries = map(json.loads, lines)
    return [(entry["source"], entry["frame"], entry["reason"]) for entry in entries]
