import copy

import numpy as np
import pytest
import torch

from pgnface.data.cropping import SquareBox, box_warp, upright_square
from pgnface.evaluation.metrics import sparse_nme
from pgnface.geometry import apply_pose, solve_head_pose
from pgnface.geometry.landmarks import LANDMARK_MIRROR
from pgnface.networks.inference import (
    boxes_around,
    crop_faces,
    fit_error,
    predict,
    predict_both_sides,
    predict_faces,
    predict_faces_twice,
    uncrop,
)

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


def test_what_a_turned_crop_shows_is_turned_back(tiny_network, photo):
    """A head of the same shape whose pose is turned in the photo, at any depth."""
    box = SquareBox(60, 45, 64, angle=30)
    crops, warps = crop_faces([photo], [box], SIZE)
    prediction = predict(tiny_network, crops)
    result = uncrop(prediction, warps)
    linear = box_warp(box, SIZE)[:, :2]
    turn = torch.block_diag(torch.from_numpy(linear), torch.tensor(2.0)).float()
    for name in ("landmarks", "annotated_landmarks", "posed_landmarks"):
        before, after = getattr(prediction, name)[0], getattr(result, name)[0]
        moved = (before - before[0]) @ turn.T
        torch.testing.assert_close(after - after[0], moved, atol=1e-3, rtol=1e-4)
    points = tiny_network.model.landmark_points(result.identity, result.expression)
    posed = apply_pose(result.pose, points)
    torch.testing.assert_close(posed, result.posed_landmarks, atol=1e-3, rtol=1e-4)
    grid = prediction.position_map[0].flatten(1)
    moved = turn @ (grid - grid[:, :1])
    grid = result.position_map[0].flatten(1)
    torch.testing.assert_close(grid - grid[:, :1], moved, atol=1e-3, rtol=1e-4)


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


def test_known_boxes_are_only_turned_for_the_second_pass(random_network, photo):
    first = predict_faces(random_network, [photo], BOXES[:1])
    around = boxes_around(first)[0]
    points = first.annotated_landmarks[0].numpy()
    assert around == upright_square(points) and around.angle != 0
    turned = [BOXES[0]._replace(angle=around.angle)]
    expected = predict_faces(random_network, [photo], turned)
    second = predict_faces(random_network, [photo], BOXES[:1], passes=2, keep_boxes=True)
    assert torch.equal(second.landmarks, expected.landmarks)


def test_the_networks_mode_is_kept(tiny_network, photo):
    tiny_network.train()
    predict_faces(tiny_network, [photo], BOXES[:1])
    assert tiny_network.training
    tiny_network.eval()


@pytest.fixture(scope="module")
def random_network(tiny_network):
    """Not the mean face for everyone, as a fresh network is."""
    network = copy.deepcopy(tiny_network)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.map_head.parameters():
            value += 0.05 * torch.randn(value.shape, generator=generator)
    return network


def in_the_mirror(points):
    """Landmarks ``(N, 68, 3)`` of a crop, in its mirror image."""
    swapped = points[:, list(LANDMARK_MIRROR)]
    return torch.cat((SIZE - swapped[..., :1], swapped[..., 1:]), -1)


def test_both_sides_say_the_same_of_a_face_and_its_mirror_image(random_network, photo):
    crops, _ = crop_faces([photo] * 2, BOXES, SIZE)
    with torch.no_grad():
        face, image = (
            predict_both_sides(random_network, c).prediction for c in (crops, crops.flip(-1))
        )
        alone = random_network(crops).landmarks
    torch.testing.assert_close(in_the_mirror(image.landmarks), face.landmarks)
    assert not torch.allclose(alone, face.landmarks, atol=1e-3)
    sides = [random_network(c) for c in (crops, crops.flip(-1))]
    trust = torch.stack([1 / (1 + fit_error(side) ** 2) for side in sides])
    trust = (trust / trust.sum(0))[..., None, None]
    expected = trust[0] * sides[0].landmarks + trust[1] * in_the_mirror(sides[1].landmarks)
    torch.testing.assert_close(face.landmarks, expected)


def test_a_side_that_fits_no_face_does_not_count(random_network, photo, monkeypatch):
    errors = iter((torch.tensor([1.0]), torch.tensor([1e4])))
    monkeypatch.setattr("pgnface.networks.inference.fit_error", lambda side: next(errors))
    crops, _ = crop_faces([photo], BOXES[:1], SIZE)
    with torch.no_grad():
        both = predict_both_sides(random_network, crops)
        torch.testing.assert_close(both.prediction.landmarks, random_network(crops).landmarks)


def test_the_fit_error_is_what_landmarks_are_measured_by(random_network, photo):
    face = predict_faces(random_network, [photo] * 2, BOXES)
    expected = sparse_nme(face.posed_landmarks[..., :2], face.landmarks[..., :2])
    torch.testing.assert_close(fit_error(face), expected)


def test_the_pose_follows_the_landmarks_of_both_sides(random_network, photo):
    crops, _ = crop_faces([photo] * 2, BOXES, SIZE)
    with torch.no_grad():
        face = predict_both_sides(random_network, crops).prediction
        points = random_network.model.landmark_points(face.identity, face.expression)
        solved = solve_head_pose(points, face.landmarks, face.landmark_weights)
    torch.testing.assert_close(face.pose.rotation, solved.rotation)
    torch.testing.assert_close(face.posed_landmarks, apply_pose(solved, points))


def test_the_mirror_image_is_seen_in_the_last_pass_alone(random_network, photo):
    once = predict_faces(random_network, [photo], BOXES[:1])
    again = predict_faces(random_network, [photo], boxes_around(once), mirror=True)
    both = predict_faces(random_network, [photo], BOXES[:1], passes=2, mirror=True)
    torch.testing.assert_close(both.landmarks, again.landmarks)


def test_the_mirror_error_is_the_distance_of_both_sides_in_the_faces_size(random_network, photo):
    crops, _ = crop_faces([photo] * 2, BOXES, SIZE)
    with torch.no_grad():
        own, image = (random_network(c).landmarks.numpy() for c in (crops, crops.flip(-1)))
    both = predict_faces_twice(random_network, [photo] * 2, BOXES)
    for i in range(2):
        mirrored = image[i][list(LANDMARK_MIRROR), :2] * [-1, 1] + [SIZE, 0]
        distance = np.sqrt(((own[i, :, :2] - mirrored) ** 2).sum(1)).mean()
        crop = both.prediction.landmarks[i, :, :2].numpy() * SIZE / BOXES[i].side
        expected = 100 * distance / np.sqrt(np.ptp(crop, axis=0).prod())
        assert float(both.mirror_error[i]) == pytest.approx(expected, rel=1e-4)
    again = predict_faces(random_network, [photo] * 2, BOXES, mirror=True)
    assert torch.equal(both.prediction.landmarks, again.landmarks)
