"""Files of each format, written from a model: what its readers must undo.

Each function writes what the format's authors publish, under the published names, units, orders of
axes and ways of counting, into a folder, and returns the path to load.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from pgnface.morphable import MorphableModel

UM = 1e3  # micrometres in a millimetre


class Parts:
    """A model's arrays as these files hold them: flat vertices, modes in columns."""

    def __init__(self, model: MorphableModel):
        self.mean = model.mean.double().numpy().reshape(-1, 1)
        self.identity, self.identity_std = unit_columns(model.identity_basis)
        self.expression, self.expression_std = unit_columns(model.expression_basis)
        self.triangles = model.triangles.numpy().astype(np.int64)
        self.landmarks = model.landmarks.numpy()
        self.count = len(model.mean)


def unit_columns(basis) -> tuple[np.ndarray, np.ndarray]:
    """Columns of unit length ``(3V, K)`` and their lengths ``(K,)``."""
    columns = basis.double().numpy().reshape(len(basis), -1).T
    lengths = np.linalg.norm(columns, axis=0)
    return columns / lengths, lengths


def write_bfm2009(folder: Path, model: MorphableModel, *, expressions="Exp_Pca.bin") -> Path:
    """``01_MorphableModel.mat`` with seven vertices more than those that have expressions, one of
    them in no triangle, and a triangle that repeats a vertex; and what lies beside it.
    """
    parts = Parts(model)
    rng = np.random.default_rng(0)
    full = parts.count + 7
    kept = np.sort(rng.permutation(full)[: parts.count])
    rows = (3 * kept[:, None] + np.arange(3)).ravel()

    def spread(columns):
        out = rng.normal(size=(3 * full, columns.shape[1])) * 0.01
        out[rows] = columns
        return out

    extra = np.setdiff1d(np.arange(full), kept)[:6]
    triangles = np.concatenate((kept[parts.triangles], extra.reshape(2, 3), [[kept[0]] * 3]))
    savemat(
        folder / "01_MorphableModel.mat",
        {
            "shapeMU": (spread(parts.mean) * UM).astype(np.float32),
            "shapePC": spread(parts.identity).astype(np.float32),
            "shapeEV": parts.identity_std[:, None] * UM,
            "texMU": np.zeros((3 * full, 1), np.float32),
            "tl": triangles[:, ::-1].astype(np.float64) + 1,  # clockwise
        },
    )
    savemat(
        folder / "model_info.mat",
        {"trimIndex": kept[:, None] + 1, "keypoints": parts.landmarks[None] + 1.0},
    )
    if expressions == "Exp_Pca.bin":
        vectors = np.concatenate((np.full((1, 3 * parts.count), 5e3), parts.expression.T))
        data = np.int32(len(parts.expression_std)).tobytes() + vectors.astype("<f4").tobytes()
        (folder / "Exp_Pca.bin").write_bytes(data)
        np.savetxt(folder / "std_exp.txt", parts.expression_std[None] * UM)
    elif expressions == "Model_Exp.mat":
        write_model_exp(folder, parts, np.zeros_like(parts.mean))
    return folder / "01_MorphableModel.mat"


def write_model_exp(folder: Path, parts: Parts, offset: np.ndarray) -> None:
    """3DDFA's expressions: ``mu_exp`` is part of the mean."""
    savemat(
        folder / "Model_Exp.mat",
        {
            "w_exp": parts.expression,
            "mu_exp": offset * UM,
            "sigma_exp": parts.expression_std[:, None] * UM,
        },
    )


def write_face3d(folder: Path, model: MorphableModel) -> Path:
    """face3d's ``BFM.mat``: one struct ``model``, all of it trimmed."""
    parts = Parts(model)
    offset = np.full_like(parts.mean, 0.5)
    fields = {
        "shapeMU": (parts.mean - offset) * UM,
        "shapePC": parts.identity,
        "shapeEV": parts.identity_std[:, None] * UM,
        "expMU": offset * UM,
        "expPC": parts.expression,
        "expEV": parts.expression_std[:, None] * UM,
        "tri": parts.triangles.T[::-1] + 1,
        "kpt_ind": parts.landmarks[None] + 1,
    }
    savemat(folder / "BFM.mat", {"model": fields})
    return folder / "BFM.mat"


def write_deep3d(folder: Path, model: MorphableModel) -> Path:
    """``BFM_model_front.mat``: decimetres, modes times standard deviations."""
    parts = Parts(model)
    savemat(
        folder / "BFM_model_front.mat",
        {
            "meanshape": parts.mean.T / 100,
            "idBase": parts.identity * parts.identity_std / 100,
            "exBase": parts.expression * parts.expression_std / 100,
            "meantex": np.full((1, 3 * parts.count), 128.0),
            "tri": (parts.triangles[:, ::-1] + 1).astype(np.float64),
            "point_buf": np.ones((parts.count, 8)),
            "keypoints": parts.landmarks[None].astype(np.float64) + 1,
        },
    )
    return folder / "BFM_model_front.mat"


def _flat_places(landmarks: np.ndarray) -> np.ndarray:
    return (3 * landmarks[:, None] + np.arange(3)).ravel()


