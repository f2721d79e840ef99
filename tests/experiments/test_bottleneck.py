import pytest
import torch

from pgnface.data.partial import hide_labels
from pgnface.evaluation.metrics import sparse_nme
from pgnface.experiments import measure_bottleneck
from pgnface.experiments.bottleneck import SOLVED
from tests.training.faces import LabelledSource, tiny_network


@pytest.fixture(scope="module")
def faces():
    return LabelledSource(frames=2).batch(0, 12)


@pytest.fixture(scope="module")
def network():
    network = tiny_network()
    torch.nn.init.normal_(network.coefficient_head.linear.weight, std=0.1)
    return network.eval()


@pytest.fixture(scope="module")
def table(network, faces):
    return measure_bottleneck(network, faces, batch_size=5)


def test_all_parts_replaced_leave_no_error(table):
    assert len(table) == 9
    assert table["pose + identity + expression"].overall < 1e-3
    assert table["nothing"].overall > 1


def test_nothing_replaced_is_the_prediction(table, network, faces):
    with torch.no_grad():
        found = network(faces.images).posed_landmarks[..., :2]
    expected = sparse_nme(found, faces.landmarks.flatten(0, 1)[..., :2]).mean()
    assert table["nothing"].overall == pytest.approx(float(expected), rel=1e-4)


def test_the_solved_pose_is_the_best_for_the_shape(table):
    """It minimises the distance to the true landmarks, which the true pose need not."""
    assert table[SOLVED].overall <= table["pose"].overall
    assert table[SOLVED].overall > table["pose + identity"].overall / 10


def test_faces_without_coefficients(network, faces):
    with pytest.raises(ValueError, match="expected coefficients"):
        measure_bottleneck(network, hide_labels(faces, "landmarks"))
