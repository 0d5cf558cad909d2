"""Ctrl-C during a run: Dagster takes it for a failed step, so we ask the signal itself."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_noticed() -> Iterator[Callable[[], None]]:
    """Gives what raises KeyboardInterrupt if one came meanwhile, whoever handled it."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    # Python writes each signal's number there, whatever handler is installed by then.
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def stop_if_interrupted() -> None:
        try:
            came = os.read(reading, 4096)
        except BlockingIOError:
            return
        if signal.SIGINT in came or signal.SIGTERM in came:
            raise KeyboardInterrupt

    try:
        yield stop_if_interrupted
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