def _statistics(parts: Parts) -> np.ndarray:
    pose = np.full(12, 7.0)
    return np.concatenate((pose, parts.identity_std * UM, parts.expression_std * UM))


def write_bfm_noneck(folder: Path, model: MorphableModel) -> Path:
    """3DDFA_V2's ``bfm_noneck_v3.pkl`` with ``tri.pkl`` and the statistics of its parameters."""
    parts = Parts(model)
    contents = {
        "u": (parts.mean * UM).astype(np.float32),
        "w_shp": parts.identity.astype(np.float32),
        "w_exp": parts.expression.astype(np.float32),
        "keypoints": _flat_places(parts.landmarks),
    }
    std = _statistics(parts).astype(np.float32)
    for name, value in {
        "bfm_noneck_v3": contents,
        "tri": parts.triangles.T[::-1].astype(np.int32),
        "param_mean_std_62d_120x120": {"mean": np.zeros_like(std), "std": std},
    }.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value, 2))
    return folder / "bfm_noneck_v3.pkl"


def write_tddfa_folder(folder: Path, model: MorphableModel) -> Path:
    """The first 3DDFA's ``train.configs``: .npy files, ``param_whitening.pkl`` and ``tri.mat``."""
    parts = Parts(model)
    for name, array in _tddfa_arrays(parts).items():
        np.save(folder / f"{name}.npy", array)
    std = _statistics(parts)
    value = {"param_mean": np.zeros_like(std), "param_std": std}
    (folder / "param_whitening.pkl").write_bytes(pickle.dumps(value, 4))
    savemat(folder / "tri.mat", {"tri": parts.triangles.T + 1})
    return folder


def write_tddfa_npz(folder: Path, model: MorphableModel) -> Path:
    """The same arrays in one archive."""
    parts = Parts(model)
    extra = {"tri": parts.triangles.T, "param_std": _statistics(parts)}
    np.savez(folder / "tddfa.npz", **_tddfa_arrays(parts), **extra)
    return folder / "tddfa.npz"


def _tddfa_arrays(parts: Parts) -> dict[str, np.ndarray]:
    offset = np.full_like(parts.mean, -0.25)
    return {
        "u_shp": (parts.mean - offset) * UM,
        "u_exp": offset * UM,
        "w_shp_sim": parts.identity,
        "w_exp_sim": parts.expression,
        "keypoints_sim": _flat_places(parts.landmarks),
    }


def write_tddfa_matlab(folder: Path, model: MorphableModel) -> Path:
    """300W-LP's ``Model_Shape.mat`` and ``Model_Exp.mat``."""
    parts = Parts(model)
    offset = np.full_like(parts.mean, 1.5)
    write_model_exp(folder, parts, offset)
    savemat(
        folder / "Model_Shape.mat",
        {
            "mu_shape": (parts.mean - offset) * UM,
            "w": parts.identity,
            "sigma": parts.identity_std[:, None] * UM,
            "tri": parts.triangles.T + 1,
            "keypoints": parts.landmarks[None] + 1,
        },
    )
    return folder / "Model_Shape.mat"


def write_bfm2017(folder: Path, model: MorphableModel) -> Path:
    """``model2017-1_face12_nomouth.h5``: statismo's groups, variances, cells (3, T)."""
    parts = Parts(model)
    offset = np.full_like(parts.mean, 0.125)
    path = folder / "model2017-1_face12_nomouth.h5"
    bases = {
        "shape": (parts.mean - offset, parts.identity, parts.identity_std),
        "expression": (offset, parts.expression, parts.expression_std),
    }
    with h5py.File(path, "w") as file:
        for part, (mean, basis, std) in bases.items():
            file[f"{part}/model/mean"] = mean.ravel().astype(np.float32)
            file[f"{part}/model/pcaBasis"] = basis.astype(np.float32)
            file[f"{part}/model/pcaVariance"] = (std**2).astype(np.float32)
            file[f"{part}/model/noiseVariance"] = np.float32(0)
            file[f"{part}/representer/cells"] = parts.triangles.T.astype(np.int32)
            file[f"{part}/representer/points"] = mean.reshape(-1, 3).T.astype(np.float32)
        tip = model.mean[model.landmarks[30]].tolist()
        file["metadata/landmarks/json"] = json.dumps(
            [{"id": "center.nose.tip", "coordinates": tip}]
        )
    return path


def write_hifi3d(folder: Path, model: MorphableModel) -> Path:
    """``HIFI3D++.mat``: centimetres, modes in rows, ids from 0."""
    parts = Parts(model)
    savemat(
        folder / "HIFI3D++.mat",
        {
            "mu_shape": parts.mean.T / 10,
            "basis_shape": (parts.identity * parts.identity_std).T / 10,
            "EVs": parts.identity_std[:, None] ** 2,
            "basis_exp": (parts.expression * parts.expression_std).T / 10,
            "tri": parts.triangles[:, ::-1].astype(np.int32),
            "mask_face": np.ones((1, parts.count)),
            "keypoints": np.arange(86)[None],
        },
    )
    return folder / "HIFI3D++.mat"
