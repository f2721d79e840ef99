import pytest
import torch
from torch import nn

from pgnface.training.ema import ExponentialAverage


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_first_update_takes_nine_tenths_of_the_weights():
    net = network()
    average = ExponentialAverage(net, 0.999)
    before = average.state["0.weight"].clone()
    with torch.no_grad():
        net[0].weight.add_(1)
    average.update(net)
    torch.testing.assert_close(average.state["0.weight"], before + 0.9)


def test_converges_to_constant_weights_and_copies_counters():
    net = network()
    average = ExponentialAverage(net, 0.9)
    with torch.no_grad():
        net[0].weight.fill_(2)
        net[1].running_mean.fill_(5)
    net[1].num_batches_tracked.fill_(7)
    for _ in range(200):
        average.update(net)
    torch.testing.assert_close(average.state["0.weight"], torch.full((2, 3), 2.0))
    torch.testing.assert_close(average.state["1.running_mean"], torch.full((2,), 5.0))
    assert average.state["1.num_batches_tracked"] == 7


def test_applied_puts_the_own_weights_back_even_after_an_error():
    net = network()
    average = ExponentialAverage(net, 0.9)
    with torch.no_grad():
        net[0].weight.fill_(2)
    with pytest.raises(RuntimeError), average.applied(net):
        assert (net[0].weight != 2).any()
        raise RuntimeError
    assert (net[0].weight == 2).all()


def test_the_average_is_no_view_of_the_network():
    net = network()
    average = ExponentialAverage(net, 0.0)
    average.update(net)
    with torch.no_grad():
        net[0].weight.fill_(9)
    assert (average.state["0.weight"] != 9).all()


def test_decay_out_of_range():
    with pytest.raises(ValueError, match="decay must lie in"):
        ExponentialAverage(network(), 1.0)
