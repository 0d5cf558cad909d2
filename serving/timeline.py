"""What happened in an incident, in order: arrivals, loads, gates, publishes, words, messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from serving.incidents import Incident
from warehouse import platform_log, snapshots
from warehouse.settings import Settings
from warehouse.words import counted

# What a step logs follows the moment that it speaks of.
SLACK = timedelta(seconds=5)


@dataclass(frozen=True)
class Moment:
    at: datetime
    what: str
    text: str


@dataclass(frozen=True)
class StaleTable:
    """What consumers read in place of a table below a closed gate."""

    name: str
    shows_since: datetime | None

    def __str__(self) -> str:
        if self.shows_since is None:
            return f"{self.name}: not published yet"
        return f"{self.name}: as it was at {self.shows_since:%Y-%m-%d %H:%M} UTC"


def timeline(settings: Settings, incident: Incident) -> tuple[Moment, ...]:
    first = min(incident.arrived_at or incident.opened_at, incident.opened_at) - SLACK
    last = incident.closed_at + SLACK if incident.closed_at is not None else None

    def events(kind: str) -> list[dict[str, Any]]:
        newest_first = platform_log.read_newest_first(settings, kind)
        since = takewhile(lambda event: platform_log.logged_at(event) >= first, newest_first)
        return [event for event in since if last is None or platform_log.logged_at(event) <= last][
            ::-1
        ]

    moments = [
        *_arrival(incident),
        *_loads(incident, events("loads")),
        *_gate(incident, events("gates")),
        *_publishes(incident, events(snapshots.KIND)),
        *_heals(incident, events("heals")),
        *_facts(incident),
        *_messages(incident, platform_log.read_newest_first(settings, "notifications")),
    ]
    return tuple(sorted(moments, key=lambda each: each.at))


def stale_tables(settings: Settings, incident: Incident) -> tuple[StaleTable, ...]:
    """The published tables in its reach that consumers read as they were."""
    current = snapshots.current(settings)
    if current is None:
        return ()
    below = _names(incident)
    return tuple(
        StaleTable(each.name, each.shows_since) for each in current.stale if each.name in below
    )


def _names(incident: Incident) -> frozenset[str]:
    keys = (incident.dataset_key, *incident.affected_datasets)
    return frozenset(key.rpartition(".")[2] for key in keys)


def _arrival(incident: Incident) -> Iterator[Moment]:
    if incident.arrived_at is not None:
        yield Moment(incident.arrived_at, "arrival", "the data that closed the gate arrived")


def _loads(incident: Incident, events: Iterable[Mapping[str, Any]]) -> Iterator[Moment]:
    for event in events:
        if not incident.source or event.get("source") != incident.source:
            continue
        what, at = str(event["outcome"]), platform_log.logged_at(event)
        entity = f"{event['source']}.{event.get('entity') or '?'}"
        if what in ("refused", "set_aside"):
            verb = "refused" if what == "refused" else "set aside"
            yield Moment(at, "load", f"{verb} {event.get('file')}: {event.get('reason')}")
        elif what == "drift":
            yield Moment(at, "load", f"{entity}: {event.get('file')} differs from its contract")
        elif event.get("row_count") or event.get("quarantined_count"):
            quarantined = event.get("quarantined_count") or 0
            note = f", {quarantined:,} quarantined" if quarantined else ""
            yield Moment(
                at, "load", f"{entity}: {counted(event.get('row_count') or 0, 'row')} {what}{note}"
            )


def _gate(incident: Incident, events: Iterable[Mapping[str, Any]]) -> Iterator[Moment]:
    """Every change of what the gate said; being rebuilt is told only where that is the trouble."""
    told: tuple[str, str] | None = None
    for event in events:
        state, reason = str(event["state"]), event.get("reason") or ""
        if event["key"] != incident.dataset_key or (state, reason) == told:
            continue
        if state == "pending" and incident.kind != "killed":
            continue
        told = (state, reason)
        words = f"{incident.dataset_key} is {state}" + (f": {reason}" if reason else "")
        yield Moment(platform_log.logged_at(event), "gate", words)


def _publishes(incident: Incident, events: Iterable[Mapping[str, Any]]) -> Iterator[Moment]:
    below, told = _names(incident), frozenset[str]()
    for event in events:
        tables = event.get("tables") or ()
        stale = frozenset(
            each["name"] for each in tables if each["state"] != "fresh" and each["name"] in below
        )
        if event.get("event") == "published" and stale and stale != told:
            told = stale
            kept = f"{len(stale)} tables stay as they were" if len(stale) > 1 else "1 table stays"
            text = f"snapshot {event['snapshot_id']}: {kept}"
            yield Moment(platform_log.logged_at(event), "publish", text)


def _heals(incident: Incident, events: Iterable[Mapping[str, Any]]) -> Iterator[Moment]:
    for event in events:
        of_source = bool(incident.source) and event.get("source") == incident.source
        if of_source or event.get("dataset") == incident.dataset_key:
            what = str(event["what"]).replace("_", " ")
            text = f"{what} {event.get('dataset') or ''}: {event.get('because') or ''}"
            yield Moment(platform_log.logged_at(event), "heal", text)


def _facts(incident: Incident) -> Iterator[Moment]:
    for each in incident.facts:
        said = f": {each.text}" if each.text else ""
        yield Moment(each.at, each.fact, f"{each.by}{said}")


def _messages(incident: Incident, events: Iterable[Mapping[str, Any]]) -> Iterator[Moment]:
    for event in events:
        if event.get("incident_id") == incident.incident_id:
            failed = f" failed: {event.get('message')}" if event["outcome"] == "failed" else ""
            text = f"“{event['transition']}” to {event['channel']}{failed}"
            yield Moment(platform_log.logged_at(event), "message", text)
