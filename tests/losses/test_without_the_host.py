"""What a training step computes does not wait for the device to tell the host a value.

``tests/ops/test_cuda_graphs.py`` shows it on a GPU. Here the same is seen without one: operations
that bring a value to the host, or make a tensor of the host's values, are forbidden.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pgnface.bench import steps
from pgnface.bench.case import Case
from pgnface.bench.inputs import Scene
from pgnface.render import shade
from pgnface.training import LossWeights, Objective, TrainConfig
from pgnface.training.optimizer import build_optimizer
from tests.training.faces import LabelledSource, tiny_network

# A value for the host, a shape that depends on values, a tensor of the host's numbers.
FORBIDDEN = {
    *("aten::_local_scalar_dense", "aten::item", "aten::is_nonzero", "aten::equal"),
    *("aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::unique_dim"),
    *("aten::lift_fresh", "aten::repeat_interleave.Tensor"),
}


class WithoutTheHost(TorchDispatchMode):
    """Raises at an operation that on a GPU would wait for the device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        by_mask = name in ("aten::index", "aten::index_put", "aten::index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        full = f"{name}.{function._overloadname}"
        assert not by_mask and name not in FORBIDDEN and full not in FORBIDDEN, full
        return function(*args, **(kwargs or {}))


def run(case: Case) -> None:
    call = next(case.calls(backward=True))
    with WithoutTheHost():
        call()


@pytest.mark.parametrize(
    "act",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: (x > 0).nonzero(),
        lambda x: x * x.new_tensor([1.0]),
        lambda x: x.repeat_interleave(torch.ones(4, dtype=torch.long)),
    ],
    ids=["item", "bool", "mask", "nonzero", "constant", "repeats"],
)
def test_waiting_is_noticed(act):
    with pytest.raises(AssertionError), WithoutTheHost():
        act(torch.rand(4))


@pytest.mark.parametrize("edges", [False, True])
def test_rendering(edges):
    run(steps.render(Scene("builtin", 2, 24), edges))


def test_multiframe_loss():
    run(steps.multiframe_loss("builtin", 2, 3, 24))


@pytest.mark.parametrize("labelled", [False, True])
def test_training_step(labelled):
    """Network, every term of the objective, gradients, clipping and the update."""
    network = tiny_network().train()
    weights = LossWeights(**dict.fromkeys(vars(LossWeights()), 1.0))
    objective = Objective(network, weights)
    optimizer = build_optimizer(network, TrainConfig())
    batch = LabelledSource(frames=2, labelled=labelled).batch(0, 6)
    _ = batch.known, network.model.adjacency  # asked for on the host, once
    with WithoutTheHost():
        prediction = network(batch.images)
        total = objective([batch], [prediction])["total"]
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    assert all(p.grad is not None for p in network.encoder.parameters())


def test_shading():
    normals, light = torch.rand(2, 7, 3), torch.rand(2, 9, 3)
    with WithoutTheHost():
        shade(normals, light)
