"""Descriptions of data sources, as configuration files and the command line hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class SyntheticConfig:
    """People rendered from the face model, with exact labels."""

    kind: ClassVar[str] = "synthetic"
    frames: int = 2
    """Frames of each person."""
    seed: int = 0
    """People of different seeds are different people."""
    backgrounds: str | None = None
    """Folder of photos to put behind the faces; generated pictures when missing."""
    degrade: bool = True
    """Lower the quality as cameras do, and put things in front of faces."""
    crops: bool = False
    """The frames are crops of one picture, each degraded, and without labels, as those of an
    unlabelled photo are."""
    labels: Literal["all", "landmarks", "none"] = "all"
    """What is told of the pictures; for experiments."""
    pictures: int | None = None
    """About how many pictures there are; missing: no end of them."""


@dataclass(frozen=True)
class Aflw2000Config:
    """Annotated photos in the format of AFLW2000-3D and 300W-LP (.jpg + .mat)."""

    kind: ClassVar[str] = "aflw2000"
    root: str
    """Folder, searched recursively."""
    split: Literal["all", "train", "validation"] = "train"
    """By blocks of 20 consecutive files: four of five train, one validates."""
    augment: bool = True
    """Random mirroring, crops, colours, occluders and noise."""
    seed: int = 0
    """Of the order and the augmentation."""


@dataclass(frozen=True)
class W300LpConfig:
    """300W-LP: the folder of its subsets AFW, HELEN, IBUG, LFPW."""

    kind: ClassVar[str] = "300w-lp"
    root: str
    """Folder of the subsets."""
    split: Literal["all", "train", "validation"] = "train"
    """By blocks of 20 photos with all that was made of them: four of five train, one validates."""
    subsets: tuple[Literal["AFW", "HELEN", "IBUG", "LFPW"], ...] = ("AFW", "HELEN", "IBUG", "LFPW")
    """Those to use."""
    mirrored: bool = False
    """With the folders _Flip; training mirrors photos itself."""
    turned: bool = True
    """With the photos turned to larger yaws."""
    augment: bool = True
    """Random mirroring, crops, colours, occluders and noise."""
    seed: int = 0
    """Of the order and the augmentation."""


@dataclass(frozen=True)
class LandmarkFolderConfig:
    """Photos with a file of 68 landmarks beside each: 300-W (.pts), LS3D-W (.t7)."""

    kind: ClassVar[str] = "landmarks"
    root: str
    """Folder, searched recursively."""
    split: Literal["all", "train", "validation"] = "train"
    """By blocks of 20 consecutive files: four of five train, one validates."""
    jaw: Literal["auto", "2d", "3d"] = "auto"
    """Whether the jaw's points follow the visible contour (2d: no labels then) or are points of the
    head; auto: the former for .pts, the latter for .t7."""
    augment: bool = True
    """Random mirroring, crops, colours, occluders and noise."""
    seed: int = 0
    """Of the order and the augmentation."""


@dataclass(frozen=True)
class AflwConfig:
    """AFLW: up to 16 of its 21 landmarks a face, those that can be seen."""

    kind: ClassVar[str] = "aflw"
    root: str
    """Folder of data/aflw.sqlite and data/flickr."""
    split: Literal["all", "train", "validation"] = "train"
    """By blocks of 20 photos: four of five train, one validates."""
    augment: bool = True
    """Random mirroring, crops, colours, occluders and noise."""
    seed: int = 0
    """Of the order and the augmentation."""


@dataclass(frozen=True)
class FolderConfig:
    """Unlabelled photos of faces in a folder; two crops of each are the frames."""

    kind: ClassVar[str] = "folder"
    root: str
    """Folder, searched recursively."""
    detector: Literal["none", "auto", "blazeface", "haar", "face-alignment", "dlib"] = "none"
    """How the face is found; "none" takes the photos for face crops already."""
    frames: int = 2
    """Crops of each photo."""
    extent: float = 1.0
    """Side of a crop over the longer side of a photo, where no detector says where to cut."""
    seed: int = 0
    """Of the order and the augmentation."""


@dataclass(frozen=True)
class ShardsConfig:
    """Unlabelled face crops in WebDataset shards (.tar), as `pgnface data prepare` writes them."""

    kind: ClassVar[str] = "shards"
    shards: str
    """Folder, or path with wildcards or braces, such as "faces/faces-{000000..000003}.tar"."""
    group: Literal["image", "track", "identity"] = "image"
    """What the frames of a subject are: crops of one photo, frames of one track of a video, or
    photos of one person."""
    frames: int = 2
    """Frames of each subject."""
    extent: float = 1.0
    """Side of a crop over the longer side of a photo, where no detector says where to cut."""
    seed: int = 0
    """Of the order and the augmentation."""


@dataclass(frozen=True)
class VideoConfig:
    """Frames of one person in a video file, unlabelled."""

    kind: ClassVar[str] = "video"
    path: str
    """The file."""
    frames: int = 2
    """Frames of each batch entry."""
    detector: Literal["auto", "blazeface", "haar", "face-alignment", "dlib"] = "auto"
    """How the face is found."""
    seed: int = 0
    """Of the choice of frames and the augmentation."""


SourceConfig = (
    SyntheticConfig
    | Aflw2000Config
    | W300LpConfig
    | LandmarkFolderConfig
    | AflwConfig
    | FolderConfig
    | ShardsConfig
    | VideoConfig
)
