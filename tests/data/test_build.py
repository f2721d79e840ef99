import dataclasses
import subprocess
import sys

import pytest

from pgnface._errors import UserError
from pgnface.data import build_source
from pgnface.data.augment import CropJitter
from pgnface.data.config import (
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
from pgnface.data.cropping import SquareBox
from pgnface.data.source import Source
from pgnface.data.synthetic.people import JITTER
from pgnface.training.structure import from_plain, to_plain
from tests.models import tiny_model

from .faces import (
    SIZE,
    encoded,
    picture,
    write_aflw,
    write_faces,
    write_pts,
    write_shard,
    write_video,
)

CONFIGS = {
    "synthetic": SyntheticConfig(frames=3, seed=4),
    "aflw2000": Aflw2000Config(root="aflw", split="all", augment=False, seed=5),
    "300w-lp": W300LpConfig(root="lp", split="all", subsets=("AFW",), turned=False, seed=9),
    "landmarks": LandmarkFolderConfig(root="pts", split="all", jaw="3d", seed=10),
    "aflw": AflwConfig(root="aflw21", split="all", augment=False, seed=11),
    "folder": FolderConfig(root="photos", frames=3, extent=0.8, seed=6),
    "shards": ShardsConfig(shards="a.tar", frames=1, extent=0.9, seed=7),
    "video": VideoConfig(path="a.avi", frames=3, detector="haar", seed=8),
}


@dataclasses.dataclass(frozen=True)
class Holder:
    """As a configuration file holds a source."""

    source: SourceConfig


@pytest.mark.parametrize("kind", CONFIGS)
def test_descriptions_survive_a_configuration_file(kind):
    config = CONFIGS[kind]
    plain = to_plain(Holder(config))
    assert plain["source"]["kind"] == kind == config.kind
    assert from_plain(Holder, plain) == Holder(config)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_description_builds_its_source(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_faces(tmp_path / "aflw", 2)
    (tmp_path / "lp").mkdir()
    write_faces(tmp_path / "lp/AFW", 1)
    write_aflw(tmp_path / "aflw21", 1)
    write_pts(write_faces(tmp_path / "pts", 1, annotated=False)[0].with_suffix(".pts"))
    write_faces(tmp_path / "photos", 2, annotated=False)
    write_shard(tmp_path / "a.tar", {"a.jpg": encoded(picture())})
    write_video(tmp_path / "a.avi", 4)
    middle = SquareBox(32, 32, 20)
    monkeypatch.setattr("pgnface.data.video.build_detector", lambda method: lambda image: [middle])
    config, model = CONFIGS[kind], tiny_model()
    source = build_source(config, model, SIZE, crop_jitter=2.0, upright=0.25)
    assert isinstance(source, Source)
    usual = JITTER if kind == "synthetic" else CropJitter(upright=0.25)
    assert source.jitter == usual.widened(2.0)
    assert source.frames == getattr(config, "frames", 1) and source.seed == config.seed
    for name in ("augment", "extent"):
        if hasattr(config, name):
            assert getattr(source, name) == getattr(config, name)
    if kind == "synthetic":
        return  # painting people takes long, and has tests of its own
    batch = source.batch(0, 3)
    assert batch.image.shape[1:] == (source.frames, 3, SIZE, SIZE)
    assert batch.identity.shape[1] == model.identity_count
    assert batch.expression.shape[2] == model.expression_count


def test_every_kind_is_covered():
    assert {type(config) for config in CONFIGS.values()} == set(SourceConfig.__args__)


@pytest.mark.parametrize(
    "config, error",
    [
        (Aflw2000Config(root="none"), FileNotFoundError),
        (FolderConfig(root="none"), FileNotFoundError),
        (ShardsConfig(shards="none.tar"), FileNotFoundError),
        (VideoConfig(path="none.mp4"), UserError),
    ],
)
def test_missing_files_are_named(config, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match="none"):
        build_source(config, tiny_model(), SIZE)


def test_what_describes_no_source():
    with pytest.raises(TypeError, match="got dict"):
        build_source({"kind": "folder"}, tiny_model(), SIZE)


def test_descriptions_import_nothing_heavy():
    code = (
        "import sys, pgnface.data, pgnface.data.config;"
        "heavy = {'torch', 'cv2', 'scipy', 'numpy', 'webdataset'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
