"""Small folders in the layouts of published evaluation sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.data.faces import encoded, picture

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def write(path: Path, content: str | bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_photo(path: Path, seed: int = 0) -> Path:
    return write(path, encoded(picture(seed), path.suffix))


def numbers(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 40, (count, 3)).round(4)


def picked_points(points: np.ndarray) -> str:
    """As MeshLab writes them."""
    rows = "\n".join(
        f' <point x="{x}" y="{y}" z="{z}" active="1" name="{i}"/>'
        for i, (x, y, z) in enumerate(points)
    )
    head = (
        '<!DOCTYPE PickedPoints>\n<PickedPoints>\n <DocumentData>\n  <DateTime date="2018-05-01" '
        'time="10:00:00"/>\n  <User name="a"/>\n  <DataFileName name="scan.obj"/>\n'
        '  <templateName name=""/>\n </DocumentData>\n'
    )
    return f"{head}{rows}\n</PickedPoints>\n"
