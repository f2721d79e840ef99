import torch

from pgnface.evaluation import metrics


def test_cumulative_error():
    thresholds, fractions = metrics.cumulative_error(torch.tensor([1.0, 2.0, 50.0, 2.5]), 4, 4)
    assert thresholds.tolist() == [0, 1, 2, 3, 4]
    assert fractions.tolist() == [0, 0.25, 0.5, 0.75, 0.75]
