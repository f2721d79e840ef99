"""Other people's implementations of the same computation, measured where they are installed.

``pip install ".[bench]"`` brings RoMa, libigl, rtree and ONNX Runtime. pytorch3d is used where it
can be imported, nvdiffrast (on PyPI as ``diffrp-nvdiffrast``) on CUDA.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor

from pgnface.bench.case import Case

_CLEANED_UP = TemporaryDirectory(prefix="pgnface-benchmarks-")
_FOLDER = Path(_CLEANED_UP.name)  # of exported networks
KIT = Path(__file__).resolve().parents[2] / "shared" / "data"


def versions() -> dict[str, str]:
    """Of the peers that are installed."""
    packages = {
        "roma": "roma",
        "pytorch3d": "pytorch3d",
        "nvdiffrast": "diffrp-nvdiffrast",
        "igl": "libigl",
        "trimesh": "trimesh",
        "onnxruntime": "onnxruntime",
    }
    found = {}
    for name, package in packages.items():
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(package)
    return found


def find(name: str, case: Case) -> Callable:
    """A peer's function with the inputs and outputs of the case; skips the test without it."""
    makers = {
        "roma": _roma,
        "pytorch3d": _pytorch3d,
        "nvdiffrast": _nvdiffrast,
        "igl": _igl,
        "trimesh": _trimesh,
        "onnxruntime": _onnxruntime,
    }
    return makers[name](case)


def _import(name: str, how: str = ""):
    return pytest.importorskip(name, reason=f"{name} is missing: {how}", exc_type=ImportError)


def _roma(case: Case) -> Callable:
    roma = _import("roma", "pip install .[bench]")

    def solve(source: Tensor, target: Tensor, weights: Tensor | None = None):
        rotation, translation, scale = roma.rigid_points_registration(
            source, target, weights, compute_scaling=True
        )
        return scale, rotation, translation

    return solve


def _pytorch3d(case: Case) -> Callable:
    meshes = _import("pytorch3d.renderer.mesh.rasterize_meshes", "build pytorch3d from source")
    structures = _import("pytorch3d.structures")
    scene = case.scene

    def rasterize(vertices: Tensor):
        # Its axes: x to the left and y up in [-1, 1], z into the scene and positive.
        points = torch.cat((1 - 2 * vertices[..., :2] / scene.size, vertices[..., 2:] + 1e3), -1)
        triangles = scene.triangles.long().expand(len(vertices), -1, -1)
        mesh = structures.Meshes(verts=points, faces=triangles)
        _, depth, barycentrics, _ = meshes.rasterize_meshes(
            mesh, scene.size, blur_radius=0.0, faces_per_pixel=1, bin_size=0
        )
        return barycentrics[..., 0, :2].contiguous(), depth[..., 0].contiguous()

    return rasterize


def _nvdiffrast(case: Case) -> Callable:
    if not case.inputs[0].is_cuda:
        pytest.skip("nvdiffrast runs on CUDA")
    dr = _import("nvdiffrast.torch", "pip install diffrp-nvdiffrast")
    scene, context = case.scene, dr.RasterizeCudaContext()
    size = [scene.size, scene.size]

    def draw(vertices: Tensor) -> tuple[Tensor, Tensor]:
        """Clip-space positions of an orthographic camera, and what it rasterizes."""
        xy, z = 2 * vertices[..., :2] / scene.size - 1, vertices[..., 2:] / (4 * scene.size)
        positions = torch.cat((xy, z, torch.ones_like(z)), -1)
        return positions, dr.rasterize(context, positions, scene.triangles, size)[0]

    if case.name == "rasterize":

        def rasterize(vertices: Tensor):
            drawn = draw(vertices)[1]
            return drawn[..., :2].contiguous(), drawn[..., 2].contiguous()

        return rasterize

    def render(vertices: Tensor, colors: Tensor) -> Tensor:
        positions, drawn = draw(vertices)
        image = dr.interpolate(colors, drawn, scene.triangles)[0]
        if "edges" in case.name:
            image = dr.antialias(image, drawn, positions, scene.triangles)
        return image

    return render


def _igl(case: Case) -> Callable:
    igl = _import("igl", "pip install .[bench]")
    triangles = _on_cpu(case).long().numpy()

    def search(points: Tensor, vertices: Tensor):
        squares, _, closest = igl.point_mesh_squared_distance(
            points.detach().numpy(), vertices.detach().numpy(), triangles
        )
        return torch.from_numpy(squares).sqrt(), torch.from_numpy(closest)

    return search


def _trimesh(case: Case) -> Callable:
    _import("rtree", "pip install .[bench]")
    import trimesh

    triangles = _on_cpu(case).numpy()

    def search(points: Tensor, vertices: Tensor):
        mesh = trimesh.Trimesh(vertices.detach().numpy(), triangles, process=False)
        closest, distances, _ = trimesh.proximity.closest_point(mesh, points.detach().numpy())
        return torch.from_numpy(distances), torch.from_numpy(closest)

    return search


def _on_cpu(case: Case) -> Tensor:
    """The triangles of a case that must be on the CPU."""
    if case.inputs[0].is_cuda:
        pytest.skip("runs on the CPU")
    return case.triangles


def _onnxruntime(case: Case) -> Callable:
    """The same network, exported; on the CPU, with as many threads as torch."""
    if case.inputs[0].is_cuda:
        pytest.skip("ONNX Runtime is measured on the CPU")
    for package in ("onnxscript", "onnxruntime"):
        _import(package, "pip install .[bench]")
    from pgnface.export import FaceSession, NamedOutputs, save_onnx

    network = case.run.network
    path = _FOLDER / f"{network.config.encoder}-{network.config.image_size}.onnx"
    if not path.exists():  # the weights are the same in every test
        save_onnx(NamedOutputs(network), path)
    session = FaceSession(path, torch.get_num_threads())
    return lambda images: torch.from_numpy(session.predict(images.numpy())["vertices"])
