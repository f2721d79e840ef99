import math

import pytest
import torch

from pgnface.evaluation import metrics


def test_error_by_yaw_by_hand():
    table = metrics.error_by_yaw(
        torch.tensor([1.0, 3.0, 4.0, 6.0, 8.0]), torch.tensor([0.0, -30.0, 31.0, -89.0, 351.0])
    )
    assert table.bins == ("0-30", "30-60", "60-90")
    assert table.counts == (2, 1, 2)
    assert table.means == (2.0, 4.0, 7.0)
    assert table.mean == pytest.approx(13 / 3)
    assert table.std == pytest.approx(math.sqrt((2**2 + 4**2 + 7**2) / 3 - (13 / 3) ** 2))
    assert table.overall == pytest.approx(22 / 5)


def test_an_empty_bin_is_left_out_of_the_mean():
    table = metrics.error_by_yaw(torch.tensor([2.0, 4.0]), torch.tensor([5.0, 80.0]))
    assert math.isnan(table.means[1]) and table.mean == 3.0 and table.counts == (1, 0, 1)


@pytest.mark.parametrize("edges", [(0,), (10, 20), (0, 30, 30)])
def test_error_by_yaw_rejects_edges(edges):
    with pytest.raises(ValueError, match="edges that increase from 0"):
        metrics.error_by_yaw(torch.ones(1), torch.ones(1), edges)


def test_a_balanced_subset_is_drawn_with_a_seed():
    yaw = torch.cat([torch.full((n,), y) for n, y in ((50, 5.0), (20, -40.0), (10, 80.0))])
    chosen = metrics.balanced_subset(yaw)
    assert metrics.error_by_yaw(yaw[chosen], yaw[chosen]).counts == (10, 10, 10)
    assert len(chosen.unique()) == 30 and torch.equal(chosen, metrics.balanced_subset(yaw))
    assert not torch.equal(chosen, metrics.balanced_subset(yaw, seed=1))
    assert len(metrics.balanced_subset(yaw, size=4)) == 12
    with pytest.raises(ValueError, match="at least 11 samples in each bin"):
        metrics.balanced_subset(yaw, size=11)
