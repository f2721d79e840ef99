"""FaceMesh as a teacher: 468 places on the face, mapped to the 68 landmarks.

Kartynnik, Ablavatski, Grishchenko and Grundmann, *Real-time Facial Surface Geometry from Monocular
Video on Mobile GPUs* (CVPR workshops 2019). Strong up to 60 degrees of yaw, useless beyond.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface._errors import UserError
from pgnface.data.augment import mirror_image
from pgnface.data.cropping import SquareBox, box_warp, warp_image, warp_points

from .mesh_map import POINT_COUNT, MeshMap, level_angles

INPUT_SIZE = 192

_MARGIN = 1.5
_FIRST_MARGIN = 1.35
"""From our squares, which end at the brows and have a margin, to those of the whole face."""

HOW_TO_GET = (
    "pip download --no-deps mediapipe==0.10.14 && unzip mediapipe-*.whl '*/face_landmark.tflite'"
)


class Meshes(NamedTuple):
    """What FaceMesh sees in a face and in its mirror image.

    Attributes:
        mesh: ``(468, 3)`` in pixels of the image, z into the scene.
        mirrored: ``(468, 3)`` likewise, numbered as in the mirror: its left is the face's right.
    """

    mesh: NDArray[np.float64]
    mirrored: NDArray[np.float64]


class FaceMesh:
    """The network, run by LiteRT on one thread.

    Args:
        path: ``face_landmark.tflite`` of MediaPipe 0.10.14.

    Raises:
        UserError: when LiteRT or the file is missing, or it holds another network.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise UserError("FaceMesh needs LiteRT: pip install 'pgnface[facemesh]'") from error
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"facemesh: {path} cannot be read ({error}); {HOW_TO_GET}") from error
        self.digest = hashlib.sha256(data).hexdigest()
        try:
            self._network = Interpreter(model_content=data, num_threads=1)
            self._network.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"facemesh: {path} is not a TFLite file ({error})") from error
        inputs, outputs = self._network.get_input_details(), self._network.get_output_details()
        self._input, self._outputs = inputs[0]["index"], [entry["index"] for entry in outputs]
        shapes = [tuple(map(int, entry["shape"])) for entry in (*inputs, *outputs)]
        if [int(np.prod(s)) for s in shapes] != [INPUT_SIZE**2 * 3, POINT_COUNT * 3, 1]:
            raise UserError(
                f"facemesh: {path} is another network, of shapes {shapes}; expected "
                f"face_landmark.tflite of MediaPipe 0.10.14: {HOW_TO_GET}"
            )

    def run(self, crop: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float]:
        """The mesh ``(468, 3)`` in pixels of a crop ``(192, 192, 3)``, and the logit of a face's
        presence.
        """
        self._network.set_tensor(self._input, crop[None].astype(np.float32) / 255)
        self._network.invoke()
        mesh, presence = (self._network.get_tensor(index) for index in self._outputs)
        return mesh.reshape(POINT_COUNT, 3).astype(np.float64), float(presence.item())

    def see(self, image: NDArray[np.uint8], box: SquareBox) -> Meshes | None:
        """The face in a box and its mirror image; ``None`` where no face is seen.

        The face is cut out twice: by the box, and as MediaPipe cuts, by what was seen then, with
        the eyes level and a margin of half the face.
        """
        box = box._replace(side=box.side * _FIRST_MARGIN)
        for look in range(2):
            warp = box_warp(box, INPUT_SIZE)
            crop = warp_image(image, warp, INPUT_SIZE)
            mesh, presence = self.run(crop)
            mesh = warp_points(warp, mesh)
            if look == 0:
                box = level_box(mesh)
        if presence < 0:
            return None
        mirrored, _ = self.run(mirror_image(crop))
        mirrored[:, 0] = INPUT_SIZE - mirrored[:, 0]
        return Meshes(mesh, warp_points(warp, mirrored))


def level_box(mesh: NDArray[np.float64]) -> SquareBox:
    """The square that MediaPipe cuts around a mesh ``(468, 3)``: the eyes are level in it."""
    angle = float(level_angles(mesh[None])[0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    level = mesh[:, :2] @ turn.T
    low, high = level.min(0), level.max(0)
    x, y = turn.T @ ((low + high) / 2)
    side = _MARGIN * float((high - low).max())
    return SquareBox(float(x), float(y), side, float(np.rad2deg(angle)))


class FaceMeshTeacher:
    """FaceMesh with a map to the 68 landmarks; see :class:`pgnface.data.teachers.base.Teacher`."""

    def __init__(self, network: FaceMesh, mesh_map: MeshMap) -> None:
        self.network = network
        self.mesh_map = mesh_map
        self.digest = hashlib.sha256((network.digest + mesh_map.digest).encode()).hexdigest()

    def both_sides(
        self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[SquareBox]
    ) -> tuple[Tensor, Tensor]:
        """See :class:`pgnface.data.teachers.base.Teacher`."""
        seen = np.full((2, len(images), POINT_COUNT, 3), np.nan)
        for i, (image, box) in enumerate(zip(images, boxes, strict=True)):
            if (meshes := self.network.see(image, box)) is not None:
                seen[:, i] = meshes.mesh, meshes.mirrored[self.mesh_map.mirror]
        return tuple(torch.from_numpy(self.mesh_map(side)).float() for side in seen)
