#!/usr/bin/env bash
# The whole GPU check as one command, for a machine with a CUDA device and nvcc:
#
#   tools/gpu_check.sh OUTPUT [WHEELS]
#
# builds the package against the torch that is there, runs the CUDA tests (fast and deterministic
# mode), compute-sanitizer over the op tests, and the benchmarks. WHEELS names a folder with wheels
# of missing Python packages, for a machine without a network. Everything is tried even when a part
# fails; the exit status says whether all passed. Results: OUTPUT/*.log and OUTPUT/benchmark.json.
set -uo pipefail
output=$(mkdir -p "${1:?usage: tools/gpu_check.sh OUTPUT [WHEELS]}" && cd "$1" && pwd)
wheels=${2:-}
cd "$(dirname "$0")/.."
failed=0
part() { # name, seconds, command...
  local name=$1 limit=$2 && shift 2
  printf '\n== %s (%ss)\n' "$name" "$SECONDS"
  timeout "$limit" "$@" >"$output/$name.log" 2>&1 || { failed=1; echo "FAILED: $name"; }
  tail -n 6 "$output/$name.log"
}

if [ -n "$wheels" ]; then
  site=$(mktemp -d)
  python3 -m pip install -q --no-index --no-deps --target "$site" "$wheels"/*.whl
  export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}" PATH="$site/bin:$PATH"
fi
export CUDAARCHS=${CUDAARCHS:-native}
part build 300 python3 -m pip install -q --no-build-isolation --no-deps \
  -Ccmake.define.PGNFACE_CUDA=ON --force-reinstall .
part info 60 pgnface info --json
# Not `python3 -m pytest`, which would import the sources beside the tests: they hold no extension.
pytest=$(command -v pytest)
part tests 240 pytest -q tests/ops tests/geometry -m cuda
for tool in memcheck racecheck initcheck synccheck; do
  part "sanitizer-$tool" 120 compute-sanitizer --tool "$tool" --error-exitcode 1 \
    --target-processes all python3 "$pytest" -q -x tests/ops -m cuda \
    --ignore tests/ops/test_cuda_graphs.py
done
part benchmark 240 pytest -q benchmarks --benchmark-only --benchmark-json "$output/benchmark.json"
printf '\n== %s after %ss\n' "$([ $failed = 0 ] && echo 'all passed' || echo 'something failed')" "$SECONDS"
exit $failed
