"""The pose guidance network: image to shape, landmarks and a pose solved from the two."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pgnface.data.cropping import BOX_SCALE
from pgnface.geometry import Pose, apply_pose, flip_axes, solve_head_pose
from pgnface.morphable import MorphableModel, UVAtlas

from .config import ENCODER_STRIDE, NetworkConfig
from .encoders import build_encoder
from .heads import (
    CodeHead,
    CoefficientHead,
    ConfidenceHead,
    IdentityRegression,
    MapParameters,
    PoseHead,
    PositionMapHead,
)

# ImageNet's statistics, which public encoder weights expect.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_DEVIATION = (0.229, 0.224, 0.225)


class Prediction(NamedTuple):
    """What a network says about ``N`` face crops of ``S`` pixels. Always float32.

    Points are in image space: pixels of the crop, z into the scene. z is zero at the mean depth of
    the position map's 68 landmarks, as weak perspective leaves the distance open.

    Attributes:
        identity: ``(N, I)`` coefficients.
        expression: ``(N, E)`` coefficients.
        position_map: ``(N, 3, h, w)``, the place in the image of every point of the UV map.
        landmarks: ``(N, 68, 3)`` read from the position map.
        landmark_weights: ``(N, 68)`` positive, mean 1: how much each counted for the pose.
        pose: solved from the landmarks and the face model's, or regressed.
        posed_landmarks: ``(N, 68, 3)``, the face model's landmarks under the pose.
        annotated_landmarks: ``(N, 68, 3)``, ``landmarks`` in the style of a data set's annotation.
        posed_annotated_landmarks: ``(N, 68, 3)``, ``posed_landmarks`` in that style.
    """

    identity: Tensor
    expression: Tensor
    position_map: Tensor
    landmarks: Tensor
    landmark_weights: Tensor
    pose: Pose
    posed_landmarks: Tensor
    annotated_landmarks: Tensor
    posed_annotated_landmarks: Tensor


def split_prediction(prediction: Prediction, sizes: Sequence[int]) -> list[Prediction]:
    """Cut a prediction for concatenated batches into one for each of them."""

    def split(value: Tensor | tuple) -> Sequence:
        if isinstance(value, Tensor):
            return value.split(list(sizes))
        return [type(value)(*parts) for parts in zip(*map(split, value), strict=True)]

    return split(prediction)


def join_predictions(predictions: Sequence[Prediction]) -> Prediction:
    """The inverse of :func:`split_prediction`."""

    def join(values: Sequence) -> Tensor | tuple:
        if isinstance(values[0], Tensor):
            return torch.cat(list(values))
        return type(values[0])(*(join(parts) for parts in zip(*values, strict=True)))

    return join(predictions)


class PoseGuidanceNetwork(nn.Module):
    """3D face, landmarks and head pose from a face crop (after Liu et al., ACCV 2020).

    The network predicts identity and expression coefficients of a morphable model and, beside
    them, a UV position map. The 3D landmarks read from the map and the landmarks of the predicted
    shape determine the pose in closed form, so a landmark label teaches pose and shape alike, and
    gradients flow through the solution. The paper's full text was not at hand: the layers are our
    design.

    The face model is not part of the state dict; whoever stores the weights records its name.

    Args:
        model: the face model, whose coefficients are predicted.
        config: the architecture.

    Attributes:
        landmark_offsets: parameter ``(68, 3)`` mm in model space: from each landmark vertex of the
            model to the point that a data set's annotators mark. Zero unless trained.
        pose_offset: buffer ``(3, 3)``, the constant rotation from a data set's frontal head to the
            model's. Identity unless calibrated.
        atlas: the UV atlas of the position map.
    """

    def __init__(self, model: MorphableModel, config: NetworkConfig | None = None):
        super().__init__()
        self.config = config = config or NetworkConfig()
        self.model = model
        self.atlas = UVAtlas(model, config.map_size)
        self.encoder = build_encoder(config.encoder)
        code_size = config.code_size
        grid = config.image_size // ENCODER_STRIDE
        self.code_head = CodeHead(self.encoder.channels[-1], grid, code_size)
        self.map_head = PositionMapHead(code_size, config.map_size)
        self.coefficient_head = CoefficientHead(
            code_size, model.identity_count, model.expression_count
        )
        self.identity_regression = IdentityRegression(
            self.encoder.channels[-1], grid, model.identity_count
        )
        solved = config.pose == "solved"
        self.pose_head = None if solved else PoseHead(code_size)
        self.confidence_head = (
            ConfidenceHead(code_size, len(model.landmarks))
            if solved and config.landmark_confidence
            else None
        )
        self.landmark_offsets = nn.Parameter(torch.zeros(len(model.landmarks), 3))
        self.register_buffer("pose_offset", torch.eye(3))
        self._register_mean_face()
        for name, values in (("mean", PIXEL_MEAN), ("deviation", PIXEL_DEVIATION)):
            values = torch.tensor(values)[:, None, None]
            self.register_buffer(f"_pixel_{name}", values, persistent=False)

    def _register_mean_face(self) -> None:
        """The mean face seen from the front and filling a crop, in half image sides."""
        model = self.model
        landmarks = flip_axes(model.mean[model.landmarks])
        low, high = landmarks.amin(0), landmarks.amax(0)
        centre = (low + high) / 2
        centre[2] = landmarks[:, 2].mean()
        scale = 2 / BOX_SCALE / (high - low)[:2].max()
        mean_map = self.atlas.bake((flip_axes(model.mean) - centre) * scale)
        values = {
            "_mean_map": mean_map,
            "_mean_landmarks": (landmarks - centre) * scale,
            "_mean_scale": scale,
            "_mean_shift": -scale * centre,
            "_image_centre": torch.tensor((1.0, 1.0, 0.0)),
        }
        for name, value in values.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, image: Tensor) -> Prediction:
        """Predict from face crops ``(N, 3, S, S)``, RGB in [0, 1].

        Raises:
            TypeError: for an image that is not floating point.
            ValueError: for another shape than the configuration's.
        """
        self._check(image)
        image = (image - self._pixel_mean) / self._pixel_deviation
        features = self.encoder(image.contiguous(memory_format=torch.channels_last))
        code = self.code_head(features)
        parameters = self.map_head(code)
        identity, expression = self.coefficient_head(code)
        with _full_precision(image.device.type):
            identity = identity + self.identity_regression(features)
            position_map, landmarks = self._positions(parameters)
            weights = (
                landmarks.new_ones(landmarks.shape[:2])
                if self.confidence_head is None
                else self.confidence_head(code.float())
            )
            pose = None
            if self.pose_head is not None:
                points = self.model.landmark_points(identity, expression)
                pose = self._regressed_pose(code.float(), points)
            return self.complete(identity, expression, position_map, landmarks, weights, pose)

    def complete(
        self,
        identity: Tensor,
        expression: Tensor,
        position_map: Tensor,
        landmarks: Tensor,
        weights: Tensor,
        pose: Pose | None = None,
    ) -> Prediction:
        """The pose solved from landmarks, unless it is given, and all that follows from it.

        The arguments are those of :class:`Prediction`.
        """
        points = self.model.landmark_points(identity, expression)
        if pose is None:
            pose = solve_head_pose(points, landmarks, weights)
        posed = apply_pose(pose, points)
        offsets = pose.scale[:, None, None] * (
            self.landmark_offsets @ pose.image_rotation.transpose(-1, -2)
        )
        return Prediction(
            identity=identity,
            expression=expression,
            position_map=position_map,
            landmarks=landmarks,
            landmark_weights=weights,
            pose=pose,
            posed_landmarks=posed,
            annotated_landmarks=landmarks + offsets,
            posed_annotated_landmarks=posed + offsets,
        )

    def for_inference(self) -> PoseGuidanceNetwork:
        """The network itself in evaluation mode, its weights laid out for speed.

        Convolution weights become channels-last, as the images are: else those of small batches are
        copied at every call, a fifth of the time. (safetensors wants them ``.contiguous()`` again;
        :func:`pgnface.training.save_weights` sees to that.)
        """
        for part in (self.encoder, self.code_head, self.map_head):
            part.to(memory_format=torch.channels_last)
        return self.eval()

    def vertices(self, prediction: Prediction) -> Tensor:
        """The predicted face ``(N, V, 3)`` in image space."""
        return self.model.vertices(prediction.identity, prediction.expression, prediction.pose)

    def annotated_rotation(self, pose: Pose) -> Tensor:
        """Rotations ``(..., 3, 3)`` against the frontal head of a data set's annotation."""
        return pose.rotation @ self.pose_offset

    def _positions(self, parameters: MapParameters) -> tuple[Tensor, Tensor]:
        """Position map and landmarks in pixels.

        The mean face's landmarks are placed exactly and only the displacement is read from the map,
        which spares them the map's sampling error.
        """
        linear, shift, displacement = parameters
        size = displacement.shape[-2:]
        position_map = (linear @ self._mean_map.flatten(1)).unflatten(-1, size)
        position_map = position_map + shift[..., None, None] + displacement
        landmarks = self._mean_landmarks @ linear.transpose(-1, -2) + shift[:, None]
        landmarks = landmarks + self.atlas.sample(displacement, self.atlas.landmark_uv)
        half = self.config.image_size / 2
        depth = torch.cat((torch.zeros_like(shift[:, :2]), landmarks[..., 2:].mean(1)), 1)
        origin = self._image_centre - depth
        return (position_map + origin[..., None, None]) * half, (landmarks + origin[:, None]) * half

    def _regressed_pose(self, code: Tensor, points: Tensor) -> Pose:
        """The regressed pose in pixels and millimetres, z zero at the landmarks' mean."""
        half = self.config.image_size / 2
        factor, rotation, translation = self.pose_head(code)
        scale = factor * self._mean_scale * half
        translation = (translation + self._mean_shift + self._image_centre) * half
        depth = apply_pose(Pose(scale, rotation, torch.zeros_like(translation)), points)[..., 2]
        return Pose(
            scale, rotation, torch.cat((translation[:, :2], -depth.mean(1, keepdim=True)), 1)
        )

    def _check(self, image: Tensor) -> None:
        size = self.config.image_size
        if not isinstance(image, Tensor) or not image.is_floating_point():
            kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise TypeError(
                f"PoseGuidanceNetwork: image must be a floating-point tensor in [0, 1], got {kind}"
            )
        if image.dim() != 4 or image.shape[1:] != (3, size, size):
            raise ValueError(
                f"PoseGuidanceNetwork: image must have shape (N, 3, {size}, {size}), "
                f"got {tuple(image.shape)}"
            )


def _full_precision(device: str) -> AbstractContextManager:
    """What geometry runs in: bfloat16 pixels would be off by half a pixel.

    Nothing where no autocast is on, which exporters could not follow.
    """
    on = torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if on else nullcontext()
