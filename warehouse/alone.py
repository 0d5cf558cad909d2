"""One process at a time: a lock that dies with its process, so that none is ever left behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.errors import LockedError


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold this lock for as long as the block lasts; wait for whoever has it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone_or_refused(lock: Path, who: str, remedy: str, mode: int = 0o644) -> Iterator[None]:
    """The same, and whoever comes second is told at once who has it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, mode)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(who, remedy=remedy) from error
        yield
    finally:
        os.close(descriptor)
