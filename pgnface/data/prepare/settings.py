"""What a preparation can be told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pgnface._errors import UserError

LAYOUTS = ("photos", "people")


@dataclass(frozen=True)
class PrepareSettings:
    """All that decides what is in the shards.

    Attributes:
        layout: ``"photos"``: every image stands alone, every video shows somebody else;
            ``"people"``: a folder for each person, as VoxCeleb (id/video/clip) and YouTube Faces
            (name/number) have them; each folder of images, and each video, is a track.
        detector: see :func:`pgnface.data.detectors.build_detector`; ``"none"`` takes images for
            face crops already, ``"labels"`` cuts by the landmarks beside an image.
        weights: file of the detector's weights.
        device: where a network detects.
        size: pixels of a crop at most; a smaller face keeps its own pixels.
        margin: side of the crop over the side of the face's box
            (:func:`pgnface.data.cropping.square_box`): room for the crops of the training.
        max_faces: faces of a photo at most, the largest first; ``None`` for all.
        min_side: pixels of the box's side below which a face is left out.
        min_sharpness: sharpness (:func:`pgnface.data.prepare.faces.sharpness`) likewise.
        every: in a video file, every how many frames one is looked at.
        max_frames: frames of a track at most, evenly spread over it.
        quality: of the JPEG files, 1 to 100.
        shard_size: images of a shard, roughly: a track is never cut.
        batch: images that a network looks at together.

    Raises:
        UserError: naming a value out of its range.
    """

    layout: str = "photos"
    detector: str = "auto"
    weights: str | None = None
    device: str = "auto"
    size: int = 256
    margin: float = 1.25
    max_faces: int | None = None
    min_side: float = 40.0
    min_sharpness: float = 0.0
    every: int = 5
    max_frames: int = 100
    quality: int = 95
    shard_size: int = 1000
    batch: int = 16

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UserError(f"layout must be one of {', '.join(LAYOUTS)}, got {self.layout!r}")
        for name in ("size", "every", "max_frames", "shard_size", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_faces is not None and self.max_faces < 1:
            raise UserError(f"max_faces must be at least 1, got {self.max_faces}")
        if not self.margin >= 1:
            raise UserError(f"margin must be at least 1, got {self.margin}")
        if not 1 <= self.quality <= 100:
            raise UserError(f"quality must lie between 1 and 100, got {self.quality}")
        if self.weights is not None and not Path(self.weights).is_file():
            raise UserError(f"no such file of detector weights: {self.weights}")

    def resolved(self) -> PrepareSettings:
        """These settings with what ``"auto"`` stands for here: a preparation that goes on later
        must not change its detector or device.

        Raises:
            UserError: for an unknown detector.
        """
        if self.detector in ("none", "labels"):
            return self
        from pgnface.data.detectors import resolve_method

        device = self.device
        if device == "auto":
            import torch

            device = "cuda" if torch.cuda.is_available() else "cpu"
        return replace(self, detector=resolve_method(self.detector), device=device)
