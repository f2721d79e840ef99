"""The objective: every loss that the labels of a mixed batch allow, weighted and summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pgnface.data.batch import FaceBatch, KnownLabels
from pgnface.data.cropping import BOX_SCALE
from pgnface.losses import (
    box_size,
    coefficient_loss,
    coefficient_prior,
    equivariance_loss,
    identity_consistency_loss,
    landmark_agreement_loss,
    landmark_loss,
    map_agreement_loss,
    multiframe_photometric_loss,
    offset_prior,
    position_map_loss,
    position_map_weights,
    rotation_loss,
    shape_gram,
    shape_loss,
)
from pgnface.networks import join_predictions

from .config import LossWeights, MultiframeConfig

if TYPE_CHECKING:
    from pgnface.networks import PoseGuidanceNetwork, Prediction

Term = dict[str, Tensor]


class _Labels(NamedTuple):
    """Labels by image: the batches' subjects and frames in one row of ``N``."""

    landmarks: Tensor
    landmark_weights: Tensor
    annotated: Tensor
    identity: Tensor
    expression: Tensor
    coefficient_weight: Tensor
    rotation: Tensor
    scale: Tensor
    translation: Tensor
    rotation_weight: Tensor

    @classmethod
    def of(cls, batch: FaceBatch) -> _Labels:
        def by_image(value: Tensor) -> Tensor:
            return value.repeat_interleave(batch.frames, 0)

        return cls(
            landmarks=batch.landmarks.flatten(0, 1),
            landmark_weights=batch.landmark_weights.flatten(0, 1),
            annotated=by_image(batch.annotated),
            identity=by_image(batch.identity),
            expression=batch.expression.flatten(0, 1),
            coefficient_weight=by_image(batch.coefficient_weight),
            rotation=batch.pose.rotation.flatten(0, 1),
            scale=batch.pose.scale.flatten(),
            translation=batch.pose.translation.flatten(0, 1),
            rotation_weight=batch.pose_weight.flatten(),
        )

    @classmethod
    def of_all(cls, batches: Sequence[FaceBatch]) -> _Labels:
        return cls(*map(torch.cat, zip(*map(cls.of, batches), strict=True)))


