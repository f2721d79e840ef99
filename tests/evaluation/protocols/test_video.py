import cv2
import numpy as np
import pytest

from pgnface._errors import UserError
from pgnface.data.cropping import SquareBox
from pgnface.evaluation.protocols.video import evaluate_video


@pytest.fixture
def folders(tmp_path):
    """Two videos of five frames, all of one picture."""
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for name in ("still", "moving"):
        (tmp_path / name).mkdir()
        for i in range(5):
            cv2.imwrite(str(tmp_path / name / f"{i}.png"), image)
    return [tmp_path / "still", tmp_path / "moving"]


def test_a_still_video_is_steady(folders, tiny_network, monkeypatch):
    still, moved = SquareBox(32.0, 32.0, 50.0), SquareBox(42.0, 32.0, 50.0)
    boxes = iter([[], *[[still]] * 4, *[[still], [moved]] * 2, [still]])
    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda _: lambda _: next(boxes))
    result = evaluate_video(folders, tiny_network, frames=5)
    rows = result.tables[0].rows
    assert max(rows["still"][:4]) < 1e-3 and rows["still"][4:] == (5, 1)
    assert rows["moving"][0] > 1 and rows["moving"][4:] == (5, 0)
    assert rows["mean"][0] == pytest.approx((rows["still"][0] + rows["moving"][0]) / 2)
    assert rows["mean"][4:] == (10, 1) and result.facts["videos"] == 2


def test_what_cannot_be_measured(folders, tiny_network, monkeypatch, tmp_path):
    monkeypatch.setattr("pgnface.data.detectors.build_detector", lambda _: lambda _: [])
    with pytest.raises(UserError, match="no video could be measured: no face found"):
        evaluate_video(folders, tiny_network)
    with pytest.raises(UserError, match="no video could be measured"):
        evaluate_video([tmp_path / "missing.mp4"], tiny_network)
    with pytest.raises(UserError, match="frames must be at least 3"):
        evaluate_video(folders, tiny_network, frames=2)


@pytest.mark.kit
def test_a_talking_head(kit):
    result = evaluate_video([kit / "samples" / "talking_head.mp4"], frames=12)
    landmarks, pose, *_ = result.tables[0].rows["talking_head.mp4"]
    assert 0 < landmarks < 5 and 0 < pose < 10
