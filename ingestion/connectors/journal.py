"""Accepted events on the disk before anybody is told so, and from there into landing.

One thread writes: whatever came while the disk was busy goes down together, with one sync. A file
grows beside the warehouse and becomes a landed one by its rename, when it is large or old enough.
What a killed process left is landed by whoever starts next, less a last line that was never whole.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ingestion.connectors.delivery import Store
from ingestion.connectors.outcome import Fetched
from ingestion.connectors.words import CollectorSource
from warehouse.alone import alone_or_refused
from warehouse.clock import wall_clock
from warehouse.disk import sync
from warehouse.settings import Settings
from warehouse.words import counted

REJECTED: Final = ".rejected"
_GOOD, _BAD = "jsonl", "rejected"


@dataclass
class Entry:
    """What one request wants on the disk, and whom to tell."""

    good: bytes
    bad: bytes
    rows: int
    reasons: Counter[str]
    done: Callable[[bool], None]

    @property
    def size(self) -> int:
        return len(self.good) + len(self.bad)


@dataclass
class _Segment:
    """A growing file."""

    path: Path
    descriptor: int
    opened: float = field(default_factory=time.monotonic)
    size: int = 0
    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


class Journal:
    def __init__(
        self,
        settings: Settings,
        source: str,
        entity: str,
        declared: CollectorSource,
        landed: Callable[[Fetched], None],
    ) -> None:
        self._folder = spool_of(settings, source)
        self._store, self._source, self._entity = Store(settings), source, entity
        self._declared, self._landed = declared, landed
        self._waiting: list[Entry] = []
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._is_closing = False
        self._segments: dict[str, _Segment] = {}
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def offer(self, entry: Entry) -> bool:
        """Take it, or say no: so much waits for the disk that more would only wait longer."""
        with self._changed:
            if self._is_closing or not self._thread.is_alive():
                return False
            # One request is always taken when nothing waits, however large it is.
            full = self._waiting_bytes + entry.size > self._declared.max_waiting_bytes
            if self._waiting and full:
                return False
            self._waiting.append(entry)
            self._waiting_bytes += entry.size
            self._changed.notify()
        return True

    @property
    def waiting_bytes(self) -> int:
        return self._waiting_bytes

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Write what waits, land what is written."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._is_closing:
                    self._changed.wait(self._until_rotation())
                entries, self._waiting = self._waiting, []
                self._waiting_bytes, closing = 0, self._is_closing
            if entries:
                self._write(entries)
            self._rotate(all_of_them=closing)
            if closing and not self._waiting:
                return

    def _until_rotation(self) -> float | None:
        opened = [each.opened for each in self._segments.values()]
        if not opened:
            return None
        return max(min(opened) + self._declared.rotate_seconds - time.monotonic(), 0.0)

    def _write(self, entries: list[Entry]) -> None:
        try:
            self._append(_GOOD, b"".join(each.good for each in entries))
            self._append(_BAD, b"".join(each.bad for each in entries))
        except OSError:
            # The disk is full or broken: who waits is told no, and sends it again.
            for each in entries:
                each.done(False)
            return
        for kind, segment in self._segments.items():
            for each in entries:
                segment.rows += each.rows if kind == _GOOD else 0
                segment.reasons.update(each.reasons if kind == _BAD else ())
        for each in entries:
            each.done(True)

    def _append(self, kind: str, content: bytes) -> None:
        if not content:
            return
        segment = self._segments.get(kind) or self._open(kind)
        try:
            _write_all(segment.descriptor, content)
            os.fdatasync(segment.descriptor)
        except OSError:
            # Not one byte stays of what nobody will be told is there.
            os.ftruncate(segment.descriptor, segment.size)
            os.lseek(segment.descriptor, segment.size, os.SEEK_SET)
            raise
        segment.size += len(content)

    def _open(self, kind: str) -> _Segment:
        path = self._folder / f"{wall_clock():%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.{kind}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        sync(self._folder)
        self._segments[kind] = _Segment(path, descriptor)
        return self._segments[kind]

    def _rotate(self, *, all_of_them: bool) -> None:
        declared = self._declared
        for kind, segment in list(self._segments.items()):
            age = time.monotonic() - segment.opened
            is_due = segment.size >= declared.rotate_bytes or age >= declared.rotate_seconds
            if not (is_due or all_of_them):
                continue
            os.close(segment.descriptor)
            del self._segments[kind]
            fetched = Fetched(self._source, "collector")
            if land(self._store, self._source, self._entity, segment.path):
                fetched.add(self._entity, files=int(kind == _GOOD), rows=segment.rows,
                            size=segment.size)  # fmt: skip
            if segment.reasons:
                total = sum(segment.reasons.values())
                shown = ", ".join(f"{why} ({n})" for why, n in segment.reasons.most_common(3))
                fetched.notes.append(f"rejected: {counted(total, 'event')}, {shown}")
            self._landed(fetched)


def spool_of(settings: Settings, source: str) -> Path:
    folder = settings.own_dir / "connectors" / "spool" / source
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def only_collector(settings: Settings, source: str) -> Iterator[None]:
    """One process writes the journal of a source; the lock dies with it."""
    with alone_or_refused(
        spool_of(settings, source) / ".lock",
        f"Another process collects the events of {source}.",
        "One collector a source: end the other, or let it be.",
    ):
        yield


def land_leftovers(settings: Settings, source: str, entity: str) -> Fetched:
    """What a process that was killed had accepted; the caller holds the lock."""
    store, fetched = Store(settings), Fetched(source, "collector")
    for path in sorted(spool_of(settings, source).glob("2*.*")):
        _cut_torn_line(path)
        size = path.stat().st_size
        if land(store, source, entity, path) and path.suffix == f".{_GOOD}":
            fetched.add(entity, files=1, size=size)
    return fetched


def land(store: Store, source: str, entity: str, path: Path) -> bool:
    """A finished segment becomes a landed file; one of rejected events, a hidden one."""
    if not path.stat().st_size:
        path.unlink()
        return False
    stem = path.stem
    day = f"{stem[:4]}-{stem[4:6]}-{stem[6:8]}"
    folder = f"{source}/{entity}/{day}"
    if path.suffix == f".{_BAD}":
        folder = f"{folder}/{REJECTED}"
    store.move_in(path, f"{folder}/{stem}.jsonl")
    return True


def _cut_torn_line(path: Path) -> None:
    """Its last line may be half-written: nobody was told that it is there."""
    with path.open("rb+") as stream:
        size = stream.seek(0, os.SEEK_END)
        end, block = size, b""
        while end and b"\n" not in block:
            start = max(end - 65536, 0)
            stream.seek(start)
            block = stream.read(end - start)
            end = start + block.rfind(b"\n") + 1 if b"\n" in block else start
        stream.truncate(end)
        os.fsync(stream.fileno())


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
