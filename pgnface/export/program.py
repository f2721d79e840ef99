"""A network as one graph of standard operators, from an image to named tensors."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from pgnface import __version__
from pgnface._errors import UserError
from pgnface.data.cropping import BOX_SCALE
from pgnface.geometry.landmarks import LANDMARK_COUNT
from pgnface.networks import PoseGuidanceNetwork

from .standard_ops import replacements

INPUT = "image"
#: The name under which a file of ``torch.export`` holds what :func:`describe_network` says.
DESCRIPTION_FILE = "pgnface.json"


class NamedOutputs(nn.Module):
    """A network whose result is a dictionary of tensors, as other runtimes take it.

    Args:
        network: in evaluation mode.
        vertices: whether the posed face ``vertices`` (N, V, 3) and its ``triangles`` (T, 3) are
            among the results.
        position_map: whether ``position_map`` (N, 3, h, w) is.
    """

    def __init__(
        self, network: PoseGuidanceNetwork, *, vertices: bool = True, position_map: bool = False
    ):
        super().__init__()
        self.network = network
        self.has_vertices, self.has_position_map = vertices, position_map

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """See :class:`pgnface.networks.Prediction` for the meaning of the results."""
        prediction = self.network(image)
        pose = prediction.pose
        outputs = {
            "landmarks": prediction.landmarks,
            "annotated_landmarks": prediction.annotated_landmarks,
            "landmark_weights": prediction.landmark_weights,
            "identity": prediction.identity,
            "expression": prediction.expression,
            "scale": pose.scale,
            "rotation": pose.rotation,
            "translation": pose.translation,
        }
        if self.has_vertices:
            outputs["vertices"] = self.network.vertices(prediction)
            outputs["triangles"] = self.network.model.triangles.clone()
        if self.has_position_map:
            outputs["position_map"] = prediction.position_map
        return outputs


def export_program(module: NamedOutputs) -> torch.export.ExportedProgram:
    """The module as a graph of standard operators alone, for any batch size.

    The kernels are replaced by :mod:`pgnface.export.standard_ops`.

    Raises:
        UserError: for a face model whose basis is quantized.
    """
    network = module.network
    if network.model.quantized is not None:
        raise UserError("a face model with a quantized basis cannot be exported; load it anew")
    size = network.config.image_size
    # Neither 0 nor 1, which torch takes for constants.
    example = torch.zeros(2, 3, size, size, device=network.landmark_offsets.device)
    batch = torch.export.Dim("batch")
    with quiet(), torch.no_grad():
        program = torch.export.export(
            module.eval(), (example,), dynamic_shapes={INPUT: {0: batch}}, strict=False
        )
        table = torch.export.default_decompositions()
        table.update(replacements())
        return program.run_decompositions(table)


def describe_network(network: PoseGuidanceNetwork) -> dict[str, object]:
    """What the user of a file must know of the network in it, ready for JSON."""
    model = network.model
    return {
        "pgnface": __version__,
        "encoder": network.config.encoder,
        "image_size": network.config.image_size,
        "image": "RGB in [0, 1], (N, 3, image_size, image_size)",
        "crop": "a square around the middle of the box of the 68 landmarks, "
        "crop_scale times its longer side wide; beyond the photo its border continues",
        "crop_scale": BOX_SCALE,
        "points": "pixels of the image, its corner at 0: x right, y down, z into the scene",
        "pose": "points = scale * diag(1, -1, -1) @ rotation @ model + translation; model in mm, "
        "x to the subject's left, y up, z out of the face",
        "landmarks": f"{LANDMARK_COUNT} points in iBUG order, zero-based",
        "pose_offset": network.pose_offset.tolist(),
        "face_model": model.name,
        "face_model_fingerprint": model.digest,
        "face_model_license": model.license,
        "expression_names": list(model.expression_names),
    }


def save_program(module: NamedOutputs, path: str | Path) -> None:
    """Write a module as a ``.pt2`` file, which torch reads without this package.

    The file holds a copy of the face model's numbers.

    Raises:
        UserError: when the file cannot be written, or as :func:`export_program`.
    """
    description = json.dumps(describe_network(module.network))
    program = export_program(module)
    try:
        with quiet():
            torch.export.save(program, path, extra_files={DESCRIPTION_FILE: description})
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def load_program(path: str | Path) -> tuple[nn.Module, dict[str, object]]:
    """The module of a ``.pt2`` file, and what its network says of itself."""
    extra = {DESCRIPTION_FILE: ""}
    program = torch.export.load(path, extra_files=extra)
    return program.module(), json.loads(extra[DESCRIPTION_FILE])


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch's remarks on its exporters and on packages that the graph does not need."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
