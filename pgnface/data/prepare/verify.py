"""Whether shards are still what was written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pgnface._errors import UserError

from .run import MANIFEST


def verify(root: str | Path) -> int:
    """Compare shards with the checksums of their manifest.

    Returns:
        How many there are.

    Raises:
        UserError: without a readable manifest (the preparation did not finish), or naming the
            shards that are missing or changed.
    """
    path = Path(root) / MANIFEST
    try:
        shards = {
            entry["name"]: entry["sha256"] for entry in json.loads(path.read_text())["shards"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is not the manifest of a preparation ({error})") from None
    bad = []
    for name, checksum in shards.items():
        try:
            data = (Path(root) / name).read_bytes()
        except OSError:
            bad.append(f"{name} is missing")
            continue
        if hashlib.sha256(data).hexdigest() != checksum:
            bad.append(f"{name} has changed")
    if bad:
        raise UserError(f"{root}: {', '.join(bad)}; run the preparation again")
    return len(shards)
