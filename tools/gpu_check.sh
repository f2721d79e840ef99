#!/usr/bin/env bash
# The GPU check as one command of at most ten minutes, for a machine with a CUDA device and nvcc:
#
#   tools/gpu_check.sh OUTPUT [WHEELS] [PLAN]
#
# PLAN check (the default): build against the torch that is there, CUDA tests (fast and deterministic
# mode, CUDA graphs), timings beside torch, RoMa and nvdiffrast, compute-sanitizer over one test an
# op. Most valuable first; limits add up to less than 600 s, and whatever fails or runs out of time,
# the next part runs.
# What a second call can add: PLAN sanitizer (compute-sanitizer over all op tests) or
# PLAN grid (the full grid of batches, images and meshes; what does not fit is cut off).
#
# WHEELS names a folder with wheels of missing Python packages, for a machine without a network;
# nvdiffrast among them (pip wheel --no-deps diffrp-nvdiffrast) is compiled while pgnface is.
# Set PGNFACE_COMMIT where the checkout comes without its history. Results: OUTPUT/*.log and
# OUTPUT/*.json, which python benchmarks/summarize.py turns into a page. The exit status says whether
# all passed.
set -uo pipefail
output=$(mkdir -p "${1:?usage: tools/gpu_check.sh OUTPUT [WHEELS] [PLAN]}" && cd "$1" && pwd)
wheels=${2:-} plan=${3:-check}
[ -z "$wheels" ] || wheels=$(cd "$wheels" && pwd)
cd "$(dirname "$0")/.."
failed=0
part() { # name, seconds, command...
  local name=$1 limit=$2 && shift 2
  printf '\n== %s (%ss)\n' "$name" "$SECONDS"
  timeout "$limit" "$@" >"$output/$name.log" 2>&1 || { failed=1; echo "FAILED: $name ($?)"; }
  tail -n 6 "$output/$name.log"
}

if [ -n "$wheels" ]; then
  site=$(mktemp -d)
  python3 -m pip install -q --no-index --no-deps --target "$site" "$wheels"/*.whl
  export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}" PATH="$site/bin:$PATH"
fi
export CUDAARCHS=${CUDAARCHS:-native}
timeout 150 python3 -c 'import nvdiffrast.torch as dr; dr.RasterizeCudaContext()' \
  >"$output/nvdiffrast.log" 2>&1 &
peer=$!
part build 140 python3 -m pip install -q --no-build-isolation --no-deps \
  -Ccmake.define.PGNFACE_CUDA=ON --force-reinstall .
part info 15 pgnface info --json
# Not `python3 -m pytest`, which would import the sources beside the tests: they hold no extension.
pytest=$(command -v pytest)

benchmark() { # name, seconds, files and options...
  local name=$1 limit=$2 && shift 2
  part "$name" "$limit" "$pytest" -q --benchmark-only --device cuda --benchmark-max-time 0.1 \
    --benchmark-json "$output/$name.json" "$@"
}
sanitize() { # tool, seconds, options of pytest...
  local tool=$1 limit=$2 only=(--kernel-name kns=pgnface) && shift 2
  [ "$tool" = initcheck ] && only=() # what torch's kernels write must be seen
  # Each tensor is an allocation of its own, so that no access beside it goes unseen.
  part "sanitizer-$tool" "$limit" env PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool "$tool" "${only[@]}" \
    --error-exitcode 1 --target-processes all python3 "$pytest" -q -x tests/ops -m cuda \
    --ignore tests/ops/test_cuda_graphs.py "$@"
}

case $plan in
check)
  part tests 80 "$pytest" -q tests/ops tests/geometry tests/bench -m cuda
  wait $peer || echo "nvdiffrast is not there; see $output/nvdiffrast.log"
  benchmark benchmark-render 60 benchmarks/test_rasterize.py benchmarks/test_render.py --batch 16 64
  benchmark benchmark-fits 75 benchmarks/test_evaluate_morphable.py benchmarks/test_solve_pose.py \
    --batch 1 16 64 \
    -k "posed or plain or overhead"
  benchmark benchmark-steps 50 benchmarks/test_training.py benchmarks/test_attributes.py \
    benchmarks/test_inference.py benchmarks/test_closest_point.py --batch 16
  for tool in memcheck racecheck initcheck synccheck; do
    sanitize "$tool" 40 -k test_cuda
  done
  ;;
sanitizer)
  for tool in memcheck racecheck initcheck synccheck; do
    sanitize "$tool" 105
  done
  ;;
grid)
  wait $peer || echo "nvdiffrast is not there; see $output/nvdiffrast.log"
  for suite in rasterize render evaluate_morphable solve_pose attributes training inference; do
    benchmark "grid-$suite" 60 "benchmarks/test_$suite.py" --grid full
  done
  ;;
*)
  echo "unknown plan: $plan" && exit 2
  ;;
esac
printf '\n== %s after %ss\n' "$([ $failed = 0 ] && echo 'all passed' || echo 'something failed')" "$SECONDS"
exit $failed
