"""``pgnface data label``: landmarks for faces that have none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from pgnface.data.teachers import Calibration


@dataclass
class Label:
    """Give unlabelled face crops the landmarks that teachers agree on: trained networks, and
    FaceMesh. The same command continues after an interruption."""

    shards: Positional[str]
    """Shards of face crops: a folder, or a path with wildcards or braces."""
    checkpoints: tuple[str, ...] = ("default",)
    """Teachers: checkpoints or folders of training runs; default: the shipped weights; nothing
    behind it for none."""
    facemesh: Path | None = None
    """Teacher too: face_landmark.tflite of MediaPipe 0.10.14; docs/data.md says where it is."""
    calibration: Path | None = None
    """Folder of photos with .mat files (AFLW2000-3D): its training split teaches FaceMesh the style
    of the landmarks, its validation split says how much each teacher counts at which yaw."""
    output: Path = Path("pgnface-labels")
    """Folder for the labelled shards, labels.json and skipped.jsonl."""
    largest_spread: float = 4.0
    """Percent of the face by which the teachers, and views of its mirror image, may differ."""
    extent: float = 1.0
    """Side of the face's square over the longer side of an image whose .json does not say."""
    picture: int = 0
    """Draw as many labelled faces into labels.png, to look at."""
    json: bool = False
    """Print the counts as JSON and nothing else."""

    def run(self) -> None:
        import json

        from pgnface._output import prepare_folder, progress_bar
        from pgnface.data.labelling import draw_labels, label_shards
        from pgnface.data.shard_rewriting import SKIPPED
        from pgnface.data.teachers.calibration import open_teachers

        teachers, calibration = open_teachers(
            self.checkpoints, self.facemesh, self.calibration, prepare_folder(self.output)
        )
        if calibration is not None and not self.json:
            self._print(calibration)
        with progress_bar("shards labelled", shown=not self.json) as update:
            counts = label_shards(
                *(self.shards, self.output, teachers),
                weights=None if calibration is None else calibration.weights,
                largest_spread=self.largest_spread,
                extent=self.extent,
                advance=update,
            )
        if self.picture:
            draw_labels(self.output, self.output / "labels.png", self.picture)
        if self.json:
            print(json.dumps(counts))
            return
        print(f"faces labelled in {self.output}: {counts['labelled']}")
        if counts["skipped"]:
            print(f"left out: {counts['skipped']}: {self.output / SKIPPED}")

    def _print(self, calibration: Calibration) -> None:
        """What the teachers are worth."""
        from rich.console import Console
        from rich.table import Table

        names = [*self.checkpoints, *(["FaceMesh"] if self.facemesh else []), "together"]
        title = f"NME (%) of {calibration.faces} validating photos by yaw"
        table = Table("teacher", "0-30", "30-60", "60-90", "mean", "faces seen", title=title)
        for name, row, seen in zip(names, calibration.errors, calibration.seen, strict=True):
            table.add_row(name, *(f"{value:.2f}" for value in row), str(seen))
        Console().print(table)
        for i, name in enumerate(names[:-1]):
            columns = zip(calibration.weights.yaw, calibration.weights.weights[:, i], strict=True)
            print(f"weight of {name}:", ", ".join(f"{w:.2f} at {yaw:.0f}" for yaw, w in columns))
        if calibration.skipped:
            print(
                f"photos that were not used: {len(calibration.skipped)}; calibration.json says why"
            )
