"""Evaluation on AFLW2000-3D, or a folder in its format.

Landmark errors are means over the 68 points, divided by sqrt(w h) of the true landmarks' tight box,
in bins of the annotation's |yaw|; pose errors leave out samples with an annotated angle beyond 99
degrees. A face is cropped by its true landmark box, as in the published numbers, by one that is
jittered, or where a detector finds it.

Bins: of all faces (1312, 383 and 305 in the whole data set), as in 3DDFA's evaluation code; or of a
balanced subset with as many faces in each bin, drawn with a seed (PRNet and others draw 696 faces,
232 a bin, but do not say which). The summary is the mean of the bins' means, and its std the
standard deviation of these three numbers.

Dense errors, in two variants (:func:`pgnface.evaluation.metrics.dense_nme`), need a network whose
face model is the one that the data set was annotated with.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pgnface._errors import UserError
from pgnface._output import prepare_folder
from pgnface.data.aflw2000 import list_samples
from pgnface.data.annotation import read_annotation
from pgnface.data.cropping import square_box
from pgnface.data.images import list_images, read_image
from pgnface.networks import PoseGuidanceNetwork
from pgnface.networks.inference import resolve_network

from ...metrics import (
    balanced_subset,
    check_bins,
    error_by_yaw,
    mean_pose_error,
    sparse_nme,
)
from ...plots import Tile, contact_sheet, plot_cumulative_error
from ...report import Report, describe
from ..mean_shape import normalise_to_box, place_in_box
from .boxes import BoxRule
from .dense import read_dense_basis
from .predict import Results, predict_samples
from .reannotations import read_reannotations

_TILE_SIZE, _TILES = 160, 12


def evaluate_aflw2000(
    root: str | Path,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    split: str = "all",
    bins: Sequence[float] = (0, 30, 60, 90),
    annotations: str | Path | None = None,
    boxes: str = "landmarks",
    passes: int = 2,
    mirror: bool = True,
    batch_size: int = 32,
    balanced: int = 0,
    seed: int = 0,
    dense_model: str | Path | None = None,
    output: str | Path | None = None,
) -> Report:
    """Landmark and pose errors of a network on AFLW2000-3D.

    Beside the network's two sets of landmarks (of the position map and of the posed face model,
    both in annotation style) the report has the baseline "mean shape": the mean of the training
    blocks' landmarks, placed in the true box.

    Args:
        root: folder of .jpg and .mat files.
        checkpoint: weights to load, or a network.
        split: ``"all"``, ``"validation"`` or ``"train"``, by blocks of 20 consecutive files.
        bins: edges of the bins of |yaw| in degrees.
        annotations: .npz with further 2D points to compare with: ``names (N,)`` and
            ``reannotated68 (N, 2, 68)`` in pixels whose centres are integers.
        boxes: ``"landmarks"``, ``"detector"`` or ``"jittered"`` (:class:`.boxes.BoxRule`). A face
            that the detector misses counts, with the data set's typical square for its box; the
            table "2d_found" is without those.
        passes: times that the network sees a face, after the first in a crop that the landmarks of
            the time before turn upright and, but for true boxes, place anew; as
            :func:`pgnface.reconstruct` does.
        mirror: the network sees the mirror image of each face too, as there
            (:func:`pgnface.networks.inference.predict_both_sides`).
        batch_size: faces in one run of the network.
        balanced: adds tables of a subset with so many faces in each bin; none for 0.
        seed: of that subset and of the jitter.
        dense_model: files of the annotation's face model
            (:func:`.dense.read_dense_basis`); adds dense errors.
        output: folder for metrics.json, cumulative_error.png, faces.png and, a row a face,
            faces.csv.

    Raises:
        FileNotFoundError: when the folder is missing.
        UserError: when it holds no usable sample, or the output cannot be written.
    """
    if output is not None:
        output = prepare_folder(output)
    check_bins(bins)
    extra = read_reannotations(annotations) if annotations is not None else None
    paths = list_samples(root, split)
    network = resolve_network(checkpoint)
    skipped = {
        path.name: "has no .mat file beside it"
        for path in list_images(root)
        if not path.with_suffix(".mat").exists()
    }
    basis = read_dense_basis(dense_model) if dense_model is not None else None
    rule = BoxRule(boxes, seed)
    known = boxes == "landmarks"
    results = predict_samples(
        network, paths, rule, batch_size, skipped, basis, passes, mirror, keep_boxes=known
    )
    if not results.paths:
        reason = next(iter(skipped.values()), "there are no images with a .mat beside them")
        raise UserError(
            f"no usable sample in {root} (split {split!r}, {len(skipped)} left out): {reason}"
        )
    mean_shape = _mean_shape(list_samples(root, "train"), results)
    methods = {
        "position_map": results.landmarks,
        "posed_model": results.posed_landmarks,
        "mean_shape": place_in_box(mean_shape, results.true),
    }
    yaw = results.angles[:, 1]
    errors = {
        name: sparse_nme(points[..., :2], results.true[..., :2]) for name, points in methods.items()
    }
    tables = {"2d": {name: error_by_yaw(values, yaw, bins) for name, values in errors.items()}}
    deep = results.has_depth
    if deep.any():
        tables["3d"] = {
            name: error_by_yaw(sparse_nme(points[deep], results.true[deep]), yaw[deep], bins)
            for name, points in methods.items()
        }
    found = torch.tensor(rule.found)
    if found.any() and not found.all():
        tables["2d_found"] = {
            name: error_by_yaw(values[found], yaw[found], bins) for name, values in errors.items()
        }
    if balanced:
        chosen = balanced_subset(yaw, bins, balanced, seed)
        tables["2d_balanced"] = {
            name: error_by_yaw(values[chosen], yaw[chosen], bins) for name, values in errors.items()
        }
    for kind, values in results.dense.items():
        tables[kind] = {"posed_model": error_by_yaw(values, yaw, bins)}
    if extra is not None:
        tables["2d_reannotated"] = _reannotated_table(extra, results, methods, bins)
    report = Report(
        title="AFLW2000-3D",
        facts={
            "checkpoint": describe(checkpoint),
            "model": network.model.name,
            "root": str(root),
            "split": split,
            "boxes": boxes,
            "passes": passes,
            "mirror": mirror,
            **({"missed": int((~found).sum())} if boxes == "detector" else {}),
            "images": len(results.paths),
            "left_out": len(skipped),
        },
        nme=tables,
        pose={
            "as_predicted": mean_pose_error(
                results.rotations, results.true_rotations, results.angles
            ),
            "constant_offset_removed": mean_pose_error(
                results.annotated_rotations, results.true_rotations, results.angles
            ),
        },
        skipped=skipped,
        errors=errors,
    )
    if output is not None:
        report.write_json(output)
        plot_cumulative_error(
            {name.replace("_", " "): values for name, values in errors.items()},
            output / "cumulative_error.png",
        )
        _write_contact_sheet(results, errors["position_map"], output / "faces.png")
        _write_faces(results, errors, found, output / "faces.csv")
    return report


def _mean_shape(train_paths: Sequence[Path], results: Results) -> Tensor:
    """Mean box-normalised landmarks ``(68, 3)`` of the training blocks; of the measured samples
    where the folder has none that can be read.
    """
    landmarks = []
    for path in train_paths:
        try:
            annotation = read_annotation(path.with_suffix(".mat"))
        except (ValueError, OSError):
            continue
        landmarks.append(torch.as_tensor(annotation.landmarks).float())
    truth = torch.stack(landmarks) if landmarks else results.true
    return normalise_to_box(truth).mean(0)


def _reannotated_table(extra, results: Results, methods, bins):
    index = [i for i, path in enumerate(results.paths) if path.stem in extra]
    if not index:
        raise UserError("the further annotations name none of the images")
    target = torch.stack([extra[results.paths[i].stem] for i in index])
    yaw = results.angles[index, 1]
    return {
        name: error_by_yaw(sparse_nme(points[index][..., :2], target), yaw, bins)
        for name, points in methods.items()
        if name != "mean_shape"
    }


def _write_faces(results: Results, errors: dict[str, Tensor], found: Tensor, path: Path) -> None:
    """A table with a row for each face: its true angles, and its 2D errors in percent."""
    columns = {
        "photo": [path.name for path in results.paths],
        **dict(zip(("pitch", "yaw", "roll"), results.angles.T.tolist(), strict=True)),
        **{name: values.tolist() for name, values in errors.items()},
        "found": found.int().tolist(),
    }
    rows = zip(*columns.values(), strict=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([f"{v:.3f}" if isinstance(v, float) else v for v in row] for row in rows)


def _write_contact_sheet(results: Results, errors: Tensor, path: Path) -> None:
    from pgnface.data.cropping import crop

    order = errors.argsort().tolist()
    count = min(_TILES, (len(order) + 1) // 2)

    def tile(i: int) -> Tile:
        image, warp = crop(read_image(results.paths[i]), square_box(results.true[i]), _TILE_SIZE)
        scale, shift = warp[0, 0], warp[:, 2]
        return Tile(
            image,
            (results.landmarks[i, :, :2].numpy() - shift) / scale,
            (results.true[i, :, :2].numpy() - shift) / scale,
            f"{results.paths[i].stem}  {errors[i]:.2f} %",
        )

    contact_sheet(
        {
            "Smallest errors": [tile(i) for i in order[:count]],
            "Largest errors": [tile(i) for i in order[::-1][:count]],
        },
        path,
    )
