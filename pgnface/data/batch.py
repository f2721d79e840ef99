"""The batch that every data source yields and every loss reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..geometry import Pose


class KnownLabels(NamedTuple):
    """Which labels some subject or frame of a batch has, as plain bools.

    A loss that asked the labels themselves would wait for the GPU.

    Attributes:
        landmarks: some coordinate of a landmark.
        annotated: landmarks in the style of a data set's annotation.
        coefficients: identity, expression and the exact pose.
        no_coefficients: a subject *without* them.
        rotation: a head's rotation against the face model's own frontal view.
        same_image: frames that are crops of one photo.
        different_images: frames that are not.
    """

    landmarks: bool
    annotated: bool
    coefficients: bool
    no_coefficients: bool
    rotation: bool
    same_image: bool
    different_images: bool

    @classmethod
    def of(cls, batch: FaceBatch) -> KnownLabels:
        """Look at the labels of a batch."""
        own_frontal = batch.pose_weight * ~batch.annotated[:, None]
        answers = (
            batch.landmark_weights > 0,
            batch.annotated,
            batch.coefficient_weight > 0,
            batch.coefficient_weight == 0,
            own_frontal > 0,
            batch.same_image,
            ~batch.same_image,
        )
        return cls(*torch.stack([answer.any() for answer in answers]).tolist())

    @classmethod
    def any(cls, several: Sequence[KnownLabels]) -> KnownLabels:
        """What some of several batches have."""
        return cls(*map(any, zip(*several, strict=True)))


@dataclass
class FaceBatch:
    """Face crops and what is known of them: ``B`` subjects, ``F`` frames of each, ``S`` pixels.

    A label that is not known is zero and carries a weight of zero, so that losses need no special
    cases. Points are in pixels of the crop: x right, y down, the crop's top-left corner at (0, 0)
    (pixel centres at +0.5), z into the scene, in the same unit, its zero arbitrary.

    Attributes:
        image: ``(B, F, 3, S, S)`` RGB in [0, 1].
        landmarks: ``(B, F, 68, 3)`` iBUG points.
        landmark_weights: ``(B, F, 68, 3)`` per coordinate; labels known in 2D only have 0 for z.
        annotated: ``(B,)`` bool; the landmarks follow the style of a data set's annotation, and the
            pose its frontal view, rather than the face model's own vertices.
        identity: ``(B, I)`` in standard deviations.
        expression: ``(B, F, E)``; 1 is the full expression.
        coefficient_weight: ``(B,)`` of identity and expression; where positive, ``pose`` is exact
            in scale and translation too.
        pose: :class:`~pgnface.geometry.Pose` of ``(B, F)`` faces, model space to crop pixels.
        pose_weight: ``(B, F)`` of the pose's *rotation*. The scale and translation of an annotated
            pose belong to another face model and are never to be compared with ours.
        warp: ``(B, F, 2, 3)`` affine that takes crop pixels to pixels of the photo, never a
            mirrored one: a flip is taken as a property of the photo.
        same_image: ``(B,)`` bool; the frames are crops of one photo, so that ``warp`` maps them
            onto each other.
        names: ``B`` strings that say where a subject comes from, for reports.
    """

    image: Tensor
    landmarks: Tensor
    landmark_weights: Tensor
    annotated: Tensor
    identity: Tensor
    expression: Tensor
    coefficient_weight: Tensor
    pose: Pose
    pose_weight: Tensor
    warp: Tensor
    same_image: Tensor
    names: list[str] = field(default_factory=list)
    _known: KnownLabels | None = field(default=None, init=False, repr=False, compare=False)

    def __setattr__(self, name: str, value: object) -> None:
        if name != "_known":  # new labels: what was remembered of the old ones is void
            super().__setattr__("_known", None)
        super().__setattr__(name, value)

    def __post_init__(self) -> None:
        if self.image.dim() != 5 or self.image.shape[2] != 3:
            raise ValueError(
                f"FaceBatch: image must have shape (B, F, 3, S, S), got {tuple(self.image.shape)}"
            )
        subjects, frames = self.image.shape[:2]
        leading = {
            "landmarks": (subjects, frames, 68, 3),
            "landmark_weights": (subjects, frames, 68, 3),
            "annotated": (subjects,),
            "identity": (subjects,),
            "expression": (subjects, frames),
            "coefficient_weight": (subjects,),
            "pose_weight": (subjects, frames),
            "warp": (subjects, frames, 2, 3),
            "same_image": (subjects,),
        }
        for name, expected in leading.items():
            _require_leading(name, getattr(self, name), expected)
        for name, expected in zip(Pose._fields, ((), (3, 3), (3,)), strict=True):
            _require_leading(
                f"pose.{name}", getattr(self.pose, name), (subjects, frames, *expected)
            )
        if len(self.names) != subjects:
            raise ValueError(
                f"FaceBatch: names must have {subjects} entries, got {len(self.names)}"
            )

    @classmethod
    def create(
        cls, image: Tensor, *, identity_count: int = 0, expression_count: int = 0, **labels
    ) -> FaceBatch:
        """A batch of images ``(B, F, 3, S, S)`` with the labels given; the rest is unknown.

        Args:
            image: the crops.
            identity_count: ``I`` for a batch without an ``identity`` label.
            expression_count: ``E`` for a batch without an ``expression`` label.
            **labels: any other attributes of :class:`FaceBatch`.
        """
        subjects, frames = image.shape[:2]
        zeros = image.new_zeros
        eye = torch.eye(3, dtype=image.dtype, device=image.device)
        unknown: dict[str, Callable[[], object]] = {
            "landmarks": lambda: zeros(subjects, frames, 68, 3),
            "landmark_weights": lambda: zeros(subjects, frames, 68, 3),
            "annotated": lambda: zeros(subjects, dtype=torch.bool),
            "identity": lambda: zeros(subjects, identity_count),
            "expression": lambda: zeros(subjects, frames, expression_count),
            "coefficient_weight": lambda: zeros(subjects),
            "pose": lambda: Pose(
                image.new_ones(subjects, frames),
                eye.expand(subjects, frames, 3, 3).clone(),
                zeros(subjects, frames, 3),
            ),
            "pose_weight": lambda: zeros(subjects, frames),
            "warp": lambda: eye[:2].expand(subjects, frames, 2, 3).clone(),
            "same_image": lambda: zeros(subjects, dtype=torch.bool),
            "names": lambda: [""] * subjects,
        }
        filled = {name: make() for name, make in unknown.items() if name not in labels}
        return cls(image=image, **filled, **labels)

    @property
    def subjects(self) -> int:
        """``B``."""
        return self.image.shape[0]

    @property
    def frames(self) -> int:
        """``F``, frames of each subject."""
        return self.image.shape[1]

    @property
    def images(self) -> Tensor:
        """The crops as one stack ``(B * F, 3, S, S)``, subject by subject."""
        return self.image.flatten(0, 1)

    @property
    def known(self) -> KnownLabels:
        """Which labels there are. A moved batch remembers what it held when it was moved, so that
        nobody waits for a GPU.
        """
        return self._known or KnownLabels.of(self)

    def to(self, *args, **kwargs) -> FaceBatch:
        """The batch moved, as :meth:`torch.Tensor.to` moves a tensor (device, ``non_blocking``)."""
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self, device=None) -> FaceBatch:
        """The batch in page-locked memory; called by :class:`torch.utils.data.DataLoader`."""
        return self._map(lambda tensor: tensor.pin_memory(device))

    def _map(self, function: Callable[[Tensor], Tensor]) -> FaceBatch:
        changed = {name: function(getattr(self, name)) for name in _TENSORS}
        moved = replace(self, pose=Pose(*map(function, self.pose)), **changed)
        moved._known = self.known
        return moved


_TENSORS = [entry.name for entry in fields(FaceBatch) if entry.type == "Tensor"]


def concatenate(batches: Sequence[FaceBatch]) -> FaceBatch:
    """One batch of the subjects of several, which must agree in frames and sizes.

    Raises:
        ValueError: for no batch, or batches with different frames, image sizes or coefficients.
    """
    if not batches:
        raise ValueError("concatenate: batches must not be empty")

    def sizes(batch: FaceBatch) -> tuple[int, ...]:
        return (*batch.image.shape[1:], batch.identity.shape[-1], batch.expression.shape[-1])

    if len({sizes(batch) for batch in batches}) > 1:
        raise ValueError(
            "concatenate: batches must agree in (F, 3, S, S, I, E), got "
            + ", ".join(str(sizes(batch)) for batch in batches)
        )
    joined = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in _TENSORS}
    pose = Pose(*(torch.cat(parts) for parts in zip(*(b.pose for b in batches), strict=True)))
    names = [name for batch in batches for name in batch.names]
    return FaceBatch(pose=pose, names=names, **joined)


def _require_leading(name: str, tensor: Tensor, expected: tuple[int, ...]) -> None:
    if tuple(tensor.shape[: len(expected)]) != expected:
        raise ValueError(
            f"FaceBatch: {name} must have leading shape {expected}, got {tuple(tensor.shape)}"
        )
