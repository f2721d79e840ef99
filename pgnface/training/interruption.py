"""Stopping a run by a signal without losing work."""

from __future__ import annotations

import signal
import threading


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by a signal, after a checkpoint was written."""


class StopRequest:
    """Within ``with``, the first Ctrl-C or SIGTERM is remembered, and the second acts at once.

    Off the main thread, where Python delivers no signals, it never receives any.
    """

    def __init__(self) -> None:
        self._number: int | None = None

    def __bool__(self) -> bool:
        return self._number is not None

    def __str__(self) -> str:
        return signal.Signals(self._number).name if self else "none"

    def __enter__(self) -> StopRequest:
        self._previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        self._number = number
        signal.signal(number, self._previous[number])
