"""Gate events in the platform log, and a summary of them that saves reading it all.

The events are the truth. The summary beside them names the last event it knows; newer ones are
read from the log, and a summary whose event is not there any more is not believed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import fsspec

from warehouse import platform_log
from warehouse.alone import alone
from warehouse.clock import wall_clock
from warehouse.crash_points import crash_point
from warehouse.settings import Settings

KIND = "gates"
LOCK = ".gates.lock"
SUMMARY = ".latest.json"
Event = Mapping[str, Any]


def latest(settings: Settings) -> dict[str, Event]:
    """The newest event of every key."""
    last, known = _summary(settings)
    newer: dict[str, Event] = {}
    for event in platform_log.read_newest_first(settings, KIND):
        if last is not None and event["event_id"] == last:
            return {**known, **newer}
        newer.setdefault(event["key"], event)
    return newer


def append(
    settings: Settings, events: Callable[[Mapping[str, Event]], list[dict[str, Any]]]
) -> None:
    """Add the events that follow from the state so far; nobody else adds any in between."""
    with alone(settings.data_dir / LOCK):
        known = latest(settings)
        now = wall_clock().isoformat()
        added = [
            {"event_id": uuid.uuid4().hex, "logged_at": now, **event} for event in events(known)
        ]
        if not added:
            return
        platform_log.append(settings, KIND, added)
        crash_point("gate.event_written")
        known |= {event["key"]: event for event in added}
        _write_summary(settings, added[-1]["event_id"], known)
        crash_point("gate.summary_written")


def _summary_path(settings: Settings) -> tuple[Any, str]:
    filesystem, root = fsspec.core.url_to_fs(settings.landing_url)
    return filesystem, f"{root}/{platform_log.PLATFORM}/{KIND}/{SUMMARY}"


def _summary(settings: Settings) -> tuple[str | None, dict[str, Event]]:
    filesystem, path = _summary_path(settings)
    try:
        content = json.loads(filesystem.cat_file(path))
        return str(content["event_id"]), dict(content["latest"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None, {}


def _write_summary(settings: Settings, event_id: str, known: Mapping[str, Event]) -> None:
    filesystem, path = _summary_path(settings)
    aside = f"{path}.{uuid.uuid4().hex[:8]}.tmp"
    filesystem.pipe_file(
        aside, json.dumps({"event_id": event_id, "latest": known}, default=str).encode()
    )
    filesystem.mv(aside, path)
