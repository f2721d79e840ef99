"""One reconstructed face: what it is made of, as a picture, a mesh and a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgnface.data.cropping import SquareBox
from pgnface.geometry import Pose, angles_from_rotation
from pgnface.networks import PoseGuidanceNetwork, Prediction
from pgnface.networks.inference import fit_error, model_on_cpu, to_cpu

if TYPE_CHECKING:
    import trimesh

    from pgnface.morphable import MorphableModel


# Not compared by value: arrays have no single truth, and a face is what it was found as.
@dataclass(frozen=True, eq=False, repr=False)
class Face:
    """One reconstructed face.

    Attributes:
        photo: ``(H, W, 3)`` uint8 RGB, the picture that it was found in.
        box: the square that the network saw, in which the face is upright.
        vertices: ``(V, 3)`` in image space of the photo: pixels, x right, y down, z into the scene.
        landmarks: ``(68, 3)`` of the position map, in the style of the training annotations.
        posed_landmarks: ``(68, 3)`` of the posed face model, in the same style.
        pose: scale ``()`` (pixels per mm), rotation ``(3, 3)``, translation ``(3,)``: model space
            to the photo.
        identity: coefficients ``(I,)`` in standard deviations.
        expression: coefficients ``(E,)``; 1 is the full expression.
        fit_error: mean distance of the two kinds of landmarks in percent of the landmark box; a
            large one tells that the network is unsure, or that this is no face.
        model: the face model.
    """

    photo: NDArray[np.uint8]
    box: SquareBox
    vertices: Tensor
    landmarks: Tensor
    posed_landmarks: Tensor
    pose: Pose
    identity: Tensor
    expression: Tensor
    fit_error: float
    model: MorphableModel

    def __repr__(self) -> str:
        pitch, yaw, roll = self.angles
        x0, y0, x1, y1 = self.box.edges
        return (
            f"Face(box=({x0:.0f}, {y0:.0f}, {x1:.0f}, {y1:.0f}), pitch={pitch:.1f}, yaw={yaw:.1f}, "
            f"roll={roll:.1f}, fit_error={self.fit_error:.2f}, model={self.model.name!r})"
        )

    @property
    def angles(self) -> tuple[float, float, float]:
        """(pitch, yaw, roll) in degrees."""
        return tuple(angles_from_rotation(self.pose.rotation).tolist())

    @cached_property
    def shape(self) -> Tensor:
        """Vertices ``(V, 3)`` in model space: millimetres, without the pose."""
        return self.model.vertices(self.identity, self.expression)

    @cached_property
    def colors(self) -> Tensor:
        """Colours of the vertices ``(V, 3)`` in [0, 1], sampled from the photo."""
        from pgnface.reconstruction.texture import vertex_colors

        return vertex_colors(*self._window(), self.model)[0]

    def texture(self, size: int = 512) -> NDArray[np.uint8]:
        """Texture ``(size, size, 3)`` in the model's UV, sampled from the photo."""
        from pgnface.reconstruction.texture import photo_texture

        texture = photo_texture(*self._window(), self.model, size)
        return (texture.permute(1, 2, 0) * 255).round().byte().numpy()

    def mesh(self) -> trimesh.Trimesh:
        """The head in model space (mm) with its colours."""
        from pgnface.reconstruction.export import build_mesh

        return build_mesh(self.shape, self.model.triangles, colors=self.colors)

    def save(self, path: str | Path) -> Path:
        """Write the head as .glb (metres, textured), .obj or .ply (millimetres, vertex colours)."""
        from pgnface.reconstruction.export import save_mesh

        path = Path(path)
        if path.suffix.lower() == ".glb":
            appearance = {"texture": self.texture(), "uv": self.model.uv}
        else:
            appearance = {"colors": self.colors}
        return save_mesh(path, self.shape, self.model.triangles, **appearance)

    def overlay(self) -> NDArray[np.uint8]:
        """The photo with the face's mesh and landmarks drawn onto it, ``(H, W, 3)`` uint8."""
        return draw_faces(self.photo, [self])

    def to_dict(self) -> dict[str, object]:
        """Everything but the mesh, ready for JSON."""
        pitch, yaw, roll = self.angles
        return {
            "box": list(self.box.edges),
            "box_angle": self.box.angle,
            "model": self.model.name,
            "pose": {
                "pitch": pitch,
                "yaw": yaw,
                "roll": roll,
                "rotation": self.pose.rotation.tolist(),
                "scale": float(self.pose.scale),
                "translation": self.pose.translation.tolist(),
            },
            "identity": self.identity.tolist(),
            "expression": self.expression.tolist(),
            "expression_names": list(self.model.expression_names),
            "landmarks_3d": self.landmarks.tolist(),
            "landmarks_2d": self.landmarks[:, :2].tolist(),
            "posed_landmarks_3d": self.posed_landmarks.tolist(),
            "fit_error_percent": self.fit_error,
        }

    def _window(self) -> tuple[Tensor, Tensor]:
        """The photo's part around the face ``(3, h, w)`` and the vertices in it."""
        height, width = self.photo.shape[:2]
        low = self.vertices[:, :2].amin(0).floor().long() - 2
        high = self.vertices[:, :2].amax(0).ceil().long() + 3
        x0, x1 = (int(n) for n in (low[0].clamp(0, width - 1), high[0].clamp(1, width)))
        y0, y1 = (int(n) for n in (low[1].clamp(0, height - 1), high[1].clamp(1, height)))
        window = torch.from_numpy(self.photo[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].copy())
        shift = self.vertices.new_tensor([x0, y0, 0])
        return window.permute(2, 0, 1).float() / 255, self.vertices - shift


def draw_faces(photo: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """A photo with the meshes and landmarks of its faces drawn onto it."""
    from pgnface.render.overlay import draw_landmarks, overlay_mesh

    for face in faces:
        photo = overlay_mesh(photo, face.vertices, face.model.triangles)
        photo = draw_landmarks(photo, face.landmarks)
    return photo


def build_faces(
    network: PoseGuidanceNetwork,
    images: Sequence[NDArray[np.uint8]],
    boxes: Sequence[SquareBox],
    prediction: Prediction,
) -> list[Face]:
    """Faces of a prediction in pixels of its images (:func:`pgnface.networks.inference.uncrop`).

    Args:
        network: that predicted.
        images: ``(H, W, 3)`` uint8 RGB, one for each of the ``N`` predictions.
        boxes: the squares that the network saw.
        prediction: of ``N`` faces.
    """
    model = model_on_cpu(network.model)
    prediction = to_cpu(prediction)
    vertices = model.vertices(prediction.identity, prediction.expression, prediction.pose)
    errors = fit_error(prediction)
    return [
        Face(
            photo=image,
            box=box,
            vertices=vertices[i],
            landmarks=prediction.annotated_landmarks[i],
            posed_landmarks=prediction.posed_annotated_landmarks[i],
            pose=Pose(*(part[i] for part in prediction.pose)),
            identity=prediction.identity[i],
            expression=prediction.expression[i],
            fit_error=float(errors[i]),
            model=model,
        )
        for i, (image, box) in enumerate(zip(images, boxes, strict=True))
    ]
