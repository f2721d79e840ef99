"""``pgnface evaluate``: published protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, subcommand

if TYPE_CHECKING:
    from pgnface.evaluation.result import Result


@dataclass
class Aflw2000:
    """Landmark and pose errors on AFLW2000-3D, or any folder of .jpg and .mat in its format."""

    root: Path
    """Folder with the images and their .mat files."""
    checkpoint: str = "default"
    """Checkpoint to measure; "default" and "small" are shipped."""
    split: Literal["all", "validation", "train"] = "all"
    """Part of the files: blocks of 20 consecutive files, four of five for training."""
    bins: tuple[float, ...] = (0.0, 30.0, 60.0, 90.0)
    """Edges of the bins of |yaw| in degrees."""
    annotations: Path | None = None
    """File .npz with other 2D points to measure against: names (N,), reannotated68 (N, 2, 68)."""
    boxes: Literal["landmarks", "detector", "jittered"] = "landmarks"
    """Faces are cropped by the true landmarks' boxes, by the built-in detector (a face that it
    misses counts, in the data set's typical square), or by true boxes off by up to 10 % in place
    and size."""
    passes: int = 2
    """Times that the network sees a face, each but the first in a crop that the landmarks found
    before turn upright and, but for true boxes, place anew."""
    mirror: bool = True
    """The network sees the mirror image of each face too, as in `pgnface reconstruct`."""
    batch_size: int = 32
    """Faces in one run of the network."""
    balanced: int = 0
    """Add tables of a subset with so many faces in each bin; 232 is common."""
    seed: int = 0
    """Of that subset and of the jitter."""
    dense_model: Path | None = None
    """Model_Shape.mat of 3DDFA (Model_Exp.mat beside it), or a folder of its .npy files: adds the
    errors of all vertices, for a network of that face model."""
    output: Path | None = None
    """Folder for metrics.json, the error plot and the contact sheet; default: none written."""
    json: bool = False
    """Print the numbers as JSON and nothing else."""

    def run(self) -> None:
        from pgnface.evaluation.protocols.aflw2000 import evaluate_aflw2000
        from pgnface.evaluation.report import print_report

        report = evaluate_aflw2000(
            self.root,
            self.checkpoint,
            split=self.split,
            bins=self.bins,
            annotations=self.annotations,
            boxes=self.boxes,
            passes=self.passes,
            mirror=self.mirror,
            batch_size=self.batch_size,
            balanced=self.balanced,
            seed=self.seed,
            dense_model=self.dense_model,
            output=self.output,
        )
        print_report(report, as_json=self.json)


@dataclass
class Synthetic:
    """Landmark, pose and shape errors on rendered people that training never sees."""

    checkpoint: str = "default"
    """Checkpoint to measure; "default" and "small" are shipped."""
    people: int = 64
    """Number of people, with two pictures each."""
    batch_size: int = 32
    """Faces in one run of the network."""
    output: Path | None = None
    """Folder for metrics.json and a contact sheet; default: none written."""
    json: bool = False
    """Print the numbers as JSON and nothing else."""

    def run(self) -> None:
        from pgnface.evaluation.protocols.synthetic import evaluate_synthetic
        from pgnface.evaluation.report import print_report

        report = evaluate_synthetic(
            self.checkpoint, people=self.people, batch_size=self.batch_size, output=self.output
        )
        print_report(report, as_json=self.json)


def _write_and_print(measure: Callable[[], Result], output: Path | None, as_json: bool) -> None:
    """Make sure of the folder before the work, then write the numbers and plots into it."""
    from pgnface._output import prepare_folder
    from pgnface.evaluation.plots import plot_cumulative_error, plot_error_map
    from pgnface.evaluation.result import print_result

    if output is not None:
        prepare_folder(output)
    result = measure()
    if output is not None:
        result.write_json(output)
        if result.errors:
            path = output / "cumulative_error.png"
            plot_cumulative_error(result.errors, path, None, f"error, {result.unit}")
        if result.error_map is not None:
            plot_error_map(result.error_map, output / "error_map.png")
    print_result(result, as_json=as_json)


@dataclass
class Shape:
    """Errors in mm of rendered people's neutral shapes, from one frame of a person and from
    several, for people of the network's own face model or of another."""

    checkpoint: str = "default"
    """Checkpoint to measure; "default" and "small" are shipped."""
    faces: Path | None = None
    """File of the face model that people are drawn from; default: the network's own."""
    people: int = 24
    """Number of people."""
    frames: int = 16
    """Pictures of each."""
    batch_size: int = 32
    """Faces in one run of the network."""
    output: Path | None = None
    """Folder for metrics.json and the error plot; default: none written."""
    json: bool = False
    """Print the numbers as JSON and nothing else."""

    def run(self) -> None:
        from pgnface.evaluation.protocols.shape import evaluate_shape

        options = {k: getattr(self, k) for k in ("faces", "people", "frames", "batch_size")}
        _write_and_print(
            lambda: evaluate_shape(self.checkpoint, **options), self.output, as_json=self.json
        )


@dataclass
class _MeshProtocol:
    """What the protocols that compare meshes with scans have in common."""

    root: Path
    """Folder of the data set."""
    checkpoint: str = "default"
    """Checkpoint to measure; "default" and "small" are shipped."""
    predictions: Path | None = None
    """Folder of meshes to measure in place of a checkpoint."""
    output: Path | None = None
    """Folder for metrics.json and the error plot; default: none written."""
    json: bool = False
    """Print the numbers as JSON and nothing else."""

    def measure(self) -> Result:
        raise NotImplementedError

    def run(self) -> None:
        _write_and_print(self.measure, self.output, as_json=self.json)


