"""Identities of several frames: unbiased noise falls as one over the root of their number."""

import pytest
import torch

from pgnface.networks.inference import predict
from pgnface.reconstruction.person import (
    fuse_identity,
    one_identity,
    share_identity,
    unshrunk_identity,
)


def test_error_falls_as_one_over_the_root_of_the_frames():
    noise = torch.randn(4000, 16, 5)
    for count in (1, 4, 16):
        error = fuse_identity(1.5 + noise[:, :count]) - 1.5
        assert error.std() == pytest.approx(count**-0.5, rel=0.03)


def test_inverse_variances_are_the_best_weights():
    std = torch.tensor([1.0, 2.0, 4.0])
    identity = std[:, None] * torch.randn(20000, 3, 1)
    weights = std.square().reciprocal().expand(20000, 3)
    want = float(std.square().reciprocal().sum() ** -0.5)
    assert fuse_identity(identity, weights).std() == pytest.approx(want, rel=0.03)
    assert fuse_identity(identity).std() > 1.5 * want


def test_frames_of_one_person_share_the_identity_and_lie_on_their_landmarks(tiny_network):
    before = predict(tiny_network, torch.rand(5, 3, 32, 32))
    after = share_identity(tiny_network, before)
    torch.testing.assert_close(after.identity, before.identity.mean(0).expand(5, -1))
    torch.testing.assert_close(after.landmarks, before.landmarks)
    torch.testing.assert_close(after.expression, before.expression)
    # A frame that has the mean identity already stays as it is.
    alone = predict(tiny_network, torch.rand(1, 3, 32, 32))
    for was, now in zip(alone, share_identity(tiny_network, alone), strict=True):
        for a, b in zip(was, now, strict=True) if isinstance(was, tuple) else [(was, now)]:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


def test_sharing_an_identity_needs_one_of_the_right_size(tiny_network):
    prediction = predict(tiny_network, torch.rand(2, 3, 32, 32))
    with pytest.raises(ValueError, match=r"identity: expected shape \(4,\)"):
        share_identity(tiny_network, prediction, torch.zeros(3))


def test_weighted_frames_prefer_those_whose_landmarks_agree(tiny_network):
    prediction = predict(tiny_network, torch.rand(2, 3, 32, 32))
    apart = prediction.landmarks + torch.tensor([[[0.1]], [[5.0]]]) * torch.randn(2, 68, 3)
    prediction = prediction._replace(
        posed_landmarks=apart, identity=torch.tensor([[0.0] * 4, [1.0] * 4])
    )
    assert one_identity(tiny_network, prediction, "weighted").max() < 0.01
    assert one_identity(tiny_network, prediction, "mean").min() == 0.5


def test_bad_arguments(tiny_network):
    with pytest.raises(ValueError, match=r"identity: expected shape"):
        fuse_identity(torch.zeros(3))
    with pytest.raises(ValueError, match="weights: expected shape"):
        fuse_identity(torch.zeros(3, 2), torch.ones(2))
    with pytest.raises(ValueError, match="weights must not be negative"):
        fuse_identity(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(ValueError, match="method must be one of"):
        one_identity(tiny_network, predict(tiny_network, torch.rand(1, 3, 32, 32)), "median")


def test_several_frames_may_go_further_from_the_mean_face(tiny_network):
    """The best linear guess for guesses that share half of their errors' variance."""
    truth = torch.randn(3000, 1, 4)
    error = 1.5 * torch.randn(3000, 1, 4) + 1.5 * torch.randn(3000, 8, 4)
    gain = 1 / (1 + 2 * 1.5**2)
    frames = gain * (truth + error)
    regression = tiny_network.identity_regression
    regression.signal.fill_(4 * gain)
    regression.shared.fill_(4 * gain**2 * (1 + 1.5**2))
    regression.spread.fill_(4 * gain**2 * 1.5**2)
    unshrunk = torch.stack([unshrunk_identity(tiny_network, person) for person in frames])
    best = (1 / (1 + 1.5**2 + 1.5**2 / 8)) * (frames / gain).mean(1)
    assert (unshrunk - best).norm() < 0.15 * best.norm()
    mean = frames.mean(1)
    assert (unshrunk - truth[:, 0]).square().mean() < (mean - truth[:, 0]).square().mean()
    torch.testing.assert_close(unshrunk_identity(tiny_network, frames[0, :1]), frames[0, 0])
    same = frames[0, :1].expand(8, -1)
    torch.testing.assert_close(unshrunk_identity(tiny_network, same), frames[0, 0])
