"""A folder in the format of 300W-LP and AFLW2000-3D, its faces turned to larger yaws."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import loadmat, savemat

from pgnface._errors import NothingFoundError, UserError
from pgnface._output import prepare_folder, write_whole
from pgnface.geometry import Pose
from pgnface.morphable import MorphableModel

from .aflw2000 import list_samples
from .annotation import Annotation, pose_parameters, read_annotation
from .images import encode_jpeg, read_image, to_tensor
from .profiling import profile_face
from .shard_rewriting import SKIPPED
from .surface_fit import fit_surfaces
from .turn_rule import TurnRule

# What turns with the head, or is out of date after it turned.
_STALE = ("pt3d_68", "pt2d", "roi", "Pose_Para")


def profile_folder(
    root: str | Path,
    output: str | Path,
    model: MorphableModel,
    turns: TurnRule | None = None,
    *,
    split: str = "all",
    quality: int = 95,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Turn the faces of annotated photos away from the viewer, further to the side they look to.

    For each photo ``NAME`` and each turn, ``NAME_1.jpg`` and ``NAME_1.mat`` and so on, in the
    folders that the photos are in below ``root``. The .mat files hold the turned landmarks and
    pose; coefficients are copied. The face model gives the shape of the surface alone: it is fitted
    to the landmarks, and a fit of a few per cent is enough. Files that are there are kept, so that
    the same call continues.

    Args:
        root: folder of photos with a .mat beside each.
        output: folder.
        model: any face model.
        turns: by how much.
        split: of the photos, see :func:`pgnface.data.aflw2000.list_samples`. What is turned of a
            split belongs to it as a whole.
        quality: of the JPEG files.
        advance: told the number of photos done and of all.

    Returns:
        Counts: ``photos``, ``written``, ``kept`` (there before), ``beyond`` (turns past the
        limits), ``skipped`` (photos that cannot be used; ``skipped.jsonl`` says why).

    Raises:
        FileNotFoundError: when ``root`` is missing.
        UserError: for turns that are none, or an ``output`` below ``root``.
        NothingFoundError: when no photo can be used.
    """
    turns = turns or TurnRule()
    turns.check()
    root, output = Path(root), Path(output)
    photos = list_samples(root, split)
    if output.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"output {output} lies in {root}: the next call would turn what this writes"
        )
    output = prepare_folder(output)
    counts = {"photos": len(photos), "written": 0, "kept": 0, "beyond": 0, "skipped": 0}
    with open(output / SKIPPED, "w") as report:
        for done, path in enumerate(photos, 1):
            try:
                target = output / path.relative_to(root)
                for key, count in _profile(path, target, model, turns, quality).items():
                    counts[key] += count
            except UserError as error:
                counts["skipped"] += 1
                entry = {"source": path.relative_to(root).as_posix(), "detail": str(error)}
                report.write(json.dumps(entry) + "\n")
            advance(done, len(photos))
    if not counts["written"] + counts["kept"]:
        raise NothingFoundError(f"{root}: no face could be turned; {output / SKIPPED} says why")
    return counts


def _profile(
    path: Path,
    target: Path,
    model: MorphableModel,
    turns: TurnRule,
    quality: int,
) -> dict[str, int]:
    """Write the turned faces of one photo."""
    annotation = read_annotation(path.with_suffix(".mat"))
    if not annotation.plausible:
        raise UserError("an annotated angle is implausible")
    yaw = float(annotation.angles[1])
    wanted = {target.with_name(f"{target.stem}_{i}.jpg"): turn for i, turn in turns.of(yaw).items()}
    missing = {
        k: v for k, v in wanted.items() if not (k.exists() and k.with_suffix(".mat").exists())
    }
    counts = {"beyond": len(turns.yaws) - len(wanted), "kept": len(wanted) - len(missing)}
    if not missing:
        return counts
    image = read_image(path)
    axes = 3 if annotation.has_depth else 2
    known = torch.from_numpy(annotation.landmarks[None, :, :axes]).float()
    fitted = fit_surfaces(model, known)
    pose = Pose(*(value[None].float() for value in annotation.pose(image.shape[0])))
    pixels = to_tensor(image)[None]
    content = loadmat(path.with_suffix(".mat"), appendmat=False)
    kept = {k: v for k, v in content.items() if not k.startswith("__") and k not in _STALE}
    target.parent.mkdir(parents=True, exist_ok=True)
    for place, turn in missing.items():
        try:
            turned = profile_face(pixels, fitted.vertices, model.triangles, pose, turn)
        except ValueError as error:
            raise UserError(f"cannot be turned by {turn:g} degrees ({error})") from None
        points = turned.turn.apply(fitted.landmarks)[0].double().numpy()
        labels = _labels(annotation, points, turned.pose, turn, image.shape[0])
        write_whole(place, encode_jpeg(turned.image[0], quality))
        entries = io.BytesIO()
        savemat(entries, {**kept, **labels})
        write_whole(place.with_suffix(".mat"), entries.getvalue())
    return {**counts, "written": len(missing)}


def _labels(
    annotation: Annotation, points: NDArray, pose: Pose, turn: float, height: int
) -> dict[str, NDArray]:
    """Entries of a .mat file, in its own conventions."""
    theirs = points * [1, 1, -1] + [0.5, 0.5, 0]
    angles = annotation.angles + np.array([0, turn, 0])
    low, high = theirs[:, :2].min(0), theirs[:, :2].max(0)
    return {
        **({"pt3d_68": theirs.T} if annotation.has_depth else {"pt2d": theirs[:, :2].T}),
        "Pose_Para": pose_parameters(Pose(*(v[0] for v in pose)), angles, height)[None],
        "roi": np.concatenate((low, high))[None],
    }
