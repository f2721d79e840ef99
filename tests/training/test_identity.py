"""The identity regression is what ridge regression says, and is kept where it helps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pgnface.training import fit_identity
from pgnface.training.identity import _Moments

from .faces import LabelledSource, tiny_network


class Telling(LabelledSource):
    """People whose identities are a linear function of the network's features."""

    def __init__(self, network, function, frames=1):
        super().__init__(frames=frames)
        self._network, self._function = network, function

    def batch(self, step, size):
        batch = super().batch(step, size)
        batch = replace(batch, image=batch.image[:, :1].expand_as(batch.image).contiguous())
        seen = []
        regression = self._network.identity_regression
        with regression.register_forward_pre_hook(
            lambda module, inputs: seen.append(module.features(*inputs))
        ):
            self._network(batch.images)
        features = seen[0].unflatten(0, (-1, self.frames)).mean(1)
        return replace(batch, identity=self._function(features))


@pytest.mark.parametrize("penalty", [0.5, 3.0])
def test_moments_solve_ridge_regression(penalty):
    rng = np.random.default_rng(0)
    features = (rng.standard_normal((50, 6)) * rng.uniform(0.5, 2, 6) + 3).astype(np.float32)
    targets = rng.standard_normal((50, 2)).astype(np.float32)
    moments = _Moments(6, 2, tiny_network())
    for part in (slice(0, 20), slice(20, 50)):
        moments.add(torch.from_numpy(features[part]), torch.from_numpy(targets[part]))
    weight, bias = moments.solve(penalty)
    standard = (features - features.mean(0)) / features.std(0)
    rows = np.concatenate((standard, np.sqrt(50 * penalty) * np.eye(6)))
    wanted = np.concatenate((targets - targets.mean(0), np.zeros((6, 2))))
    expected = standard @ np.linalg.lstsq(rows, wanted, rcond=None)[0] + targets.mean(0)
    np.testing.assert_allclose(features @ weight.numpy().T + bias.numpy(), expected, atol=1e-4)


def test_what_the_features_tell_is_found_and_kept():
    torch.manual_seed(0)
    network = tiny_network()
    count = network.identity_regression.weight.shape[1]
    function = torch.randn(count, network.model.identity_count)

    def identity(features):
        values = features @ function
        return (values - values.mean(0)) / (values.std(0) + 1e-3)

    with torch.no_grad():
        fit = fit_identity(
            *(network, Telling(network, identity), 256),
            *(Telling(network, identity, frames=2), 64),
        )
    assert fit.after < 0.9 * fit.before and fit.penalty < 30
    assert network.training
    assert network.identity_regression.weight.abs().sum() > 0
    # Noise, the same in both frames of a person: guesses agree wholly.
    regression = network.identity_regression
    assert regression.shared > 0.5 and regression.signal > 0.5
    assert regression.spread == pytest.approx(0, abs=1e-4)


def test_what_the_features_do_not_tell_is_left_alone():
    torch.manual_seed(0)
    network = tiny_network()

    def identity(features):
        return torch.randn(len(features), network.model.identity_count)

    fit = fit_identity(
        *(network, Telling(network, identity), 32), *(Telling(network, identity, frames=2), 64)
    )
    assert fit.after == pytest.approx(fit.before, rel=0.01)


def test_bad_arguments():
    network = tiny_network()
    source, pairs = LabelledSource(), LabelledSource(frames=2)
    for arguments in ((source, 1, pairs, 64), (source, 64, pairs, 2), (source, 64, source, 64)):
        with pytest.raises(ValueError, match="expected at least 2 pictures"):
            fit_identity(network, *arguments)
    with pytest.raises(ValueError, match="not all known"):
        fit_identity(network, LabelledSource(annotated=True), 32, pairs, 32)
