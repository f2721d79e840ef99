"""Evaluation on AFLW2000-3D (Zhu et al., CVPR 2016), or a folder in its format.

Landmark errors are means over the 68 points, divided by sqrt(w h) of the true landmarks' tight box,
in bins of the annotation's |yaw|; pose errors leave out samples with an annotated angle beyond 99
degrees. A face is cropped by its true landmark box, as in the published numbers, or where a
detector finds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface._errors import UserError
from pgnface._output import prepare_folder
from pgnface.data.aflw2000 import Annotation, list_samples, read_annotation
from pgnface.data.cropping import SquareBox, square_box
from pgnface.data.detectors import build_detector
from pgnface.data.images import list_images, read_image
from pgnface.networks import PoseGuidanceNetwork
from pgnface.networks.inference import predict_faces, resolve_network, to_cpu

from ..metrics import check_bins, error_by_yaw, mean_pose_error, sparse_nme
from ..plots import Tile, contact_sheet, plot_cumulative_error
from ..report import Report, describe
from .mean_shape import normalise_to_box, place_in_box

# Re-annotated points (LS3D-W) count pixel centres from 0; ours lie at +0.5. Of all shifts this one
# brings them nearest to the data set's own annotation, too.
_REANNOTATION_SHIFT = 0.5
_TILE_SIZE, _TILES = 160, 12


@dataclass(frozen=True)
class Sample:
    """One readable face of the data set."""

    path: Path
    image: NDArray[np.uint8]
    annotation: Annotation
    box: SquareBox


def evaluate_aflw2000(
    root: str | Path,
    checkpoint: str | Path | PoseGuidanceNetwork = "default",
    *,
    split: str = "all",
    bins: Sequence[float] = (0, 30, 60, 90),
    annotations: str | Path | None = None,
    boxes: str = "landmarks",
    batch_size: int = 32,
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
        boxes: ``"landmarks"`` or ``"detector"``.
        batch_size: faces in one run of the network.
        output: folder for metrics.json, cumulative_error.png and faces.png.

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
    results = _run(network, paths, boxes, batch_size, skipped)
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
    )
    if output is not None:
        report.write_json(output)
        plot_cumulative_error(
            {name.replace("_", " "): values for name, values in errors.items()},
            output / "cumulative_error.png",
        )
        _write_contact_sheet(results, errors["position_map"], output / "faces.png")
    return report


@dataclass
class _Results:
    """Everything measured, in the order of ``paths``."""

    paths: list[Path]
    landmarks: Tensor
    posed_landmarks: Tensor
    rotations: Tensor
    annotated_rotations: Tensor
    true: Tensor
    true_rotations: Tensor
    angles: Tensor
    has_depth: Tensor


def _run(
    network: PoseGuidanceNetwork,
    paths: Sequence[Path],
    boxes: str,
    batch_size: int,
    skipped: dict[str, str],
) -> _Results:
    """Predict every sample; those that cannot be used go to ``skipped`` with the reason."""
    if batch_size < 1:
        raise UserError(f"batch size must be at least 1, got {batch_size}")
    kept: list[Path] = []
    parts: list[tuple[Tensor, ...]] = []
    for samples in _batches(_readable(paths, boxes, skipped), batch_size):
        prediction = predict_faces(
            network,
            [sample.image for sample in samples],
            [sample.box for sample in samples],
            passes=1 if boxes == "landmarks" else 2,
        )
        annotated_rotation = network.annotated_rotation(prediction.pose).cpu()
        prediction = to_cpu(prediction)
        truth = [sample.annotation for sample in samples]
        kept += [sample.path for sample in samples]
        parts.append(
            (
                prediction.annotated_landmarks,
                prediction.posed_annotated_landmarks,
                prediction.pose.rotation,
                annotated_rotation,
                *(
                    torch.stack([torch.as_tensor(getattr(a, name)) for a in truth]).float()
                    for name in ("landmarks", "rotation", "angles")
                ),
                torch.tensor([a.has_depth for a in truth]),
            )
        )
    joined = [torch.cat(column) for column in zip(*parts, strict=True)] or [torch.empty(0)] * 8
    return _Results(kept, *joined)


def _readable(paths: Sequence[Path], boxes: str, skipped: dict[str, str]) -> Iterator[Sample]:
    """Samples that can be used; the others go to ``skipped`` with the reason."""
    detect = None
    if boxes == "detector":
        detect = build_detector("auto")
    elif boxes != "landmarks":
        raise UserError(f"boxes must be 'landmarks' or 'detector', got {boxes!r}")
    for path in paths:
        try:
            annotation = read_annotation(path.with_suffix(".mat"))
            image = read_image(path)
            box = square_box(annotation.landmarks)
            if detect is not None:
                box = _nearest(detect(image), box)
        except (ValueError, OSError) as error:
            skipped[path.name] = str(error)
            continue
        yield Sample(path, image, annotation, box)


def _nearest(found: Sequence[SquareBox], true: SquareBox) -> SquareBox:
    """The detection that belongs to the annotated face."""
    near = [box for box in found if max(abs(box.x - true.x), abs(box.y - true.y)) < true.side / 2]
    if not near:
        raise ValueError("the detector does not find this face")
    return min(near, key=lambda box: (box.x - true.x) ** 2 + (box.y - true.y) ** 2)


def _batches(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _mean_shape(train_paths: Sequence[Path], results: _Results) -> Tensor:
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


def read_reannotations(path: str | Path) -> dict[str, Tensor]:
    """Further 2D annotations: stem of the file name to ``(68, 2)`` points in image space.

    Raises:
        UserError: for a file of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            names, points = data["names"], data["reannotated68"]
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{path} must be an .npz with names (N,) and reannotated68 (N, 2, 68): {error}"
        ) from error
    if points.shape != (len(names), 2, 68):
        raise UserError(
            f"{path}: reannotated68 must have shape ({len(names)}, 2, 68), got {points.shape}"
        )
    points = torch.from_numpy(points).float().transpose(1, 2) + _REANNOTATION_SHIFT
    return {str(name): value for name, value in zip(names, points, strict=True)}


def _reannotated_table(extra, results: _Results, methods, bins):
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


def _write_contact_sheet(results: _Results, errors: Tensor, path: Path) -> None:
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
