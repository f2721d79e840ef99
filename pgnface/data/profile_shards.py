"""Labelled face crops in shards, the faces turned to larger yaws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pgnface._errors import UserError
from pgnface.geometry import Pose, angles_from_rotation
from pgnface.morphable import MorphableModel

from .cropping import square_box
from .images import decode_image, encode_jpeg, to_tensor
from .profiling import profile_face
from .shard_rewriting import rewrite_shards
from .shards import ShardImage, known_landmarks
from .surface_fit import fit_surfaces
from .turn_rule import TurnRule

MANIFEST = "profiles.json"

_BATCH = 64


def profile_shards(
    shards: str | Path,
    output: str | Path,
    model: MorphableModel,
    turns: TurnRule | None = None,
    *,
    quality: int = 95,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Turn the faces of labelled crops away from the viewer, further to the side they look to.

    Of an image ``NAME`` with landmarks, each turn becomes an image ``NAME_1`` and so on with the
    turned landmarks and their ``crop_box``; whose face it is, is copied. The yaw is that of the
    face model, which is fitted to the landmarks. See :func:`.shard_rewriting.rewrite_shards`.

    Args:
        shards: whose .json files hold ``landmarks``, as ``pgnface data label`` writes them.
        output: folder.
        model: any face model.
        turns: by how much.
        quality: of the JPEG images.
        advance: told the number of shards done and of all.

    Returns:
        Counts: ``written`` images, ``skipped`` ones of ``shards``.

    Raises:
        FileNotFoundError: when no shard matches.
        UserError: for turns that are none, or an ``output`` that holds something else.
        NothingFoundError: when no face could be turned.
    """
    turns = turns or TurnRule()
    turns.check()
    asked = {
        "model": model.digest,
        "turns": [list(turns.yaws), turns.smallest, turns.largest],
        "quality": quality,
    }
    change = partial(_turned, model, turns, quality)
    written, skipped = rewrite_shards(shards, output, change, MANIFEST, asked, advance=advance)
    return {"written": written, "skipped": skipped}


def _turned(
    model: MorphableModel,
    turns: TurnRule,
    quality: int,
    images: Iterator[ShardImage],
    skipped: dict[str, str],
) -> Iterator[ShardImage]:
    """The turned faces of images."""
    while chunk := list(islice(images, _BATCH)):
        usable: list[tuple[ShardImage, NDArray[np.uint8], NDArray]] = []
        for image in chunk:
            try:
                points = _whole_landmarks(image)
                usable.append((image, decode_image(image.data, image.name), points))
            except UserError as error:
                skipped[image.name] = str(error)
        if not usable:
            continue
        fitted = fit_surfaces(model, torch.from_numpy(np.stack([u[2] for u in usable])).float())
        yaws = angles_from_rotation(fitted.pose.rotation)[:, 1].tolist()
        for i, (image, pixels, _) in enumerate(usable):
            wanted = turns.of(yaws[i])
            if not wanted:
                skipped[image.name] = f"no turn of a yaw of {yaws[i]:.0f} degrees is wanted"
            pose = Pose(*(part[i : i + 1] for part in fitted.pose))
            for number, turn in wanted.items():
                try:
                    faces = profile_face(
                        to_tensor(pixels)[None],
                        *(fitted.vertices[i : i + 1], model.triangles, pose, turn),
                    )
                except ValueError as error:
                    skipped[f"{image.name}_{number}"] = f"cannot be turned by {turn:g} ({error})"
                    continue
                points = faces.turn.apply(fitted.landmarks[i : i + 1])[0].double().numpy()
                labels = {
                    "landmarks": points.round(2).tolist(),
                    "crop_box": [round(value, 2) for value in square_box(points)[:3]],
                    "turned_by": turn,
                }
                yield ShardImage(
                    f"{image.name}_{number}",
                    encode_jpeg(faces.image[0], quality),
                    {**image.about, **labels},
                )


def _whole_landmarks(image: ShardImage) -> NDArray[np.float64]:
    """Landmarks ``(68, 3)`` of an image."""
    known = known_landmarks(image)
    if known is None:
        raise UserError(f"{image.name}: its .json has no landmarks")
    if not known.weights.all():
        raise UserError(f"{image.name}: expected all 68 landmarks in 3D")
    return known.points
