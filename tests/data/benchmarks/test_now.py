import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.benchmarks import list_now
from pgnface.data.benchmarks.layout import SampleError
from pgnface.data.benchmarks.now import read_box

from .published import TRIANGLE, numbers, picked_points, write, write_photo

SUBJECTS = ("FaMoS_180424_03335_TA", "FaMoS_180426_03336_TA")
POINTS = numbers(7)


@pytest.fixture(params=["", "final_release_version"])
def root(tmp_path, request):
    """Two people with two photos each, one of a person without its box."""
    inner = tmp_path / request.param
    lines = []
    for subject in SUBJECTS:
        for challenge in ("multiview_neutral", "selfie"):
            lines.append(f"{subject}/{challenge}/IMG_0041.jpg")
            write_photo(inner / "iphone_pictures" / lines[-1])
        write(inner / f"detected_face/{subject}/selfie/IMG_0041.npy", b"box")
        write(tmp_path / f"scans/{subject}/natural_head_rotation.000001.obj", TRIANGLE)
        picked = f"scans_lmks_onlypp/{subject}/natural_head_rotation.000001_picked_points.pp"
        write(tmp_path / picked, picked_points(POINTS))
    for split in ("validation", "test"):
        write(inner / f"imagepaths{split}.txt", "\n".join(lines) + "\n\n")
    return tmp_path


def test_photos_have_their_person_s_scan(root):
    samples = list_now(root)
    assert [sample.name for sample in samples] == [
        f"{subject}/{challenge}/IMG_0041"
        for subject in SUBJECTS
        for challenge in ("multiview_neutral", "selfie")
    ]
    for sample in samples:
        assert sample.image.is_file() and sample.image.parent.parent.name == sample.subject
        assert sample.scan.parent.name == sample.subject
        np.testing.assert_array_equal(sample.landmarks, POINTS)
    assert [sample.box is not None for sample in samples] == [False, True, False, True]


def test_the_test_set_has_no_scans(root):
    samples = list_now(root, "test")
    assert len(samples) == 4 and samples[0].scan is None and samples[0].landmarks is None
    with pytest.raises(ValueError, match="split must be"):
        list_now(root, "train")


def damage_landmarks(root, content):
    path = next((root / "scans_lmks_onlypp" / SUBJECTS[0]).iterdir())
    path.write_text(content)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda r: damage_landmarks(r, picked_points(POINTS[:6])), "expected 7 finite 3D points"),
        (lambda r: damage_landmarks(r, picked_points(POINTS)[:-60]), "no file of picked points"),
        (lambda r: damage_landmarks(r, ""), "is empty"),
        (
            lambda r: damage_landmarks(r, picked_points(POINTS).replace(' z="', ' w="', 1)),
            "picked points .*'z'",
        ),
        (
            lambda r: next((r / "scans" / SUBJECTS[0]).iterdir()).unlink(),
            r"expected a file \*\.obj, found none",
        ),
    ],
)
def test_damaged_people_are_reported(root, damage, message):
    damage(root)
    with pytest.raises(SampleError, match=message):
        list_now(root)
    skipped = {}
    assert {sample.subject for sample in list_now(root, skipped=skipped)} == {SUBJECTS[1]}
    assert len(skipped) == 2 and all(name.startswith(SUBJECTS[0]) for name in skipped)


def test_lines_and_photos_that_are_missing(root):
    listing = next(root.rglob("imagepathsvalidation.txt"))
    listing.write_text(
        f"{SUBJECTS[0]}/selfie/IMG_0041.jpg\n{SUBJECTS[0]}/selfie/IMG_9.jpg\nIMG_1.jpg\n"
        f"{SUBJECTS[0]}/profile/IMG_0041.jpg\n"
    )
    skipped = {}
    assert len(list_now(root, skipped=skipped)) == 1
    assert "no such file" in skipped[f"{SUBJECTS[0]}/selfie/IMG_9.jpg"]
    assert "known challenge" in skipped["IMG_1.jpg"] and len(skipped) == 3
    listing.write_text("")
    with pytest.raises(UserError, match="no sample of NoW"):
        list_now(root)


def test_folders_that_are_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        list_now(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"expected imagepathsvalidation\.txt"):
        list_now(tmp_path)


def test_a_box(tmp_path):
    sides = {"left": np.float32(10.0), "top": 20, "right": 50.0, "bottom": 80, "score": 0.9}
    np.save(tmp_path / "box.npy", sides, allow_pickle=True)
    assert read_box(tmp_path / "box.npy")[:3] == pytest.approx((30, 50, 81))


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_what_is_no_box(tmp_path):
    path = tmp_path / "box.npy"
    np.save(path, {"left": 10, "box": Trap(tmp_path / "sprung")}, allow_pickle=True)
    with pytest.raises(SampleError, match="refused"):
        read_box(path)
    assert not (tmp_path / "sprung").exists()
    for content in (np.zeros(4), {"left": 1, "top": 2, "right": 3}, [1, 2]):
        np.save(path, content, allow_pickle=True)
        with pytest.raises(SampleError, match=r"box\.npy: expected left, top, right and bottom"):
            read_box(path)
    np.save(path, {"left": 5, "top": 2, "right": 5, "bottom": 2}, allow_pickle=True)
    with pytest.raises(SampleError, match="the box is empty"):
        read_box(path)
    with pytest.raises(SampleError, match=r"none\.npy"):
        read_box(tmp_path / "none.npy")
