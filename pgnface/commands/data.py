"""``pgnface data``: data sets made ready for training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, subcommand

from .label import Label


@dataclass
class Prepare:
    """Find the faces in photos, folders and videos, crop them and write WebDataset shards with a
    manifest. The same command continues after an interruption."""

    inputs: Positional[tuple[Path, ...]]
    """Photos, videos, and folders of them, searched recursively."""
    output: Path = Path("pgnface-data")
    """Folder for shards, manifest.json and skipped.jsonl."""
    layout: Literal["photos", "people"] = "photos"
    """people: each folder below an input is a person, and each folder of images or video in it a
    track (VoxCeleb's id/video/clip, YouTube Faces' name/number)."""
    detector: Literal[
        "auto",
        "blazeface",
        "haar",
        "face-alignment",
        "face-alignment:blazeface",
        "face-alignment:retinaface",
        "face-alignment:scrfd",
        "face-alignment:yunet",
        "mediapipe",
        "dlib",
        "labels",
        "none",
    ] = "auto"
    """auto: the built-in blazeface; labels: the landmarks in a .mat, .pts or
    .t7 file beside each photo; none: the photos are face crops already."""
    weights: Path | None = None
    """File of the detector's weights; default: those that it comes with."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where blazeface and face-alignment run."""
    batch: int = 16
    """Images that blazeface or face-alignment looks at together."""
    workers: int = 1
    """Processes. The shards do not depend on it."""
    size: int = 256
    """Pixels of a crop at most; a smaller face keeps its own."""
    margin: float = 1.25
    """Side of the crop over the side of the face's box, for crops that vary in training."""
    max_faces: int | None = None
    """Faces of a photo at most, the largest first; default: all."""
    min_side: float = 40.0
    """Pixels of the box's side below which a face is left out."""
    min_sharpness: float = 0.0
    """Variance of the Laplacian below which a face is left out."""
    every: int = 5
    """In a video, every how many frames one is used."""
    max_frames: int = 100
    """Frames of a track at most, evenly spread."""
    quality: int = 95
    """Of the JPEG files."""
    shard_size: int = 1000
    """Images of a shard, roughly."""
    json: bool = False
    """Print the manifest as JSON and nothing else."""

    def run(self) -> None:
        from dataclasses import fields

        from pgnface.data.prepare import PrepareSettings, prepare
        from pgnface.data.prepare.summary import print_summary

        names = [field.name for field in fields(PrepareSettings)]
        settings = {name: getattr(self, name) for name in names}
        settings["weights"] = None if self.weights is None else str(self.weights)
        manifest = prepare(
            self.inputs,
            self.output,
            PrepareSettings(**settings),
            workers=self.workers,
            progress=not self.json,
        )
        print_summary(manifest, self.output, as_json=self.json)


@dataclass
class Profile:
    """Turn the faces of photos in the format of 300W-LP and AFLW2000-3D (.jpg + .mat), or of shards
    with landmarks, to larger yaws, with their labels. The same command continues after an
    interruption."""

    root: Positional[str]
    """Folder of the photos, searched recursively; or shards of face crops that `pgnface data label`
    wrote: their folder, or a path with wildcards or braces."""
    output: Path = Path("pgnface-profiles")
    """Folder for the turned photos with their .mat files, or shards, and skipped.jsonl."""
    model: str = "default"
    """Face model that gives the surface: the built-in one or a file."""
    split: Literal["all", "train", "validation"] = "all"
    """Photos to turn, by blocks of 20 consecutive files. Train on what is written with split: all,
    so that no face is among those that validate. Shards have no split."""
    yaws: tuple[float, ...] = (15.0, 30.0, 45.0)
    """Degrees to turn each face by, further to the side it looks to."""
    smallest: float = 0.0
    """|yaw| in degrees that a face has at least after a turn."""
    largest: float = 85.0
    """|yaw| in degrees beyond which no face is turned."""
    quality: int = 95
    """Of the JPEG files."""
    json: bool = False
    """Print the counts as JSON and nothing else."""

    def run(self) -> None:
        import json

        from pgnface._output import progress_bar
        from pgnface.data.profile_folder import profile_folder
        from pgnface.data.profile_shards import profile_shards
        from pgnface.data.shard_rewriting import SKIPPED
        from pgnface.data.turn_rule import TurnRule
        from pgnface.morphable import load_model

        turns = TurnRule(self.yaws, self.smallest, self.largest)
        common = (self.root, self.output, load_model(self.model), turns)
        with progress_bar("turned", shown=not self.json) as update:
            if self._shards:
                counts = profile_shards(*common, quality=self.quality, advance=update)
            else:
                counts = profile_folder(
                    *common, split=self.split, quality=self.quality, advance=update
                )
        if self.json:
            print(json.dumps(counts))
            return
        print(f"turned faces written to {self.output}: {counts['written']}")
        if "kept" in counts:
            print(f"there already: {counts['kept']}, turns beyond the limits: {counts['beyond']}")
        if counts["skipped"]:
            print(f"left out: {counts['skipped']}: {self.output / SKIPPED}")

    @property
    def _shards(self) -> bool:
        """Whether ``root`` is shards rather than a folder of photos."""
        return not Path(self.root).is_dir() or any(Path(self.root).glob("*.tar"))


@dataclass
class Verify:
    """Check the shards of a finished preparation against the checksums in its manifest."""

    root: Positional[Path]
    """Folder that `pgnface data prepare` wrote."""

    def run(self) -> None:
        from pgnface.data.prepare.verify import verify

        print(f"shards that are as they were written: {verify(self.root)}")


@dataclass
class Data:
    """Make data sets ready for training."""

    action: (
        Annotated[Prepare, subcommand("prepare")]
        | Annotated[Verify, subcommand("verify")]
        | Annotated[Profile, subcommand("profile")]
        | Annotated[Label, subcommand("label")]
    )

    def run(self) -> None:
        self.action.run()
