import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.benchmarks import list_realy
from pgnface.data.benchmarks.layout import SampleError
from pgnface.data.benchmarks.realy import REGIONS

from .published import TRIANGLE, numbers, write, write_photo


def obj(points):
    return "# points\n" + "".join(f"v {x} {y} {z}\n" for x, y, z in points)


@pytest.fixture
def root(tmp_path):
    """Three scans; photos 2, 10 (no scan of it), 1 and two views of 1."""
    for subject in (1, 2, 3):
        keypoints = tmp_path / f"data/REALY_HIFI3D_keypoints/{subject}.obj"
        write(keypoints, obj(numbers(85, subject)))
        for region in REGIONS:
            write(tmp_path / f"data/REALY_scan_region/{subject}/{region}.obj", TRIANGLE)
    write(tmp_path / "data/metrical_scale.txt", "1.5\n2.5\n3.5\n")
    for name in ("frontal/2", "frontal/10", "frontal/1", "side/1_0", "side/1_1", "overview"):
        write_photo(tmp_path / f"REALY_image/{name}.png")
    return tmp_path


def test_photos_have_their_scan(root):
    skipped = {}
    samples = list_realy(root, skipped=skipped)
    assert [sample.name for sample in samples] == ["1", "1_0", "1_1", "2"]
    assert [sample.view for sample in samples] == ["", "0", "1", ""]
    assert [sample.scale for sample in samples] == [1.5, 1.5, 1.5, 2.5]
    np.testing.assert_array_equal(samples[3].keypoints, numbers(85, 2))
    assert set(samples[0].regions) == set(REGIONS)
    assert samples[0].regions["nose"].parent.name == "1"
    assert list(skipped) == ["10.png"] and "from 1 to 3" in skipped["10.png"]
    frontal = list_realy(root, root / "REALY_image/frontal", skipped)
    assert [sample.name for sample in frontal] == ["1", "2"]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("REALY_HIFI3D_keypoints/2.obj", obj(numbers(84)), "expected 85 finite 3D points"),
        ("REALY_HIFI3D_keypoints/2.obj", obj(numbers(85)) + "v 1 2\n", "expected numbers"),
        ("REALY_HIFI3D_keypoints/2.obj", "v 1 nan 2\n" * 85, "expected 85 finite"),
        ("REALY_scan_region/2/cheek.obj", "", "is empty"),
    ],
)
def test_damaged_scans_are_reported(root, name, content, message):
    write(root / "data" / name, content)
    (root / "REALY_image/frontal/10.png").unlink()
    with pytest.raises(SampleError, match=message):
        list_realy(root)
    skipped = {}
    assert [s.name for s in list_realy(root, skipped=skipped)] == ["1", "1_0", "1_1"]
    assert list(skipped) == ["2.png"]


def test_ambiguous_photos_and_scales(root):
    write_photo(root / "REALY_image/depth/2.png")
    with pytest.raises(UserError, match=r"two photos of one name.*2\.png"):
        list_realy(root)
    write(root / "data/metrical_scale.txt", "1.5\nx\n")
    with pytest.raises(UserError, match=r"metrical_scale\.txt: expected a number"):
        list_realy(root)
    write(root / "data/metrical_scale.txt", "1.5\n-1\n")
    with pytest.raises(UserError, match="expected positive numbers"):
        list_realy(root)
    with pytest.raises(FileNotFoundError, match="REALY_HIFI3D_keypoints"):
        list_realy(root / "REALY_image")
