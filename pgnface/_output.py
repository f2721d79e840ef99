"""Folders that results are written to, and how far the work is."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pgnface._errors import UserError


def prepare_folder(path: str | Path) -> Path:
    """Create a folder, unless it is there, and make sure that it can be written to.

    Called before the work starts, so that an hour's results are not lost at its end.

    Raises:
        UserError: when it cannot be created or written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"cannot write to the folder {path}: {error.strerror}") from error
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, whenever the process is killed."""
    # The number of the process: what a killed run left must not be in the way.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def write_json(path: Path, content: dict) -> None:
    """:func:`write_whole` of a JSON object, for people to read."""
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


@contextmanager
def progress_bar(what: str, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; gives a function that is told what is done and what there is to do."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task(what)
        yield lambda done, total: bar.update(task, completed=done, total=total)
