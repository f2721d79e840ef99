"""Regenerates the pictures of the documentation.

    python tools/make_pictures.py [--output docs/images]

They show people rendered from the built-in model (CC0) and scikit-image's astronaut, a photo of
NASA's in the public domain, so that they are free to publish.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.data import astronaut

import pgnface
from pgnface.data.cropping import SquareBox
from pgnface.data.synthetic import SyntheticSource
from pgnface.geometry import Pose, apply_pose, rotation_from_angles
from pgnface.morphable import load_model
from pgnface.reconstruction.face import Face
from pgnface.render import render

_ROWS, _COLUMNS, _TILE = 4, 6, 144


def synthetic_people(path: Path, seed: int = 6) -> None:
    """A sheet of people, two frames of each side by side: half of the rows as they are drawn, half
    as training sees them, through worse cameras and behind things.
    """
    model, half = load_model(), _ROWS * _COLUMNS // 2
    sources = [
        SyntheticSource(model, _TILE, frames=2, seed=seed, degrade_images=degrade)
        for degrade in (False, True)
    ]
    images = torch.cat([source.batch(i, half).images for i, source in enumerate(sources)])
    rows = images.unflatten(0, (_ROWS, _COLUMNS)).permute(0, 3, 1, 4, 2)
    sheet = (rows.flatten(2, 3).flatten(0, 1) * 255).round().to(torch.uint8).numpy()
    # A palette keeps the picture small for the repository.
    Image.fromarray(sheet).quantize(256).save(path, optimize=True)


def overview(path: Path, tile: int = 256) -> None:
    """A photo, the face laid over it, and the head with the photo's colours, turned."""
    photo = astronaut()
    face = pgnface.reconstruct(photo)[0]
    left, top, right, bottom = SquareBox(face.box.x, face.box.y, 1.5 * face.box.side).edges
    tiles = [
        image[int(top) : int(bottom), int(left) : int(right)] for image in (photo, face.overlay())
    ]
    tiles += [turned_head(face, angles, tile) for angles in ((0, 0, 0), (5, -50, 0))]
    sheet = np.concatenate([np.asarray(Image.fromarray(t).resize((tile, tile))) for t in tiles], 1)
    Image.fromarray(sheet).save(path, optimize=True)


def turned_head(face: Face, angles: tuple[float, float, float], size: int) -> np.ndarray:
    """The head with the photo's colours, seen from another side, ``(size, size, 3)`` uint8."""
    rotation = rotation_from_angles(torch.tensor(angles, dtype=torch.float32))
    scale = torch.tensor(0.85 * size / float(face.shape[:, 1].max() - face.shape[:, 1].min()))
    points = apply_pose(Pose(scale, rotation, torch.zeros(3)), face.shape)
    middle = (points.amax(0) + points.amin(0)) / 2
    picture = render(
        (points - middle + size / 2)[None],
        face.model.triangles,
        size,
        size,
        colors=face.colors[None],
        background=torch.full((1, 3, size, size), 0.93),
        supersample=3,
    )
    return (picture.image[0].permute(1, 2, 0) * 255).round().byte().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parents[1] / "docs" / "images"
    )
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    synthetic_people(output / "synthetic.png")
    overview(output / "overview.png")


if __name__ == "__main__":
    main()
