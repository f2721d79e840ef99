"""The user's own landmark ids, from arrays and files."""

import json

import numpy as np
import pytest

from pgnface.morphable import load_model, save_model
from pgnface.morphable.formats.landmark_ids import read_landmark_ids
from tests.models import tiny_model

IDS = [3 * i for i in range(68)]


def write(path):
    if path.suffix == ".npy":
        np.save(path, np.array(IDS, np.int32)[None])
    elif path.suffix == ".json":
        path.write_text(json.dumps(IDS))
    else:
        path.write_text("# iBUG order\n" + ", ".join(map(str, IDS[:30])) + "\n")
        with path.open("a") as file:
            file.writelines(f"{i}  # point\n" for i in IDS[30:])
    return path


@pytest.mark.parametrize("name", ["ids.txt", "ids.npy", "ids.json", "ids.csv"])
def test_files_give_the_ids(tmp_path, name):
    got = read_landmark_ids(write(tmp_path / name))
    assert got.tolist() == IDS and got.dtype == np.int64


@pytest.mark.parametrize("ids", [IDS, tuple(IDS), np.array(IDS, np.uint16)])
def test_ids_are_taken_as_they_are(ids):
    assert read_landmark_ids(ids).tolist() == IDS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "1 2 3", "expected 68 whole numbers .* got 3 values"),
        ("a.txt", "one two", "not a readable list of landmark ids"),
        ("a.json", "[1, 2", "not a readable list of landmark ids"),
        ("a.json", json.dumps([0.5] * 68), "got 68 values of type float64"),
        ("a.npy", "no array", "not a readable list of landmark ids"),
    ],
)
def test_wrong_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_landmark_ids(path)
    assert str(path) in str(error.value)


def test_missing_file():
    with pytest.raises(FileNotFoundError, match="landmarks: no file nowhere"):
        read_landmark_ids("nowhere.txt")


def test_given_landmarks_come_before_the_files(tmp_path):
    save_model(tiny_model(), tmp_path / "tiny.npz")
    model = load_model(tmp_path / "tiny.npz", landmarks=IDS)
    assert model.landmarks.tolist() == IDS
    assert model.notes == ("landmarks as the user gave them",)
    with pytest.raises(ValueError, match="landmarks: expected ids from 0 to 220, got 0 to 670"):
        load_model(tmp_path / "tiny.npz", landmarks=[10 * i for i in range(68)])
