"""The shards depend on inputs and settings alone: not on workers, kills and damaged leftovers."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from pgnface._errors import UserError
from pgnface.data.prepare import PrepareSettings, prepare
from pgnface.data.prepare.run import _PLAN
from tests.data.faces import picture

from .inputs import contents, write_photo, write_portrait_video

SETTINGS = PrepareSettings(detector="none", shard_size=4, max_frames=3)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Photos and a video that make five shards."""
    root = tmp_path_factory.mktemp("inputs")
    for i in range(14):
        write_photo(root / f"{i}.jpg", image=picture(i))
    write_portrait_video(root / "v/clip.avi", 20)
    return root


@pytest.fixture(scope="module")
def expected(inputs, tmp_path_factory):
    """The files of a run without interruptions."""
    output = tmp_path_factory.mktemp("expected")
    prepare([inputs], output, SETTINGS)
    files = contents(output)
    assert sum(name.endswith(".tar") for name in files) == 5
    return files


def test_each_worker_has_a_detector(inputs, tmp_path):
    photo = write_photo(tmp_path / "in/a.jpg")
    settings = replace(SETTINGS, detector="haar", shard_size=1)
    for workers in (1, 2):
        prepare([photo, inputs / "v"], tmp_path / str(workers), settings, workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


_SLOW_RUN = """
import sys, time
import pgnface.data.prepare.chunk as chunk
from pgnface.data.prepare import PrepareSettings, prepare

write = chunk.write_whole
def slowly(path, data):
    # Time to be killed with half a shard on the disk.
    path.parent.mkdir(exist_ok=True)
    path.with_name(f".{path.name}.0.tmp").write_bytes(data[: len(data) // 2])
    time.sleep(0.4)
    write(path, data)
chunk.write_whole = slowly
prepare([sys.argv[1]], sys.argv[2], PrepareSettings(detector="none", shard_size=4, max_frames=3))
"""


def test_a_killed_run_continues_to_the_same_files(inputs, expected, tmp_path):
    finished = 2
    command = [sys.executable, "-c", _SLOW_RUN, str(inputs), str(tmp_path)]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*.tar"))) < finished or not list(tmp_path.glob(".*.tmp")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    left = contents(tmp_path)
    assert "manifest.json" not in left and any(name.endswith(".tmp") for name in left)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("0*.json")}
    prepare([inputs], tmp_path, SETTINGS)
    assert contents(tmp_path) == expected
    # What was finished was not done again.
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert len(times) >= finished - 1


_RUN_WITH_WORKERS = """
import sys
if __name__ == "__main__":
    from pgnface.data.prepare import PrepareSettings, prepare
    settings = PrepareSettings(detector="none", shard_size=4, max_frames=3)
    prepare([sys.argv[1]], sys.argv[2], settings, workers=2)
"""


def test_workers_end_with_a_killed_run_which_continues(inputs, expected, tmp_path):
    command = [sys.executable, "-c", _RUN_WITH_WORKERS, str(inputs), str(tmp_path)]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("*.tar")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        children = _children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
    assert children
    while alive := [pid for pid in children if _runs(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)
    prepare([inputs], tmp_path, SETTINGS)
    assert contents(tmp_path) == expected


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_damaged_leftovers_are_made_anew(inputs, expected, tmp_path):
    prepare([inputs], tmp_path, SETTINGS)
    shards = sorted(tmp_path.glob("*.tar"))
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-512])
    (tmp_path / "parts/000002.json").write_text("{")
    prepare([inputs], tmp_path, SETTINGS)
    assert contents(tmp_path) == expected


def test_another_preparation_is_not_mixed_in(inputs, tmp_path):
    prepare([inputs / "0.jpg"], tmp_path, SETTINGS)
    with pytest.raises(UserError, match="another preparation, which differs in size, margin"):
        prepare([inputs / "0.jpg"], tmp_path, replace(SETTINGS, size=64, margin=2))
    with pytest.raises(UserError, match="differs in inputs"):
        prepare([inputs / "1.jpg"], tmp_path, SETTINGS)
    (tmp_path / _PLAN).write_text("[]")
    with pytest.raises(UserError, match="is not the plan of a preparation"):
        prepare([inputs / "0.jpg"], tmp_path, SETTINGS)