class Objective:
    """The weighted sum of losses over the batches of a step.

    Every term is a mean over the images that have its label, so a source of few labelled images
    teaches as much by them as one of many. Lengths are relative to the side of the crop,
    those of labelled landmarks to what it would be around a square box of their box's area.

    Args:
        network: whose predictions are judged; on its final device already.
        weights: of the terms; those of weight 0 are not computed.
        multiframe: how much of the batches the multi-frame photometric terms look at.
    """

    def __init__(
        self,
        network: PoseGuidanceNetwork,
        weights: LossWeights,
        multiframe: MultiframeConfig | None = None,
    ) -> None:
        self.network = network
        self.weights = weights
        self.multiframe = multiframe or MultiframeConfig()
        model = network.model
        self._identity_gram = shape_gram(model.identity_basis)
        self._expression_gram = shape_gram(model.expression_basis)
        self._map_weights = position_map_weights(network.atlas)
        # Eyes turn and mouths open: their colours do not stay with their vertices.
        names = model.region_names
        self._skin = model.regions == names.index("skin") if "skin" in names else None

    def __call__(
        self, batches: Sequence[FaceBatch], predictions: Sequence[Prediction], *, step: int = 0
    ) -> Term:
        """Terms of the objective.

        Args:
            batches: of one step.
            predictions: of the network for ``batch.images`` of each.
            step: updates done, for terms that are not computed in every step.

        Returns:
            The unweighted terms by their name in :class:`LossWeights`, and ``total``, the weighted
            sum. A term that no label of the batches allows is left out.
        """
        labels, prediction = _Labels.of_all(batches), join_predictions(predictions)
        known = KnownLabels.any([batch.known for batch in batches])
        size = float(batches[0].image.shape[-1])
        terms = {
            **self._landmarks(labels, prediction, known, size),
            **self._position_map(batches, predictions, size),
            **self._rotation(labels, prediction, known),
            **self._coefficients(labels, prediction, known),
            **self._agreement(prediction, size),
            **self._frames(batches, predictions, size, step),
        }
        weighted = [getattr(self.weights, name) * value for name, value in terms.items()]
        # A batch without any usable label still needs a loss that has a gradient.
        total = torch.stack(weighted).sum() if weighted else 0 * prediction.landmarks.sum()
        return {**terms, "total": total}

    def _landmarks(
        self, labels: _Labels, prediction: Prediction, known: KnownLabels, size: float
    ) -> Term:
        terms = {}
        if not known.landmarks:
            return terms
        styled = labels.annotated[:, None, None]
        # As large as the crop for a face seen from the front, and smaller for a profile.
        face = BOX_SCALE * box_size(labels.landmarks, labels.landmark_weights, size / BOX_SCALE)
        for name, own, annotated in (
            ("landmarks", prediction.landmarks, prediction.annotated_landmarks),
            (
                "posed_landmarks",
                prediction.posed_landmarks,
                prediction.posed_annotated_landmarks,
            ),
        ):
            if getattr(self.weights, name):
                points = torch.where(styled, annotated, own)
                terms[name] = landmark_loss(points, labels.landmarks, labels.landmark_weights, face)
        if self.weights.offset_prior and known.annotated:
            terms["offset_prior"] = offset_prior(self.network.landmark_offsets)
        return terms

    def _position_map(
        self, batches: Sequence[FaceBatch], predictions: Sequence[Prediction], size: float
    ) -> Term:
        pairs = zip(batches, predictions, strict=True)
        dense = [pair for pair in pairs if pair[0].known.coefficients]
        if not dense or not self.weights.position_map:
            return {}
        batches, predictions = zip(*dense, strict=True)
        labels, prediction = _Labels.of_all(batches), join_predictions(predictions)
        with torch.no_grad():
            pose = type(prediction.pose)(labels.scale, labels.rotation, labels.translation)
            vertices = self.network.model.vertices(labels.identity, labels.expression, pose)
            target = self.network.atlas.bake(vertices)
        weights = self._map_weights * (labels.coefficient_weight > 0)[:, None, None]
        return {"position_map": position_map_loss(prediction.position_map, target, weights, size)}

    def _rotation(self, labels: _Labels, prediction: Prediction, known: KnownLabels) -> Term:
        if not known.rotation or not self.weights.rotation:
            return {}
        # An annotated rotation is against another model's frontal head.
        weight = labels.rotation_weight * ~labels.annotated
        return {"rotation": rotation_loss(prediction.pose.rotation, labels.rotation, weight)}

    def _coefficients(self, labels: _Labels, prediction: Prediction, known: KnownLabels) -> Term:
        terms = {}
        weight = labels.coefficient_weight
        if known.coefficients:
            for name in ("identity", "expression"):
                if getattr(self.weights, name):
                    terms[name] = coefficient_loss(
                        getattr(prediction, name), getattr(labels, name), weight
                    )
            if self.weights.shape:
                terms["shape"] = shape_loss(
                    prediction.identity, labels.identity, self._identity_gram, weight
                ) + shape_loss(
                    prediction.expression, labels.expression, self._expression_gram, weight
                )
        if known.no_coefficients:
            # Where the truth is known there is nothing to believe beforehand.
            unknown = (weight == 0).to(weight.dtype)
            for name in ("identity", "expression"):
                if getattr(self.weights, f"{name}_prior"):
                    terms[f"{name}_prior"] = coefficient_prior(getattr(prediction, name), unknown)
        return terms

    def _agreement(self, prediction: Prediction, size: float) -> Term:
        terms = {}
        if self.weights.agreement:
            terms["agreement"] = landmark_agreement_loss(
                prediction.posed_landmarks, prediction.landmarks, size
            )
        if self.weights.map_agreement:
            terms["map_agreement"] = map_agreement_loss(
                self.network.vertices(prediction),
                prediction.position_map,
                self.network.atlas,
                size,
            )
        return terms

    def _frames(
        self,
        batches: Sequence[FaceBatch],
        predictions: Sequence[Prediction],
        size: float,
        step: int,
    ) -> Term:
        """Terms between the frames of one subject: means over the batches with several frames."""
        collected: dict[str, list[Tensor]] = {}

        def add(name: str, value: Tensor) -> None:
            collected.setdefault(name, []).append(value)

        settings = self.multiframe
        photometric = self.weights.photometric or self.weights.census
        due = step >= settings.start and step % settings.every == 0
        for batch, prediction in zip(batches, predictions, strict=True):
            if batch.frames < 2:
                continue
            shape = (batch.subjects, batch.frames)
            if self.weights.consistency:
                identity = prediction.identity.unflatten(0, shape)
                add("consistency", identity_consistency_loss(identity, self._identity_gram))
            if self.weights.equivariance and batch.known.same_image:
                landmarks = prediction.landmarks.unflatten(0, shape)
                add(
                    "equivariance", equivariance_loss(landmarks, batch.warp, batch.same_image, size)
                )
            if photometric and due and batch.known.different_images:
                for name, value in self._photometric(batch, prediction).items():
                    add(name, value)
        return {name: torch.stack(values).mean() for name, values in collected.items()}

    def _photometric(self, batch: FaceBatch, prediction: Prediction) -> Term:
        """Texture swaps between the frames of a few people."""
        # Crops of one photo show one view, and agree whatever the shape: others come first.
        order = batch.same_image.to(torch.uint8).argsort(stable=True)
        chosen = order[: self.multiframe.subjects]
        shape = (batch.subjects, batch.frames)

        def of_chosen(value: Tensor) -> Tensor:
            return value.unflatten(0, shape)[chosen]

        vertices = self.network.model.vertices(
            of_chosen(prediction.identity),
            of_chosen(prediction.expression),
            type(prediction.pose)(*map(of_chosen, prediction.pose)),
        )
        result = multiframe_photometric_loss(
            batch.image[chosen],
            vertices,
            self.network.model.adjacency,
            weights=~batch.same_image[chosen],
            vertex_mask=self._skin,
        )
        terms = {"photometric": result.robust, "census": result.census}
        return {name: value for name, value in terms.items() if getattr(self.weights, name)}
