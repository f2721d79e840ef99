"""One identity from several frames of a person."""

from __future__ import annotations

from torch import Tensor

from pgnface.geometry import apply_pose, solve_head_pose
from pgnface.networks import PoseGuidanceNetwork, Prediction
from pgnface.networks.inference import fit_error, model_on_cpu, to_cpu

#: How the identities of a person's frames become one.
METHODS = ("mean", "weighted", "unshrunk")


def frame_weights(prediction: Prediction) -> Tensor:
    """How much each frame says about the person ``(F,)``, of sum 1.

    One over the square of the disagreement between the two kinds of landmarks, which is a measure
    of a frame's error that needs no truth.
    """
    gap = fit_error(prediction)
    precision = gap.clamp(min=1e-3 * float(gap.max())).square().reciprocal()
    return precision / precision.sum()


def fuse_identity(identity: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean ``(..., I)`` of the identities ``(..., F, I)`` of a person's frames.

    Args:
        identity: coefficients.
        weights: ``(..., F)`` not negative, such as one over the variance of each frame; equal when
            missing.

    Raises:
        ValueError: for wrong shapes, or weights that are negative or leave nothing.
    """
    if identity.dim() < 2 or identity.shape[-2] < 1:
        raise ValueError(f"identity: expected shape (..., F, I), got {tuple(identity.shape)}")
    if weights is None:
        return identity.mean(-2)
    if weights.shape != identity.shape[:-1]:
        raise ValueError(
            f"weights: expected shape {tuple(identity.shape[:-1])}, got {tuple(weights.shape)}"
        )
    if bool((weights < 0).any()) or not bool((weights.sum(-1) > 0).all()):
        raise ValueError("weights must not be negative, and some of them above 0")
    share = weights / weights.sum(-1, keepdim=True)
    return (share[..., None] * identity).sum(-2)


def unshrunk_identity(network: PoseGuidanceNetwork, identity: Tensor) -> Tensor:
    """The mean ``(I,)`` of the identities ``(F, I)`` of a person's frames, moved away from the mean
    face as far as several frames allow.

    The best guess from one frame lies between what the frame shows and the mean face. Of guesses
    whose product with the truth is on average a, with each other c and with themselves c + w, the
    best linear guess from the mean of F frames is that mean times a / (c + w / F). Frames that
    differ less than w share their errors, as neighbouring frames of a video do, and count for less.
    A single frame's guess stays as it is.

    Args:
        network: that predicted; a, c and w are those of its ``identity_regression``.
        identity: coefficients.
    """
    mean = fuse_identity(identity)
    regression, count = network.identity_regression, identity.shape[-2]
    spread = float(regression.spread)
    if count == 1 or spread == 0:
        return mean
    differing = min(1.0, float(identity.var(-2).sum(-1)) / spread)
    noise = spread * (1 - differing + differing / count)
    return mean * float(regression.signal / (regression.shared + noise))


def one_identity(
    network: PoseGuidanceNetwork, prediction: Prediction, method: str = "mean"
) -> Tensor:
    """The identity ``(I,)`` of the one person in a prediction's frames.

    Args:
        network: that predicted.
        prediction: of ``F`` frames.
        method: one of :data:`METHODS`.

    Raises:
        ValueError: for another method.
    """
    if method == "mean":
        return fuse_identity(prediction.identity)
    if method == "weighted":
        return fuse_identity(prediction.identity, frame_weights(prediction))
    if method == "unshrunk":
        return unshrunk_identity(network, prediction.identity)
    raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")


def share_identity(
    network: PoseGuidanceNetwork, prediction: Prediction, identity: Tensor | None = None
) -> Prediction:
    """A prediction whose frames all show one person, on the CPU.

    Expressions and the position map stay; where the pose is solved it is solved anew, so that every
    frame's face lies on its landmarks.

    Args:
        network: that predicted.
        prediction: of ``F`` frames, in pixels of any picture.
        identity: ``(I,)`` of the person; :func:`unshrunk_identity` of the frames' when missing.

    Raises:
        ValueError: for an identity of another size.
    """
    prediction, model = to_cpu(prediction), model_on_cpu(network.model)
    if identity is None:
        identity = unshrunk_identity(network, prediction.identity)
    if identity.shape != (model.identity_count,):
        raise ValueError(
            f"identity: expected shape ({model.identity_count},), got {tuple(identity.shape)}"
        )
    shared = identity.cpu().expand_as(prediction.identity)
    points = model.landmark_points(shared, prediction.expression)
    pose = prediction.pose
    if network.pose_head is None:
        pose = solve_head_pose(points, prediction.landmarks, prediction.landmark_weights)
    posed = apply_pose(pose, points)
    offsets = network.landmark_offsets.detach().cpu() @ pose.image_rotation.mT
    offsets = pose.scale[:, None, None] * offsets
    return prediction._replace(
        identity=shared,
        pose=pose,
        posed_landmarks=posed,
        annotated_landmarks=prediction.landmarks + offsets,
        posed_annotated_landmarks=posed + offsets,
    )
