"""Regenerates the pictures of the documentation that show rendered people.

    python tools/make_pictures.py [--output docs/images]

Only the built-in model (CC0) is used, so that the pictures are free to publish.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image

from pgnface.data.synthetic import SyntheticSource
from pgnface.morphable import load_model

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parents[1] / "docs" / "images"
    )
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    synthetic_people(output / "synthetic.png")


if __name__ == "__main__":
    main()
