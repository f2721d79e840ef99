"""The 3D morphable face model: a mean shape plus linear identity and expression displacements."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pgnface import ops
from pgnface.geometry.landmarks import LANDMARK_COUNT
from pgnface.geometry.pose import Pose

#: How the names of expressions begin that are principal components: either sign, and normally
#: distributed, with coefficients in standard deviations.
PCA_NAME = "pca_"


def array_digest(*arrays: np.ndarray) -> str:
    """Hexadecimal digest of the bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


class MorphableModel(nn.Module):
    """A linear 3D face model (Blanz and Vetter 1999) in millimetres.

    ``vertices = mean + identity @ identity_basis + expression @ expression_basis``

    Model space: x to the subject's left, y up, z out of the face. Identity coefficients are in
    standard deviations; an expression coefficient of 1 is the full expression, or one standard
    deviation of a principal component (named ``pca_0``, ``pca_1`` and so on).

    The tensors are buffers that move with ``.to()`` but stay out of the state dict: a checkpoint
    names its model rather than holding a copy (licensed models must not travel in checkpoints).

    Args:
        mean: ``(V, 3)`` mm.
        identity_basis: ``(I, V, 3)`` mm per standard deviation.
        expression_basis: ``(E, V, 3)`` mm per unit of the expression; E may be 0.
        triangles: ``(T, 3)`` integers, counter-clockwise seen from outside.
        uv: ``(V, 2)`` texture coordinates in [0, 1]; u right, v down, as the axes of an image.
        landmarks: ``(68,)`` vertex ids in iBUG order.
        name: recorded in checkpoints.
        expression_names: one for each expression; numbered when not given.
        license: one line on the terms of use.
        regions: ``(V,)`` numbers into ``region_names`` that tell skin from eyes and mouth; all
            zeros when not given.
        region_names: names of the region numbers.
        digest: what ``digest`` is to be, for a model that is computed from other numbers, since
            computing may round differently on another processor.
        notes: what a reader had to decide or do without, one line each.

    Raises:
        TypeError, ValueError: naming the argument, what was expected and what came, for wrong
            shapes and dtypes, values that are not finite and ids out of range.
    """

    mean: Tensor
    _basis: Tensor
    _steps: Tensor | None
    _repeated: Tensor | None
    triangles: Tensor
    uv: Tensor
    landmarks: Tensor
    regions: Tensor

    def __init__(
        self,
        mean: Tensor,
        identity_basis: Tensor,
        expression_basis: Tensor,
        triangles: Tensor,
        uv: Tensor,
        landmarks: Tensor,
        *,
        name: str = "unnamed",
        expression_names: Sequence[str] | None = None,
        license: str = "",
        regions: Tensor | None = None,
        region_names: Sequence[str] = ("skin",),
        digest: str | None = None,
        notes: Sequence[str] = (),
    ):
        super().__init__()
        _require_floats(mean=mean, identity_basis=identity_basis, uv=uv)
        _require_floats(expression_basis=expression_basis)
        require_shape("mean", mean, (None, 3))
        count = len(mean)
        require_shape("identity_basis", identity_basis, (None, count, 3))
        require_shape("expression_basis", expression_basis, (None, count, 3))
        require_shape("uv", uv, (count, 2))
        if bool((uv < 0).any() | (uv > 1).any()):
            raise ValueError(f"uv: expected values in [0, 1], got {uv.min():g} to {uv.max():g}")
        _require_ids("triangles", triangles, (None, 3), count)
        _require_ids("landmarks", landmarks, (LANDMARK_COUNT,), count)
        if regions is None:
            regions = torch.zeros(count, dtype=torch.uint8)
        _require_ids("regions", regions, (count,), len(region_names))
        expressions = len(expression_basis)
        if expression_names is None:
            expression_names = [f"expression_{i}" for i in range(expressions)]
        if len(expression_names) != expressions:
            raise ValueError(
                f"expression_names: expected {expressions} names as in expression_basis, "
                f"got {len(expression_names)}"
            )

        def buffer(key: str, value: Tensor, dtype: torch.dtype) -> None:
            self.register_buffer(key, value.to(dtype).contiguous(), persistent=False)

        buffer("mean", mean, torch.float32)
        buffer("_basis", torch.cat((identity_basis, expression_basis)), torch.float32)
        buffer("triangles", triangles, torch.int32)
        buffer("uv", uv, torch.float32)
        buffer("landmarks", landmarks, torch.int64)
        buffer("regions", regions, torch.uint8)
        # Landmarks are evaluated at every training step without the other vertices.
        buffer("_landmark_mean", self.mean[self.landmarks], torch.float32)
        buffer("_landmark_basis", self._basis[:, self.landmarks], torch.float32)
        # The rest of a basis in 16 bits; None while `_basis` is in float32.
        self.register_buffer("_steps", None, persistent=False)
        self.register_buffer("_repeated", None, persistent=False)
        self._adjacency: ops.Adjacency | None = None
        self.identity_count = len(identity_basis)
        self.name = name
        self.license = license
        self.expression_names = tuple(str(n) for n in expression_names)
        self.region_names = tuple(str(n) for n in region_names)
        self.notes = tuple(str(n) for n in notes)
        self._digest = digest

    @property
    def digest(self) -> str:
        """Fingerprint of the model's numbers: coefficients mean nothing with another model."""
        if self._digest is not None:
            return self._digest
        tensors = (self.mean, self.basis, self.triangles, self.landmarks)
        return array_digest(*(tensor.detach().cpu().numpy() for tensor in tensors))

    @property
    def vertex_count(self) -> int:
        """V."""
        return len(self.mean)

    @property
    def expression_count(self) -> int:
        """E."""
        return len(self.expression_names)

    @property
    def quantized(self) -> ops.QuantizedBasis | None:
        """The basis in 16 bits after :meth:`quantize_basis`, else None."""
        if self._steps is None:
            return None
        return ops.QuantizedBasis(self._basis, self._steps, self._repeated)

    @property
    def basis(self) -> Tensor:
        """``(I + E, V, 3)``: the identity modes, then the expressions; a copy once quantized."""
        return self._basis if self.quantized is None else self.quantized.dequantize()

    def quantize_basis(self) -> MorphableModel:
        """Keep the basis in 16 bits from now on, and return the model.

        Little more than half the memory and, for small batches, half the time. :meth:`vertices` is
        off by less than 0.001 mm for identities up to 3 and expressions up to 1; landmarks are as
        exact as before. The digest stays: coefficients mean what they meant. Such a model cannot be
        saved, since its exact numbers are gone.
        """
        if self.quantized is None:
            self._digest = self.digest
            reach = torch.ones(len(self._basis), device=self._basis.device)
            reach[: self.identity_count] = 3
            self._basis, self._steps, self._repeated = ops.quantize_basis(self._basis, reach)
        return self

    @property
    def identity_basis(self) -> Tensor:
        """``(I, V, 3)``, a part of ``basis``."""
        return self.basis[: self.identity_count]

    @property
    def expression_basis(self) -> Tensor:
        """``(E, V, 3)``, a part of ``basis``."""
        return self.basis[self.identity_count :]

    @property
    def adjacency(self) -> ops.Adjacency:
        """Which triangles meet at each vertex; built when first asked for on a device."""
        if self._adjacency is None or self._adjacency.triangles.device != self.triangles.device:
            self._adjacency = ops.build_adjacency(self.triangles, self.vertex_count)
        return self._adjacency

    def vertices(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        pose: Pose | None = None,
    ) -> Tensor:
        """Vertices ``(..., V, 3)``: in image space with a pose, else in model space.

        Args:
            identity: ``(..., I)``, zeros when missing.
            expression: ``(..., E)``, zeros when missing.
            pose: of leading dimensions ``(...)``.

        Leading dimensions are broadcast against each other; without any argument there are none.
        Gradients flow to coefficients and pose.
        """
        basis = self._basis if self.quantized is None else self.quantized
        return self._evaluate(self.mean, basis, identity, expression, pose)

    def landmark_points(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        pose: Pose | None = None,
    ) -> Tensor:
        """The landmarks ``(..., 68, 3)`` as :meth:`vertices`, without evaluating the others."""
        return self._evaluate(self._landmark_mean, self._landmark_basis, identity, expression, pose)

    def _evaluate(
        self,
        mean: Tensor,
        basis: Tensor | ops.QuantizedBasis,
        identity: Tensor | None,
        expression: Tensor | None,
        pose: Pose | None,
    ) -> Tensor:
        sizes = {"identity": self.identity_count, "expression": self.expression_count}
        given = {"identity": identity, "expression": expression}
        shapes = [] if pose is None else [pose.scale.shape]
        for key, value in given.items():
            if value is None:
                continue
            if value.dim() == 0 or value.shape[-1] != sizes[key]:
                raise ValueError(
                    f"{key}: expected shape (..., {sizes[key]}), got {tuple(value.shape)}"
                )
            shapes.append(value.shape[:-1])
        leading = torch.broadcast_shapes(*shapes)
        parts = [
            mean.new_zeros(*leading, sizes[key]) if value is None else value.expand(*leading, -1)
            for key, value in given.items()
        ]
        coefficients = (
            torch.cat(parts, dim=-1).flatten(0, -2) if leading else torch.cat(parts)[None]
        )
        placement = {}
        if pose is not None:
            placement = {
                "scale": pose.scale.expand(leading).reshape(-1),
                "rotation": pose.image_rotation.expand(*leading, 3, 3).reshape(-1, 3, 3),
                "translation": pose.translation.expand(*leading, 3).reshape(-1, 3),
            }
        points = ops.evaluate_morphable(mean, basis, coefficients, **placement)
        return points.reshape(*leading, len(mean), 3)

    def extra_repr(self) -> str:
        return (
            f"{self.name!r}, vertices={self.vertex_count}, triangles={len(self.triangles)}, "
            f"identity={self.identity_count}, expression={self.expression_count}"
        )


