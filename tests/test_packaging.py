"""The source distribution holds all that an install needs."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pybind11
import pytest

ROOT = Path(__file__).resolve().parents[1]


# What is installed is tested, whatever the caller's path says.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def run(*command: str | Path, env: dict[str, str] = ENVIRONMENT, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=env, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, cwd=ROOT)
    return next(folder.glob("*.tar.gz"))


def test_sdist_holds_sources_and_assets(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    expected = (
        "CMakeLists.txt",
        "LICENSE",
        "csrc/bindings.cpp",
        "pgnface/morphable/assets/default.npz",
        "pgnface/networks/weights/default.safetensors",
        "pgnface/networks/weights/small.safetensors",
        "pgnface/networks/weights/blazeface.safetensors",
    )
    assert not [name for name in expected if name not in names]
    assert not [name for name in names if name.endswith(".so")]


@pytest.mark.slow
def test_sdist_installs_in_a_fresh_environment(sdist, tmp_path):
    # The dependencies come from the environment of the tests, so that no network is needed.
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(
        *(python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index"),
        *("--ignore-installed", "-Ccmake.define.PGNFACE_CUDA=OFF", sdist),
        env=ENVIRONMENT
        | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    where = run(python, "-c", "import pgnface._C as c; print(c.__file__)", cwd=tmp_path).strip()
    assert where.startswith(str(tmp_path))
    assert "pgnface" in run(python.with_name("pgnface"), "info", cwd=tmp_path)


def cmake_configure(tmp_path, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            "cmake",
            "-S",
            ROOT,
            "-B",
            tmp_path / "build",
            "-DPGNFACE_CUDA=ON",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        ],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


def test_cuda_on_without_nvcc_is_a_clear_error(tmp_path):
    done = cmake_configure(tmp_path, CUDACXX=str(tmp_path / "no-such-nvcc"))
    assert done.returncode != 0
    assert "no working CUDA compiler was found" in done.stderr


def test_the_extension_links_neither_torch_nor_the_shared_cuda_runtime():
    from pgnface import _C

    needed = subprocess.run(["readelf", "-d", _C.__file__], capture_output=True, text=True).stdout
    if not needed:
        pytest.skip("needs readelf")
    assert not [name for name in ("torch", "cudart", "libcuda") if name in needed]
