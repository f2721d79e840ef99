"""Pictures of what a network makes of its training images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pgnface.data.batch import FaceBatch
from pgnface.render.overlay import draw_landmarks, overlay_mesh

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork


@torch.no_grad()
def overlays(network: PoseGuidanceNetwork, batch: FaceBatch, count: int = 4) -> Tensor:
    """The first images of a batch, with landmarks and with the posed model drawn on them.

    Args:
        network: run in evaluation mode, and left in the mode that it is in.
        batch: on the network's device.
        count: images at most.

    Returns:
        ``(n, 3, S, 3 S)`` in [0, 1]: photo, landmarks and mesh side by side.
    """
    training = network.training
    network.eval()
    images = batch.images[:count]
    prediction = network(images)
    vertices = network.vertices(prediction).cpu()
    triangles = network.model.triangles.cpu()
    network.train(training)
    rows = []
    for i, image in enumerate(images.cpu()):
        photo = (image * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
        landmarks = draw_landmarks(photo, prediction.landmarks[i].cpu())
        rows.append(
            np.concatenate([photo, landmarks, overlay_mesh(photo, vertices[i], triangles)], 1)
        )
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 255
