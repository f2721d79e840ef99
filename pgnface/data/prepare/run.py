"""A preparation: chunks spread over processes, resumable, with a manifest at its end."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pgnface._errors import NothingFoundError, UserError
from pgnface._output import prepare_folder, progress_bar, write_json

from .chunk import count_reasons, finished_part, write_chunk
from .faces import Finder, build_finder
from .inputs import Unit, chunk_units, list_units
from .settings import PrepareSettings

MANIFEST = "manifest.json"
SKIPPED = "skipped.jsonl"
_PLAN = "plan.json"
_FORMAT = {"format": "pgnface faces", "version": 1}


def prepare(
    inputs: Sequence[str | Path],
    output: str | Path,
    settings: PrepareSettings | None = None,
    *,
    workers: int = 1,
    progress: bool = False,
) -> dict:
    """Find the faces in photos, folders and videos and write them into WebDataset shards.

    A shard comes of each chunk of neighbouring inputs, so that its bytes depend on inputs and
    settings alone: not on the number of workers, nor on interruptions. The same call in the same
    folder continues; what is finished and undamaged is kept.

    Written into ``output``: ``faces-*.tar`` (``KEY.jpg``, ``KEY.json``), ``manifest.json`` (the
    settings, counts, and each shard with its checksum), ``skipped.jsonl`` (what was left out and
    why), and ``parts`` (what each chunk gave).

    Args:
        inputs: files and folders.
        output: folder.
        settings: what to do; defaults when missing.
        workers: processes; each has a detector of its own.
        progress: show a bar.

    Returns:
        The manifest.

    Raises:
        FileNotFoundError: for an input that is missing.
        UserError: for inputs or settings that cannot be used, or a folder that holds another
            preparation.
        NothingFoundError: when no face was found.
    """
    settings = (settings or PrepareSettings()).resolved()
    if workers < 1:
        raise UserError(f"workers must be at least 1, got {workers}")
    units = list_units(inputs, settings.layout)
    build_finder(settings)  # a missing package or weights, before any work
    output = prepare_folder(output)
    _require_same(output / _PLAN, _plan(units, settings))
    chunks = chunk_units(units, settings.shard_size, settings.max_frames)
    parts: dict[int, dict] = {}
    with progress_bar("faces of", progress) as update:
        for number in range(len(chunks)):
            if (part := finished_part(output, number)) is not None:
                parts[number] = part
        left = [(i, chunk) for i, chunk in enumerate(chunks) if i not in parts]
        for number, part in _run(left, output, settings, workers):
            parts[number] = part
            update(sum(part["units"] for part in parts.values()), len(units))
    manifest = _finish(output, [parts[i] for i in range(len(chunks))], settings)
    if not manifest["shards"]:
        raise NothingFoundError(f"no face was found; {output / SKIPPED} says why")
    return manifest


def _plan(units: Sequence[Unit], settings: PrepareSettings) -> dict:
    """What decides the shards: settings, and a digest of the inputs by name and size."""
    files = [
        [unit.kind, unit.name, unit.identity, [[p.name, p.stat().st_size] for p in unit.paths]]
        for unit in units
    ]
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return {**_FORMAT, "settings": asdict(settings), "units": len(units), "inputs": digest}


def _require_same(path: Path, plan: dict) -> None:
    """Note the plan in a new folder; in one that has a plan, it must be the same."""
    if not path.exists():
        write_json(path, plan)
        return
    try:
        old = json.loads(path.read_text())
        differing = [k for k in plan if old.get(k) != plan[k] and k != "settings"]
        settings = old.get("settings", {})
        differing += [k for k, v in plan["settings"].items() if settings.get(k) != v]
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: is not the plan of a preparation ({error})") from None
    if differing:
        raise UserError(
            f"{path.parent} holds another preparation, which differs in {', '.join(differing)}; "
            "choose another folder"
        )


def _run(
    left: Sequence[tuple[int, list[Unit]]], output: Path, settings: PrepareSettings, workers: int
) -> Iterator[tuple[int, dict]]:
    """Numbers and parts of the chunks that are left, as they get finished."""
    if workers == 1 or len(left) < 2:
        with _single_threaded():
            finder = build_finder(settings)
            for number, units in left:
                yield number, write_chunk(number, units, output, settings, finder)
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(workers, len(left)),
        # Forked processes would inherit threads and a GPU's context that do not work there.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(settings,),
    )
    try:
        futures = {
            pool.submit(_work, number, units, output, settings): number for number, units in left
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException:
        # Chunks appear whole or not at all, so nobody needs to wait for those in work.
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_finder: Finder | None = None


def _start_worker(settings: PrepareSettings) -> None:
    global _finder
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        parent.join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to answer
    # Nobody else ends the workers of a process that was killed.
    threading.Thread(target=leave_with_parent, daemon=True).start()
    _set_threads(1, 1)
    _finder = build_finder(settings)


def _work(number: int, units: list[Unit], output: Path, settings: PrepareSettings) -> dict:
    return write_chunk(number, units, output, settings, _finder)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """One thread, as in every worker: sums of several threads may round differently."""
    import cv2
    import torch

    before = cv2.getNumThreads(), torch.get_num_threads()
    _set_threads(1, 1)
    try:
        yield
    finally:
        _set_threads(*before)


def _set_threads(opencv: int, network: int) -> None:
    import cv2
    import torch

    cv2.setNumThreads(opencv)
    torch.set_num_threads(network)


def _finish(output: Path, parts: Sequence[dict], settings: PrepareSettings) -> dict:
    """Write what sums a preparation up, and clear away what killed runs left."""
    skipped = [entry for part in parts for entry in part["skipped"]]
    shards = [part["shard"] for part in parts if part["shard"] is not None]
    manifest = {
        **_FORMAT,
        "settings": asdict(settings),
        "counts": {
            "units": sum(part["units"] for part in parts),
            "faces": sum(shard["samples"] for shard in shards),
            "images": sum(part["sources"] for part in parts),
            "identities": len({name for part in parts for name in part["groups"]["identity"]}),
            "tracks": sum(len(part["groups"]["track"]) for part in parts),
            "landmarks": sum(part["landmarks"] for part in parts),
            "skipped": count_reasons(skipped),
        },
        "shards": shards,
    }
    (output / SKIPPED).write_text("".join(json.dumps(entry) + "\n" for entry in skipped))
    write_json(output / MANIFEST, manifest)
    for leftover in output.rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    return manifest
