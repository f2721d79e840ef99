#!/usr/bin/env bash
# Builds the extension into the source tree, for an editable checkout: fast rebuilds while a kernel
# is being written. Arguments go to CMake, for example -DPGNFACE_CUDA=OFF.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${PGNFACE_BUILD_DIR:-build/dev}
cmake -S . -B "$build" -G Ninja -DPython_EXECUTABLE="$(command -v python)" \
  -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" \
  -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$PWD/pgnface" "$@" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
cmake --build "$build"
