"""From the description of a source to the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .augment import CropJitter
from .config import (
    Aflw2000Config,
    AflwConfig,
    FolderConfig,
    LandmarkFolderConfig,
    ShardsConfig,
    SourceConfig,
    SyntheticConfig,
    VideoConfig,
    W300LpConfig,
)

if TYPE_CHECKING:
    from pgnface.morphable import MorphableModel

    from .source import Source


def build_source(
    config: SourceConfig,
    model: MorphableModel,
    image_size: int,
    crop_jitter: float = 1.0,
    upright: float = 0.0,
) -> Source:
    """Make the source that a description names.

    Args:
        config: the description.
        model: the face model: what synthetic people are rendered from, and the sizes of the
            coefficients everywhere.
        image_size: pixels of the crops.
        crop_jitter: the crops vary in place and size this many times as much as by default.
        upright: see :class:`pgnface.data.augment.CropJitter`; rendered people turn by themselves.

    Raises:
        FileNotFoundError, UserError: when its files are missing or unusable.
        TypeError: for something that describes no source.
    """
    jitter = CropJitter(upright=upright).widened(crop_jitter)
    settings = {
        "identity_count": model.identity_count,
        "expression_count": model.expression_count,
        "jitter": jitter,
    }
    match config:
        case SyntheticConfig():
            from .partial import PartialSource
            from .synthetic import SyntheticCrops, SyntheticSource
            from .synthetic.people import JITTER

            given = (model, image_size, config.frames, config.seed)
            if config.crops:
                people = SyntheticCrops(*given, jitter, backgrounds=config.backgrounds)
            else:
                people = SyntheticSource(
                    *given,
                    backgrounds=config.backgrounds,
                    degrade_images=config.degrade,
                    jitter=JITTER.widened(crop_jitter),
                )
            if config.labels == "all" and config.pictures is None:
                return people
            return PartialSource(people, config.labels, config.pictures)
        case Aflw2000Config():
            from .aflw2000 import Aflw2000Source

            return Aflw2000Source(
                *(config.root, image_size, config.split),
                seed=config.seed,
                augment=config.augment,
                **settings,
            )
        case W300LpConfig():
            from .w300lp import W300LpSource

            return W300LpSource(
                *(config.root, image_size, config.split),
                *(config.subsets, config.mirrored, config.turned),
                seed=config.seed,
                augment=config.augment,
                **settings,
            )
        case LandmarkFolderConfig():
            from .landmark_folder import LandmarkFolderSource

            return LandmarkFolderSource(
                *(config.root, image_size, config.split, config.jaw),
                seed=config.seed,
                augment=config.augment,
                **settings,
            )
        case AflwConfig():
            from .aflw import AflwSource

            return AflwSource(
                *(config.root, image_size, config.split),
                seed=config.seed,
                augment=config.augment,
                **settings,
            )
        case FolderConfig():
            from .folder import FolderSource

            return FolderSource(
                *(config.root, image_size, config.frames, config.detector),
                *(config.extent, config.seed),
                **settings,
            )
        case ShardsConfig():
            from .shards import ShardSource

            return ShardSource(
                *(config.shards, image_size, config.frames, config.extent, config.seed),
                group=config.group,
                **settings,
            )
        case VideoConfig():
            from .video import VideoSource

            return VideoSource(
                *(config.path, image_size, config.frames, config.detector, config.seed), **settings
            )
    raise TypeError(f"build_source: config must describe a source, got {type(config).__name__}")
