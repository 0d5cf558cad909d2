"""The platform log: what every process did, appended as JSON lines below landing/platform.

One append is one new immutable file, written aside and renamed, so that it needs no
database, no lock, and survives a kill at any point: a file is there whole or not at all.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import fsspec

from warehouse.clock import wall_clock
from warehouse.crash_points import crash_point
from warehouse.secrets import redacted
from warehouse.settings import Settings

PLATFORM = "platform"


def append(settings: Settings, kind: str, events: Iterable[Mapping[str, Any]]) -> str | None:
    """Write the events as one file of landing/platform/<kind>; each gets an id and a time."""
    at = wall_clock()
    lines = [
        json.dumps(
            {"event_id": uuid.uuid4().hex, "logged_at": at.isoformat(), **event}, default=str
        )
        for event in events
    ]
    if not lines:
        return None
    filesystem, root = fsspec.core.url_to_fs(settings.landing_url)
    folder = f"{root}/{PLATFORM}/{kind}/{at:%Y-%m-%d}"
    name = f"{at:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.jsonl"
    filesystem.makedirs(folder, exist_ok=True)
    aside = f"{folder}/.{name}.tmp"
    filesystem.pipe_file(aside, redacted("\n".join(lines) + "\n").encode())
    crash_point("log.written_aside")
    filesystem.mv(aside, f"{folder}/{name}")
    return f"{folder}/{name}"


def append_if_possible(settings: Settings, kind: str, events: Iterable[Mapping[str, Any]]) -> None:
    """For those who only read: a consumer who may not write to landing still gets an answer."""
    with suppress(OSError):
        append(settings, kind, events)


def newest(settings: Settings, kind: str) -> dict[str, Any] | None:
    return next(read_newest_first(settings, kind), None)


def read_newest_first(settings: Settings, kind: str) -> Iterator[dict[str, Any]]:
    """Events of a kind, the latest file first; within a file the last line first."""
    filesystem, root = fsspec.core.url_to_fs(settings.landing_url)
    base = f"{root}/{PLATFORM}/{kind}"
    if not filesystem.exists(base):
        return
    for day in sorted(filesystem.ls(base, detail=False), reverse=True):
        for path in sorted(filesystem.ls(day, detail=False), reverse=True):
            if not path.endswith(".jsonl"):
                continue
            for line in reversed(filesystem.cat_file(path).decode().splitlines()):
                yield json.loads(line)


def logged_at(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["logged_at"])
