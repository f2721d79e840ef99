"""Shards of face crops written again, with something changed or added: labels, turned faces."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from pgnface._errors import NothingFoundError, UserError
from pgnface._output import prepare_folder, write_json, write_whole

from .shards import ShardImage, expand_shards, read_shard

SKIPPED = "skipped.jsonl"

Change = Callable[[Iterator[ShardImage], dict[str, str]], Iterator[ShardImage]]
"""Makes of the images of a shard those that are written; the dictionary takes the names of those
left out, and why."""


def rewrite_shards(
    shards: str | Path,
    output: str | Path,
    change: Change,
    manifest: str,
    asked: dict,
    *,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, int]:
    """Write shards again, an image after the other.

    Each shard keeps its name. Shards that are there are kept, so that the same call continues.
    ``skipped.jsonl`` holds what was left out and why.

    Args:
        shards: see :class:`pgnface.data.shards.ShardSource`.
        output: folder.
        change: makes of a shard's images those that are written.
        manifest: name of the .json file in ``output`` that holds ``asked`` and the counts.
        asked: what ``change`` depends on; a folder written with something else is refused.
        advance: told the number of shards done and of all.

    Returns:
        Numbers of images written and left out.

    Raises:
        FileNotFoundError: when no shard matches.
        UserError: for an output among the shards, or one that was written with something else.
        NothingFoundError: when no image could be written.
    """
    paths = expand_shards(shards)
    output = prepare_folder(output)
    if any(path.resolve().parent == output.resolve() for path in paths):
        raise UserError(f"output {output} holds the shards that are to be read")
    asked = {**asked, "shards": {path.name: path.stat().st_size for path in paths}}
    finished = _finished(output / manifest, asked)
    for path in paths:
        if path.name not in finished or not (output / path.name).is_file():
            skipped: dict[str, str] = {}
            count = _write_shard(output / path.name, change(read_shard(path, skipped), skipped))
            finished[path.name] = {"written": count, "skipped": skipped}
            write_json(output / manifest, {**asked, "finished": finished})
        advance(len(finished), len(paths))
    everything = {k: v for part in finished.values() for k, v in part["skipped"].items()}
    with open(output / SKIPPED, "w") as report:
        for name, why in everything.items():
            report.write(json.dumps({"source": name, "detail": why}) + "\n")
    written = written_images(output / manifest)
    if not written:
        raise NothingFoundError(f"{shards}: nothing to write; {output / SKIPPED} says why")
    return written, len(everything)


def written_images(manifest: str | Path) -> int:
    """How many images the shards hold that :func:`rewrite_shards` wrote."""
    finished = json.loads(Path(manifest).read_text())["finished"]
    return sum(part["written"] for part in finished.values())


def _write_shard(path: Path, images: Iterator[ShardImage]) -> int:
    """A shard, whole or not at all; the number of its images."""
    from webdataset import TarWriter

    stream, count = io.BytesIO(), 0
    # Times and owners would make every run's bytes different.
    writer = TarWriter(stream, user="", group="", mtime=0, encoder=False)
    for image in images:
        key = image.name.removeprefix(f"{path.name}/")
        about = json.dumps(image.about, sort_keys=True).encode()
        writer.write({"__key__": key, image.suffix: image.data, "json": about})
        count += 1
    writer.close()
    write_whole(path, stream.getvalue())
    return count


def _finished(manifest: Path, asked: dict) -> dict[str, dict]:
    """What an earlier call with the same arguments has finished."""
    if not manifest.exists():
        return {}
    try:
        old = json.loads(manifest.read_text())
        differing = [key for key, value in asked.items() if old.get(key) != value]
        finished = old["finished"]
    except (ValueError, AttributeError, KeyError) as error:
        raise UserError(f"{manifest}: was not written by this command ({error})") from None
    if differing:
        raise UserError(
            f"{manifest.parent} holds what was made otherwise: {', '.join(differing)} differ; "
            "choose another folder"
        )
    return finished
