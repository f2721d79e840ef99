import numpy as np
import pytest
import torch

from pgnface.data.cropping import SquareBox
from pgnface.geometry import apply_pose
from pgnface.networks.inference import crop_faces, predict, predict_faces, uncrop

SIZE = 32


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)


BOXES = [SquareBox(60, 45, 64), SquareBox(20, 30, 80)]


def test_uncrop_moves_points_and_pose_together(tiny_network, photo):
    crops, warps = crop_faces([photo, photo], BOXES, SIZE)
    prediction = predict(tiny_network, crops)
    result = uncrop(prediction, warps)
    points = tiny_network.model.landmark_points(result.identity, result.expression)
    assert torch.allclose(apply_pose(result.pose, points), result.posed_landmarks, atol=1e-3)
    # The crop of a box of 64 pixels is 32 wide: twice as large in the photo, from its corner.
    expected = prediction.landmarks[0] * 2 + torch.tensor([60 - 32, 45 - 32, 0])
    assert torch.allclose(result.landmarks[0], expected, atol=1e-3)
    vertices = tiny_network.vertices(prediction)[0] * 2 + torch.tensor([28, 13, 0])
    assert torch.allclose(tiny_network.vertices(result)[0], vertices, atol=1e-3)


def test_batches_do_not_change_the_result(tiny_network, photo):
    crops, _ = crop_faces([photo] * 2, BOXES, SIZE)
    one, two = predict(tiny_network, crops, 1), predict(tiny_network, crops, 2)
    assert torch.allclose(one.landmarks, two.landmarks, atol=1e-4)


def test_a_second_pass_crops_around_the_landmarks(tiny_network, photo):
    first = predict_faces(tiny_network, [photo], BOXES[:1])
    second = predict_faces(tiny_network, [photo], BOXES[:1], passes=2)
    assert not torch.equal(first.landmarks, second.landmarks)
    with pytest.raises(ValueError, match="passes"):
        predict_faces(tiny_network, [photo], BOXES[:1], passes=0)


def test_the_networks_mode_is_kept(tiny_network, photo):
    tiny_network.train()
    predict_faces(tiny_network, [photo], BOXES[:1])
    assert tiny_network.training
    tiny_network.eval()
