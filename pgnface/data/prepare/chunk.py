"""One shard from a chunk of units: whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pgnface._output import write_whole

from .faces import Finder, Sample, find_samples
from .frames import Skip
from .inputs import Unit
from .settings import PrepareSettings

PARTS = "parts"
"""Folder of a preparation with a .json file for each finished chunk."""


def shard_name(number: int) -> str:
    """File name of a chunk's shard."""
    return f"faces-{number:06d}.tar"


def part_path(output: Path, number: int) -> Path:
    """The .json file that says that a chunk is finished, and what came of it."""
    return output / PARTS / f"{number:06d}.json"


def write_chunk(
    number: int, units: Sequence[Unit], output: Path, settings: PrepareSettings, finder: Finder
) -> dict:
    """Write a chunk's shard, if it has faces, and then its part.

    The bytes depend on the arguments alone.

    Returns:
        What the part says: ``shard`` (name, samples, bytes, sha256; None without faces),
        ``sources`` (images that hold a face that was kept), ``groups`` (faces of each ``identity``
        and ``track``), ``landmarks`` (samples that have them) and ``skipped``.
    """
    samples: list[Sample] = []
    skipped: list[Skip] = []
    for item in find_samples(units, settings, finder):
        (samples if isinstance(item, Sample) else skipped).append(item)
    shard = None
    if samples:
        data = _tar(number, samples)
        write_whole(output / shard_name(number), data)
        shard = {
            "name": shard_name(number),
            "samples": len(samples),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    about = [sample.about for sample in samples]
    part = {
        "shard": shard,
        "units": len(units),
        "sources": len({(a["source"], a["frame"]) for a in about}),
        "groups": {
            kind: Counter(a[kind] for a in about if a[kind] is not None)
            for kind in ("identity", "track")
        },
        "landmarks": sum(a["landmarks"] is not None for a in about),
        "skipped": [
            {"source": s.source, "frame": s.frame, "reason": s.reason, "detail": s.detail}
            for s in skipped
        ],
    }
    note = part_path(output, number)
    note.parent.mkdir(exist_ok=True)
    write_whole(note, (json.dumps(part) + "\n").encode())
    return part


def finished_part(output: Path, number: int) -> dict | None:
    """What came of a chunk, if it is finished and its shard is as it was written."""
    try:
        part = json.loads(part_path(output, number).read_text())
        shard = part["shard"]
        if shard is not None:
            data = (output / shard["name"]).read_bytes()
            if hashlib.sha256(data).hexdigest() != shard["sha256"]:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return part


def part_of(shard: Path) -> dict | None:
    """What the part of a shard says, if there is one and the shard has the size it had; the bytes
    are not looked at.
    """
    try:
        part = json.loads((shard.parent / PARTS / f"{shard.stem.split('-')[-1]}.json").read_text())
        known = part["shard"] or {}
        same = known["name"] == shard.name and known["bytes"] == shard.stat().st_size
        return part if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tar(number: int, samples: Sequence[Sample]) -> bytes:
    from webdataset import TarWriter

    stream = io.BytesIO()
    # Times and owners would make every run's bytes different.
    writer = TarWriter(stream, user="", group="", mtime=0, encoder=False)
    for i, sample in enumerate(samples):
        key = f"{number:06d}-{i:06d}"
        writer.write({"__key__": key, "jpg": sample.jpeg, "json": sample.json})
    writer.close()
    return stream.getvalue()


def count_reasons(skipped: Sequence[dict]) -> dict[str, int]:
    """How often each reason comes up, by name."""
    return dict(sorted(Counter(entry["reason"] for entry in skipped).items()))
