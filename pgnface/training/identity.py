"""The part of the identity that is solved in closed form, on rendered people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pgnface.evaluation.metrics import shape_error

if TYPE_CHECKING:
    from pgnface.data.source import Source
    from pgnface.networks import PoseGuidanceNetwork

_BATCH = 32
_TESTS = 1024
# Seeds of people whom neither training nor evaluation meets.
_SEED = 3_000_000
# Ridge penalties that are tried, over the number of pictures; features have the variance 1.
_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)


class IdentityFit(NamedTuple):
    """How well the identity of people that the fit did not see is told.

    Attributes:
        mean_face: mean vertex distance in mm of the mean face from their neutral shapes, after
            rigid alignment;
        before: of the shapes that the network predicted;
        after: of those that it predicts now.
        penalty: the ridge penalty that was best, over the number of pictures; infinite where all
            made it worse, and nothing was added.
    """

    mean_face: float
    before: float
    after: float
    penalty: float


@torch.no_grad()
def fit_identity(
    network: PoseGuidanceNetwork, people: Source, pictures: int, held_out: Source, tests: int
) -> IdentityFit:
    """Solve for the network's ``identity_regression`` by ridge regression.

    The features are those of the encoder as it is, the target what the coefficient head leaves
    unexplained of the true identity. The penalty is the one with the least shape error on people
    held out, whose two frames also tell how far predictions of one person agree.

    Args:
        network: trained; its ``identity_regression`` is set.
        people: rendered people with known identities.
        pictures: how many to fit to, at least 2.
        held_out: other people, in two frames each.
        tests: pictures of these, at least 4.

    Raises:
        ValueError: for fewer pictures, or sources whose identities are not known.
    """
    if pictures < 2 or tests < 4 or held_out.frames != 2:
        raise ValueError(
            "fit_identity: expected at least 2 pictures to fit to and 4, in pairs, to test with, "
            f"got {pictures} and {tests} with {held_out.frames} frames of each person"
        )
    training = network.training
    network.eval()
    regression = network.identity_regression
    regression.weight.zero_()
    regression.bias.zero_()
    moments = _Moments(regression.weight.shape[1], regression.weight.shape[0], network)
    for step in range(-(-pictures // _BATCH)):
        features, predicted, true = _observe(network, people, step)
        moments.add(features, true - predicted)
    observed = [_observe(network, held_out, step) for step in range(-(-tests // _BATCH))]
    features, predicted, true = (torch.cat(parts) for parts in zip(*observed, strict=True))

    def error(identity: Tensor) -> float:
        pairs = zip(identity.split(_BATCH), true.split(_BATCH), strict=True)
        model = network.model
        return float(torch.cat([shape_error(*map(model.vertices, p)) for p in pairs]).mean())

    before = error(predicted)
    fit = IdentityFit(error(torch.zeros_like(true)), before, before, math.inf)
    for penalty in _PENALTIES:
        weight, bias = moments.solve(penalty)
        added = features @ weight.T + bias
        # People that the fit did not see tell how much of it to believe.
        product, square = ((true - predicted) * added).sum(), added.square().sum()
        gain = float((product / square.clamp(min=1e-12)).clamp(0, 1))
        weight, bias = gain * weight, gain * bias
        after = error(predicted + gain * added)
        if after < fit.after:
            fit = fit._replace(after=after, penalty=penalty)
            regression.weight.copy_(weight)
            regression.bias.copy_(bias)
    pairs = (predicted + regression.bias + features @ regression.weight.T).unflatten(0, (-1, 2))
    shared = (pairs[:, 0] * pairs[:, 1]).sum(-1).mean().clamp(min=0)
    regression.signal.copy_((pairs * true.unflatten(0, (-1, 2))).sum(-1).mean().clamp(min=0))
    regression.shared.copy_(shared)
    regression.spread.copy_((pairs.square().sum(-1).mean() - shared).clamp(min=0))
    network.train(training)
    return fit


def fit_to_rendered_people(
    network: PoseGuidanceNetwork, pictures: int, seed: int = 0, tests: int = _TESTS
) -> IdentityFit:
    """:func:`fit_identity` to people rendered from the network's own face model.

    Args:
        network, pictures, tests: as there.
        seed: of the people.
    """
    from pgnface.data import SyntheticConfig, build_source

    people, held_out = (
        build_source(
            SyntheticConfig(frames=frames, seed=_SEED + 2 * seed + frames),
            network.model,
            network.config.image_size,
        )
        for frames in (1, 2)
    )
    return fit_identity(network, people, pictures, held_out, tests)


def _observe(
    network: PoseGuidanceNetwork, people: Source, step: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the pictures of a batch: the features, the identities predicted and the true ones."""
    batch = people.batch(step, _BATCH).to(network.pose_offset.device)
    if not bool((batch.coefficient_weight > 0).all()):
        raise ValueError("fit_identity: the identities of a batch are not all known")
    seen: list[Tensor] = []
    handle = network.identity_regression.register_forward_pre_hook(
        lambda module, inputs: seen.append(module.features(*inputs))
    )
    try:
        predicted = network(batch.images).identity
    finally:
        handle.remove()
    return seen[0], predicted, batch.identity.repeat_interleave(batch.frames, 0)


class _Moments:
    """Sums from which the regression of targets on features is solved."""

    def __init__(self, features: int, targets: int, network: PoseGuidanceNetwork) -> None:
        device = network.pose_offset.device
        self._count = 0
        self._sums = [torch.zeros(n, device=device) for n in (features, targets)]
        self._products = [torch.zeros(features, n, device=device) for n in (features, targets)]

    def add(self, features: Tensor, targets: Tensor) -> None:
        self._count += len(features)
        for total, product, values in zip(
            self._sums, self._products, (features, targets), strict=True
        ):
            total += values.sum(0)
            product.addmm_(features.T, values)

    def solve(self, penalty: float) -> tuple[Tensor, Tensor]:
        """Weight ``(targets, features)`` and bias ``(targets,)``."""
        features, targets = (total / self._count for total in self._sums)
        product, cross = (total / self._count for total in self._products)
        deviation = (product.diagonal() - features.square()).clamp(min=0).sqrt()
        # A feature that hardly varies would be blown up.
        inverse = 1 / deviation.clamp(min=1e-3 * float(deviation.max()) + 1e-12)
        covariance = product.addr(features, features, alpha=-1)
        covariance *= inverse
        covariance *= inverse[:, None]
        covariance.diagonal().add_(penalty)
        weight = torch.cholesky_solve(
            (cross - torch.outer(features, targets)) * inverse[:, None],
            torch.linalg.cholesky(covariance),
        )
        weight = (weight * inverse[:, None]).T
        return weight, targets - weight @ features
