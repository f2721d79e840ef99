"""What a person is told of a preparation."""

from __future__ import annotations

import json
from pathlib import Path

from .run import MANIFEST, SKIPPED


def print_summary(manifest: dict, output: Path, as_json: bool) -> None:
    """Print a manifest: as JSON, or its counts in words."""
    if as_json:
        print(json.dumps(manifest, indent=2))
        return
    counts = manifest["counts"]
    shards = len(manifest["shards"])
    print(
        f"{counts['faces']} faces of {counts['images']} images in {shards} "
        f"shard{'s' if shards > 1 else ''}: {output / MANIFEST}"
    )
    if counts["tracks"]:
        print(f"{counts['tracks']} tracks of {counts['identities']} people")
    if counts["landmarks"]:
        print(f"{counts['landmarks']} faces with landmarks")
    if counts["skipped"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts["skipped"].items())
        print(f"left out: {reasons}: {output / SKIPPED}")