@dataclass
class Now(_MeshProtocol):
    """Distances from the scans of the NoW validation set to neutral predictions."""

    metrical: bool = False
    """Keep the predictions' scale."""
    unit: Literal["mm", "cm", "m"] = "mm"
    """Of the meshes in --predictions; matters for --metrical only."""

    def measure(self) -> Result:
        from pgnface.evaluation.protocols.now import evaluate_now

        return evaluate_now(
            self.root,
            self.checkpoint,
            predictions=self.predictions,
            metrical=self.metrical,
            unit=self.unit,
        )


@dataclass(kw_only=True)
class Florence(_MeshProtocol):
    """Errors on the scans of MICC Florence, by one of three protocols."""

    landmarks: Path
    """Folder of the scans' 68 landmarks, as published with GANFIT."""
    protocol: Literal["deng", "ganfit", "prnet"] = "deng"
    """Whose protocol."""
    frames: int = 5
    """Frames of each video that the network sees."""

    def measure(self) -> Result:
        from pgnface.evaluation.protocols.florence import evaluate_florence

        return evaluate_florence(
            self.root,
            self.landmarks,
            self.checkpoint,
            protocol=self.protocol,
            predictions=self.predictions,
            frames=self.frames,
        )


@dataclass(kw_only=True)
class Facewarehouse(_MeshProtocol):
    """Distances from the registered meshes of FaceWarehouse to predictions."""

    landmarks: Path
    """Vertex numbers of seven landmarks on the data set's meshes (docs/evaluation.md)."""
    region: Path | None = None
    """Vertex numbers of the face region; default: a ball around the nose."""
    subjects: tuple[int, ...] = ()
    """Numbers of the people; default: all."""
    mm_per_unit: float = 100.0
    """Of the data set's meshes."""

    def measure(self) -> Result:
        from pgnface.evaluation.protocols.facewarehouse import evaluate_facewarehouse

        return evaluate_facewarehouse(
            self.root,
            self.landmarks,
            self.checkpoint,
            predictions=self.predictions,
            region=self.region,
            subjects=self.subjects,
            mm_per_unit=self.mm_per_unit,
        )


@dataclass(kw_only=True)
class Realy(_MeshProtocol):
    """Errors of four regions on the scans of REALY."""

    images: Path | None = None
    """Folder of the photos; default: that of the data set."""
    keypoints: Path | None = None
    """With --predictions: the barycentric file of the topology's 85 key points."""

    def measure(self) -> Result:
        from pgnface.evaluation.protocols.realy import evaluate_realy

        return evaluate_realy(
            self.root,
            self.checkpoint,
            images=self.images,
            predictions=self.predictions,
            keypoints=self.keypoints,
        )


@dataclass
class Video:
    """Jitter of landmarks and pose, and constancy of the identity, over the frames of videos."""

    videos: Positional[tuple[Path, ...]]
    """Video files, or folders of frames."""
    checkpoint: str = "default"
    """Checkpoint to measure; "default" and "small" are shipped."""
    frames: int = 200
    """Most frames of a video, from its beginning."""
    output: Path | None = None
    """Folder for metrics.json; default: none written."""
    json: bool = False
    """Print the numbers as JSON and nothing else."""

    def run(self) -> None:
        from pgnface._output import prepare_folder
        from pgnface.evaluation.protocols.video import evaluate_video
        from pgnface.evaluation.result import print_result

        if self.output is not None:
            prepare_folder(self.output)
        result = evaluate_video(self.videos, self.checkpoint, frames=self.frames)
        if self.output is not None:
            result.write_json(self.output)
        print_result(result, as_json=self.json)


@dataclass
class All:
    """Run the benchmarks of a file and write one report, with published numbers beside them."""

    config: Path
    """YAML: `checkpoint`, `method`, and `runs`, each with its `benchmark` and options
    (docs/evaluation.md)."""
    output: Path = Path("pgnface-benchmarks")
    """Folder for report.html, .md, .tex and .json and the pictures."""

    def run(self) -> None:
        import sys

        from pgnface._errors import UserError
        from pgnface._output import prepare_folder
        from pgnface.evaluation.result import print_result
        from pgnface.evaluation.suite import read_suite, run_suite
        from pgnface.evaluation.suite_report import write_suite_report

        suite = read_suite(self.config)
        prepare_folder(self.output)
        results, failed = run_suite(suite, lambda name: print(name, file=sys.stderr, flush=True))
        for result in results:
            print_result(result)
        path = write_suite_report(self.output, results, method=suite.method, failed=failed)
        print(f"report: {path}")
        if failed:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            raise UserError(f"{len(failed)} of {len(suite.runs)} runs failed: {reasons}")


@dataclass
class Evaluate:
    """Measure a checkpoint by a published protocol or on rendered people."""

    protocol: (
        Annotated[Aflw2000, subcommand("aflw2000")]
        | Annotated[Now, subcommand("now")]
        | Annotated[Florence, subcommand("florence")]
        | Annotated[Facewarehouse, subcommand("facewarehouse")]
        | Annotated[Realy, subcommand("realy")]
        | Annotated[Video, subcommand("video")]
        | Annotated[Synthetic, subcommand("synthetic")]
        | Annotated[Shape, subcommand("shape")]
        | Annotated[All, subcommand("all")]
    )

    def run(self) -> None:
        self.protocol.run()
