"""Which part of a prediction carries the error: each is replaced by the truth in turn.

The question of Liu et al. (ACCV 2020), whose answer is the head pose: a regressed pose costs more
than identity and expression together, and one solved from landmarks can be nearly as good as the
true one.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pgnface.evaluation.metrics import BinnedError, error_by_yaw, sparse_nme
from pgnface.geometry import angles_from_rotation, solve_head_pose
from pgnface.networks.inference import model_on_cpu, predict

if TYPE_CHECKING:
    from pgnface.data.batch import FaceBatch
    from pgnface.networks import PoseGuidanceNetwork

_PARTS = ("pose", "identity", "expression")
SOLVED = "pose solved from true landmarks"


def measure_bottleneck(
    network: PoseGuidanceNetwork, faces: FaceBatch, batch_size: int = 32
) -> dict[str, BinnedError]:
    """2D NME of the posed model's 68 landmarks with parts of the prediction replaced by the truth.

    Args:
        network: predicts all parts.
        faces: labelled with the coefficients of the network's own face model, and with the pose.
        batch_size: faces in one run of the network.

    Returns:
        What was replaced (``"nothing"``, ``"pose"``, ``"pose + identity"`` and so on, and
        :data:`SOLVED`: the pose that best maps the predicted shape onto the true 3D landmarks) to
        the errors in percent of the true box, by bins of |yaw|.

    Raises:
        ValueError: when a face has no coefficients.
    """
    if not bool((faces.coefficient_weight > 0).all()):
        raise ValueError("faces: expected coefficients and a pose for each, got some without")
    model = model_on_cpu(network.model)
    found = predict(network, faces.images, batch_size)
    target = faces.landmarks.flatten(0, 1)
    truth = {
        "pose": type(faces.pose)(*(part.flatten(0, 1) for part in faces.pose)),
        "identity": faces.identity.repeat_interleave(faces.frames, 0),
        "expression": faces.expression.flatten(0, 1),
    }
    yaw = angles_from_rotation(truth["pose"].rotation)[:, 1]

    def errors(points: Tensor) -> BinnedError:
        return error_by_yaw(sparse_nme(points[..., :2], target[..., :2]), yaw)

    table = {}
    with torch.no_grad():
        for count in range(len(_PARTS) + 1):
            for replaced in combinations(_PARTS, count):
                parts = {
                    part: truth[part] if part in replaced else getattr(found, part)
                    for part in _PARTS
                }
                name = " + ".join(replaced) or "nothing"
                table[name] = errors(model.landmark_points(**parts))
        points = model.landmark_points(found.identity, found.expression)
        solved = solve_head_pose(points, target)
        table[SOLVED] = errors(model.landmark_points(found.identity, found.expression, solved))
    return table
