#!/usr/bin/env python3
"""Finds the limits of pgnface/reconstruction/find.py, above which a detection is no face.

    python tools/fit_face_check.py PATH_TO_AFLW2000 [--checkpoint F] [--every 2]

The network sees the annotated faces of the training blocks, in jittered boxes and again around its
landmarks, and squares of the same photos beside the faces. Printed are the quantiles of
the two errors, mirror and fit, and for pairs of limits the faces that are lost and the share of the
squares that are told from faces. A few of the squares hold another person.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import torch
import tyro

from pgnface.data.aflw2000 import list_samples
from pgnface.data.annotation import AnnotationError, read_annotation
from pgnface.data.cropping import SquareBox, square_box
from pgnface.data.images import read_image
from pgnface.evaluation.metrics import sparse_nme
from pgnface.evaluation.protocols.aflw2000.boxes import BoxRule
from pgnface.networks import PoseGuidanceNetwork
from pgnface.networks.inference import (
    boxes_around,
    predict_faces,
    predict_faces_twice,
    resolve_network,
)

_MIRROR_LIMITS, _FIT_LIMITS = (8, 10, 12, 16, 20, np.inf), (1.5, 2, 2.5, 3, 4, np.inf)
_QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99, 0.997, 1)
_BATCH = 16


def background(
    image: np.ndarray, face: SquareBox, rng: np.random.Generator, tries: int = 20
) -> SquareBox | None:
    """A square beside the face, 60 to 160 pixels wide; None where none is found."""
    for _ in range(tries):
        side = rng.uniform(60, 160)
        x, y = rng.uniform(0, image.shape[1]), rng.uniform(0, image.shape[0])
        if max(abs(x - face.x), abs(y - face.y)) > 0.45 * (side + face.side):
            return SquareBox(x, y, side)
    return None


def both_errors(network: PoseGuidanceNetwork, images: list, boxes: list) -> np.ndarray:
    """Mirror and fit error ``(N, 2)`` of the second pass, as in :func:`pgnface.reconstruct`."""
    around = boxes_around(predict_faces(network, images, boxes))
    seen, mirror = predict_faces_twice(network, images, around)
    fit = sparse_nme(seen.posed_landmarks[..., :2], seen.landmarks[..., :2])
    return torch.stack((mirror, fit), 1).cpu().numpy()


def main(root: tyro.conf.Positional[Path], checkpoint: str = "default", every: int = 1) -> None:
    """Measure, and print.

    Args:
        root: folder of AFLW2000-3D.
        checkpoint: of the network.
        every: use every so many photos.
    """
    network = resolve_network(checkpoint)
    jitter, rng = BoxRule("jittered"), np.random.default_rng(0)
    seen: dict[str, list] = {"faces": [], "background": []}
    for path in list_samples(root, "train")[::every]:
        try:
            true = square_box(read_annotation(path.with_suffix(".mat")).landmarks)
        except AnnotationError as error:
            print(f"left out: {error}")
            continue
        image = read_image(path)
        seen["faces"].append((image, jitter(image, true)))
        if (square := background(image, true, rng)) is not None:
            seen["background"].append((image, square))
    errors = {}
    for name, pairs in seen.items():
        chunks = [pairs[i : i + _BATCH] for i in range(0, len(pairs), _BATCH)]
        errors[name] = np.concatenate(
            [both_errors(network, *map(list, zip(*chunk, strict=True))) for chunk in chunks]
        )
        print(f"{name}: {len(pairs)}, quantiles 1-10-50-90-99-99.7-100 %")
        for kind, values in zip(("mirror", "fit"), errors[name].T, strict=True):
            print(f"  {kind}: {np.quantile(values, _QUANTILES).round(1)}")
    for limits in product(_MIRROR_LIMITS, _FIT_LIMITS):
        told = {name: (values > limits).any(1) for name, values in errors.items()}
        print(
            f"limits {limits}: {told['faces'].sum()} faces lost, "
            f"{100 * told['background'].mean():.1f} % of the background told"
        )


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    tyro.cli(main, description=__doc__)