def _require_floats(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"{name}: expected a floating-point tensor, got {kind}")
        bad = int((~torch.isfinite(tensor)).sum())
        if bad:
            raise ValueError(f"{name}: expected finite values, got {bad} that are not")


def require_shape(name: str, tensor: Tensor, shape: tuple[int | None, ...]) -> None:
    """Check a shape in which ``None`` stands for any size."""
    if tensor.dim() != len(shape) or any(
        want is not None and want != got for want, got in zip(shape, tensor.shape, strict=True)
    ):
        wanted = ", ".join("*" if size is None else str(size) for size in shape)
        raise ValueError(f"{name}: expected shape ({wanted}), got {tuple(tensor.shape)}")


def _require_ids(name: str, ids: Tensor, shape: tuple[int | None, ...], count: int) -> None:
    """Check integers of a shape that lie in [0, count)."""
    if not isinstance(ids, Tensor) or ids.is_floating_point() or ids.dtype == torch.bool:
        kind = ids.dtype if isinstance(ids, Tensor) else type(ids).__name__
        raise TypeError(f"{name}: expected an integer tensor, got {kind}")
    require_shape(name, ids, shape)
    if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= count):
        raise ValueError(
            f"{name}: expected ids from 0 to {count - 1}, got {int(ids.min())} to {int(ids.max())}"
        )
