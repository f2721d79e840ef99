import pytest

from pgnface._errors import UserError
from pgnface.data.benchmarks import list_micc
from pgnface.data.benchmarks.layout import SampleError

from .published import TRIANGLE, write, write_photo


@pytest.fixture
def root(tmp_path):
    """Subject 1 complete; 2 with the second frontal scan and frames; 3 without frontal scan."""
    for name in ("frontal1", "frontal2", "sidel", "sider"):
        write(tmp_path / f"subject_01/Model/{name}/obj/110920150452.obj", TRIANGLE)
        write(tmp_path / f"subject_01/Model/{name}/vrml/110920150452.wrl", "#VRML")
    for condition in ("Indoor-Cooperative", "PTZ-Indoor", "PTZ-Outdoor"):
        write(tmp_path / f"subject_01/Video/{condition}.mjpg", b"video")
    write(tmp_path / "subject_02/Model/frontal2/obj/a.obj", TRIANGLE)
    write_photo(tmp_path / "subject_02/Video/PTZ-Indoor/0001.jpg")
    write(tmp_path / "subject_03/Model/sidel/obj/a.obj", TRIANGLE)
    write(tmp_path / "readme.txt", "subject_04")
    return tmp_path


def test_people_have_scans_and_videos(root):
    skipped = {}
    first, second = list_micc(root, skipped)
    assert (first.name, second.name) == ("subject_01", "subject_02")
    assert list(first.scans) == ["frontal1", "frontal2", "sidel", "sider"]
    assert first.scan.parts[-3] == "frontal1" and second.scan.parts[-3] == "frontal2"
    assert list(first.videos) == ["Indoor-Cooperative", "PTZ-Indoor", "PTZ-Outdoor"]
    assert first.videos["PTZ-Outdoor"].name == "PTZ-Outdoor.mjpg"
    assert list(second.videos) == ["PTZ-Indoor"] and second.videos["PTZ-Indoor"].is_dir()
    assert list(skipped) == ["subject_03"] and "frontal1 or frontal2" in skipped["subject_03"]


def test_damaged_scans_are_reported(root):
    write(root / "subject_01/Model/frontal1/obj/110920150452.obj")
    (root / "subject_01/Model/sider/obj/110920150452.obj").unlink()
    with pytest.raises(SampleError, match="is empty"):
        list_micc(root)
    skipped = {}
    first = list_micc(root, skipped)[0]
    assert set(first.scans) == {"frontal2", "sidel"} and first.scan.parts[-3] == "frontal2"
    assert set(skipped) == {"subject_01/frontal1", "subject_01/sider", "subject_03"}


def test_a_folder_without_people(tmp_path):
    with pytest.raises(UserError, match="no sample of MICC Florence"):
        list_micc(tmp_path)
