"""Gate events in the platform log, and a summary of them that saves reading it all.

The events are the truth. The summary beside them names the last event it knows; newer ones are
read from the log, and a summary whose event is not there any more is not believed. An event that
confirms a state changes nothing of it but when it was last found to hold.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
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
    newer: list[Event] = []
    for event in platform_log.read_newest_first(settings, KIND):
        if last is not None and event["event_id"] == last:
            return _after(known, reversed(newer))
        newer.append(event)
    return _after({}, reversed(newer))


def _after(known: Mapping[str, Event], events: Iterable[Event]) -> dict[str, Event]:
    """What is known of every key after these events, the oldest of which comes first."""
    found = dict(known)
    for event in events:
        if not event.get("confirms"):
            found[event["key"]] = event
        elif event["key"] in found:
            found[event["key"]] = {**found[event["key"]], "confirmed_at": event["logged_at"]}
    return found


def append(
    settings: Settings, events: Callable[[Mapping[str, Event]], list[dict[str, Any]]]
) -> None:
    """Add the events that follow from the state so far; nobody else adds any in between."""
    with alone(settings.own_dir / LOCK):
        known = latest(settings)
        now = wall_clock().isoformat()
        added = [
            {"event_id": uuid.uuid4().hex, "logged_at": now, **event} for event in events(known)
        ]
        if not added:
            return
        platform_log.append(settings, KIND, added)
        crash_point("gate.event_written")
        _write_summary(settings, added[-1]["event_id"], _after(known, added))
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
