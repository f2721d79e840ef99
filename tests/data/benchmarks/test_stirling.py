import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.benchmarks import list_stirling
from pgnface.data.benchmarks.layout import SampleError

from .published import TRIANGLE, numbers, write, write_photo


def lnd(points):
    return "".join(f"{i} {x} {y} {z}\n" for i, (x, y, z) in enumerate(points, 1))


@pytest.fixture
def root(tmp_path):
    """Two people, one with two scans; names in either case as published."""
    for seed, stem in enumerate(("F_3D_N/f1011_N", "M_3D_N/M1000_NH", "M_3D_N/m1000_N")):
        name = stem.split("/")[1]
        write(tmp_path / f"scans/{stem}/{name}.obj", TRIANGLE)
        write(tmp_path / f"annotations/{stem}.lnd", lnd(numbers(7, seed)))
    for name in ("HQ/F1011_001", "HQ/M1000_002", "LQ/m1000_003"):
        write_photo(tmp_path / f"Subset_2D_FG2018/{name}.jpg")
    write_photo(tmp_path / "scans/F_3D_N/f1011_N/f1011_N.jpg")  # a texture
    return tmp_path


def test_photos_have_their_person_s_scan(root):
    samples = list_stirling(root)
    assert [s.name for s in samples] == ["HQ/F1011_001", "HQ/M1000_002", "LQ/m1000_003"]
    assert [s.subject for s in samples] == ["F1011", "M1000", "M1000"]
    assert [s.scan.stem for s in samples] == ["f1011_N", "m1000_N", "m1000_N"]
    for sample, seed in zip(samples, (0, 2, 2), strict=True):
        np.testing.assert_array_equal(sample.landmarks, numbers(7, seed))
    assert list_stirling(root, root / "annotations")[0].scan == samples[0].scan


@pytest.mark.parametrize(
    "content, message",
    [
        (lnd(numbers(6)), "expected 7 finite 3D points"),
        ("1 2 3\n", "expected lines NUMBER X Y Z"),
        (lnd(numbers(7)).replace("1 ", "one ", 1), "expected lines NUMBER X Y Z"),
        (lnd(numbers(6)) + "7 1 2 x\n", "expected numbers"),
        ("", "is empty"),
    ],
)
def test_damaged_landmarks_are_reported(root, content, message):
    write(root / "annotations/F_3D_N/f1011_N.lnd", content)
    with pytest.raises(SampleError, match=message):
        list_stirling(root)
    skipped = {}
    assert len(list_stirling(root, skipped=skipped)) == 2
    assert list(skipped) == ["HQ/F1011_001.jpg"]


def test_missing_scans_are_reported(root):
    (root / "annotations/F_3D_N/f1011_N.lnd").unlink()
    write_photo(root / "Subset_2D_FG2018/LQ/F1099_001.jpg")
    write_photo(root / "Subset_2D_FG2018/LQ/image.jpg")
    skipped = {}
    assert len(list_stirling(root, skipped=skipped)) == 2
    assert "no landmarks F1011_N.lnd" in skipped["HQ/F1011_001.jpg"]
    assert "no scan of F1099" in skipped["LQ/F1099_001.jpg"]
    assert "F or M and four digits" in skipped["LQ/image.jpg"]
    with pytest.raises(UserError, match="no sample of Stirling"):
        list_stirling(root / "annotations")


def test_landmarks_are_ordered_by_their_numbers(root):
    lines = lnd(numbers(7)).splitlines(keepends=True)
    write(root / "annotations/F_3D_N/f1011_N.lnd", "".join(reversed(lines)))
    np.testing.assert_array_equal(list_stirling(root)[0].landmarks, numbers(7))
