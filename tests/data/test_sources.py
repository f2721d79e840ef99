"""What holds for every source: batches are pure functions of (seed, step), in any process."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pgnface.data.aflw import AflwSource
from pgnface.data.aflw2000 import Aflw2000Source
from pgnface.data.folder import FolderSource
from pgnface.data.landmark_folder import LandmarkFolderSource
from pgnface.data.mixture import Mixture
from pgnface.data.shards import ShardSource
from pgnface.data.source import EpochOrder, Source, stand_ins, step_generator, subject_count
from pgnface.data.synthetic import SyntheticCrops
from pgnface.data.video import VideoSource
from tests.models import tiny_model

from .faces import (
    SIZE,
    assert_equal,
    encoded,
    picture,
    write_aflw,
    write_faces,
    write_pts,
    write_shard,
    write_video,
)

KINDS = ["aflw2000", "aflw", "landmarks", "folder", "detected", "shards", "video", "rendered"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of each kind's input."""
    root = tmp_path_factory.mktemp("sources")
    write_faces(root / "aflw", 7)
    write_aflw(root / "aflw21", 7)
    for path in write_faces(root / "pts", 7, annotated=False):
        write_pts(path.with_suffix(".pts"))
    write_faces(root / "photos", 7, annotated=False)
    for shard in range(2):
        members = {f"{i}.jpg": encoded(picture(10 * shard + i)) for i in range(5)}
        write_shard(root / f"s{shard}.tar", members)
    write_video(root / "video.avi", 12)
    return root


@pytest.fixture(autouse=True)
def squares_are_faces(monkeypatch):
    """A detector that finds a face in the middle of every picture."""
    monkeypatch.setattr("pgnface.data.detectors.HaarDetector", MiddleDetector)


class MiddleDetector:
    def __call__(self, image):
        from pgnface.data.cropping import SquareBox

        return [SquareBox(image.shape[1] / 2, image.shape[0] / 2, 24)]


def make(kind, files, seed=1):
    sizes = {"identity_count": 4, "expression_count": 3, "seed": seed}
    match kind:
        case "aflw2000":
            return Aflw2000Source(files / "aflw", SIZE, "all", **sizes)
        case "aflw":
            return AflwSource(files / "aflw21", SIZE, "all", **sizes)
        case "landmarks":
            return LandmarkFolderSource(files / "pts", SIZE, "all", **sizes)
        case "folder":
            return FolderSource(files / "photos", SIZE, **sizes)
        case "detected":
            return FolderSource(files / "photos", SIZE, detector="haar", **sizes)
        case "shards":
            return ShardSource(files / "s{0..1}.tar", SIZE, **sizes)
        case "rendered":
            settings = {"people": 2, "texture_size": 16, "supersample": 1}
            return SyntheticCrops(tiny_model(), SIZE, seed=seed, **settings)
        case "video":
            return VideoSource(files / "video.avi", SIZE, detector="haar", **sizes)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_pure_functions_of_seed_and_step(kind, files):
    source = make(kind, files)
    assert isinstance(source, Source) and source.skipped == {}
    forward = [source.batch(step, 4) for step in range(4)]
    again = make(kind, files)
    for step in (2, 0, 3, 1):
        assert_equal(again.batch(step, 4), forward[step])
    assert not torch.equal(forward[0].image, forward[1].image)
    assert not torch.equal(make(kind, files, seed=2).batch(0, 4).image, forward[0].image)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_have_the_sizes_asked_for(kind, files):
    source = make(kind, files)
    for size in (1, 2, 5):
        batch = source.batch(0, size)
        assert batch.subjects == max(1, size // source.frames) == len(batch.names)
        assert batch.image.shape[1:] == (source.frames, 3, SIZE, SIZE)
        assert batch.identity.shape[1:] == (4,) and batch.expression.shape[2:] == (3,)
        assert batch.image.min() >= 0 and batch.image.max() <= 1
        assert all(batch.names)


@pytest.mark.parametrize("kind", KINDS)
def test_sources_can_be_pickled(kind, files):
    source = make(kind, files)
    copy = pickle.loads(pickle.dumps(source))
    assert_equal(copy.batch(3, 4), source.batch(3, 4))


class Steps:
    """Steps of a source as a map-style data set."""

    def __init__(self, source):
        self.source = source

    def __len__(self):
        return 4

    def __getitem__(self, step):
        return self.source.batch(step, 4)


def test_worker_processes_make_the_same_batches(files):
    mixture = Mixture([(make(kind, files), 1) for kind in KINDS])
    expected = [mixture.batch(step, 16) for step in range(4)]  # used before the fork

    class Mixed(Steps):
        def __getitem__(self, step):
            return self.source.batch(step, 16)

    loaded = list(DataLoader(Mixed(mixture), batch_size=None, num_workers=2))
    for batches, same in zip(loaded, expected, strict=True):
        for a, b in zip(batches, same, strict=True):
            assert_equal(a, b)


def test_another_process_makes_the_same_batch(files):
    """Nothing depends on the hash seed or on what was imported."""
    code = (
        "import sys, torch; from pgnface.data.folder import FolderSource;"
        f"batch = FolderSource(sys.argv[1], {SIZE}, seed=1).batch(2, 4);"
        "sys.stdout.buffer.write(batch.image.numpy().tobytes())"
    )
    command = [sys.executable, "-c", code, str(files / "photos")]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert printed == make("folder", files).batch(2, 4).image.numpy().tobytes()


def test_order_is_a_permutation_in_each_epoch():
    order = EpochOrder(10, seed=4)
    epochs = [[order[i] for i in range(10 * e, 10 * e + 10)] for e in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [EpochOrder(10, 4)[i] for i in (25, 3)] == [epochs[2][5], epochs[0][3]]
    with pytest.raises(ValueError, match="count must be positive"):
        EpochOrder(0, 1)


@pytest.mark.parametrize("start", range(12))
def test_stand_ins_try_every_item(start):
    order = EpochOrder(4, seed=start)
    tried = [order[position] for position in stand_ins(start, 4)]
    assert tried[0] == order[start] and set(tried) == set(range(4))


def test_generators_of_steps_and_slots_differ():
    numbers = {step_generator(s, t, u).random() for s, t, u in np.ndindex(3, 3, 3)}
    assert len(numbers) == 27
    assert step_generator(1, 2, 3).random() == step_generator(1, 2, 3).random()


def test_subject_count():
    assert [subject_count(size, 3) for size in (0, 2, 3, 8)] == [1, 1, 1, 2]
