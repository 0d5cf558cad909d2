"""Incidents: what the platform derived of them, and what people have added since.

The mart `platform_incidents` is derived from the platform log, and so are the facts in it. Facts
are read from the log once more, so that one shows as soon as it is said, not at the next publish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal

from quality.runbooks import runbook
from serving.published import fetch, nearest, open_published, published_tables
from warehouse import platform_log, snapshots
from warehouse.clock import wall_clock
from warehouse.connection import NO_SUCH_COLUMN
from warehouse.errors import WRONG_USE, SluiceError
from warehouse.settings import Settings

TABLE: Final = "platform_incidents"
KIND: Final = "incidents"
# No beginning of an id: those are hexadecimal.
LAST: Final = "last"
FactKind = Literal["acknowledged", "note", "cause", "postmortem"]
LISTS: Final = ("affected_datasets", "affected_metrics", "affected_owners")


class IncidentError(SluiceError):
    """An incident that cannot be found, or a fact that says nothing."""


@dataclass(frozen=True)
class Fact:
    """What a person said about an incident; it is never edited, a later one says more."""

    at: datetime
    fact: str
    by: str
    text: str


@dataclass(frozen=True)
class Incident:
    """One row of the mart, with the facts of the log."""

    incident_id: str
    dataset_key: str
    dataset_name: str
    source: str | None
    layer: str
    owner: str | None
    tier: int
    kind: str
    reason: str
    opened_at: datetime
    arrived_at: datetime | None
    closed_at: datetime | None
    is_open: bool
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    cause: str | None
    detect_seconds: float | None
    restore_seconds: float | None
    affected_dataset_count: int
    affected_datasets: tuple[str, ...]
    affected_metrics: tuple[str, ...]
    affected_owners: tuple[str, ...]
    explained_closing_count: int
    is_recurrence: bool
    recurrence_of: str | None
    run_id: str | None
    facts: tuple[Fact, ...] = ()

    @property
    def runbook(self) -> str:
        return runbook(self.kind)

    def lasted(self, now: datetime) -> float:
        """Seconds since it opened, or until it closed."""
        return ((self.closed_at or now) - self.opened_at).total_seconds()


COLUMNS: Final = tuple(each.name for each in fields(Incident) if each.name != "facts")


def incidents(settings: Settings) -> tuple[Incident, ...]:
    """Open ones first, in each group the newest first."""
    rows = _published(settings)
    if rows is None:
        raise IncidentError(
            f"The published snapshot has no table {TABLE}.",
            remedy="`sluice run` builds and publishes it; `sluice status` says what is closed now.",
        )
    said = _facts(settings)
    found = [_incident(row, said.get(str(row["incident_id"]), ())) for row in rows]
    newest = sorted(found, key=lambda each: (-each.opened_at.timestamp(), each.incident_id))
    return tuple(sorted(newest, key=lambda each: not each.is_open))


def published_incidents(settings: Settings) -> tuple[Incident, ...]:
    """As `incidents`; none where nothing, or no incident table, is published yet."""
    if snapshots.current_id(settings) is None or _published(settings) is None:
        return ()
    return incidents(settings)


def find(settings: Settings, prefix: str) -> Incident:
    """The one incident whose id begins so, or the one that opened last."""
    known = incidents(settings)
    if prefix == LAST and known:
        return max(known, key=lambda each: each.opened_at)
    found = [each for each in known if prefix and each.incident_id.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{each.incident_id} ({each.dataset_name})" for each in found[:5])
        raise IncidentError(
            f"{len(found)} incidents begin with {prefix}: {listed}.",
            remedy="Give more of the id.",
            exit_code=WRONG_USE,
        )
    close = nearest(prefix, [each.incident_id for each in known])
    raise IncidentError(
        f"There is no incident {prefix}.",
        remedy=(f"Did you mean {' or '.join(close)}? " if close else "")
        + "`sluice incident list --all` lists every one.",
        exit_code=WRONG_USE,
    )


def add_fact(settings: Settings, incident: Incident, fact: FactKind, by: str, text: str) -> None:
    if fact != "acknowledged" and not text.strip():
        raise IncidentError(
            f"The {fact} of {incident.incident_id} is empty.",
            remedy="Say it in a sentence.",
            exit_code=WRONG_USE,
        )
    event = {"incident_id": incident.incident_id, "fact": fact, "by": by, "text": text.strip()}
    platform_log.append(settings, KIND, [event])


@dataclass(frozen=True)
class Summary:
    """The open incidents in one line; the worst has the lowest tier."""

    open: int
    worst_tier: int | None
    oldest_opened_at: datetime | None
    not_acknowledged: int

    def __str__(self) -> str:
        if self.oldest_opened_at is None:
            return "none open"
        lasted = span((wall_clock() - self.oldest_opened_at).total_seconds())
        unseen = f", {self.not_acknowledged} not acknowledged" if self.not_acknowledged else ""
        return (
            f"{self.open} open, worst tier {self.worst_tier}, the oldest for {lasted}{unseen}"
            " (`sluice incident list`)"
        )


def summary(settings: Settings) -> Summary:
    known = [each for each in published_incidents(settings) if each.is_open]
    return Summary(
        len(known),
        min((each.tier for each in known), default=None),
        min((each.opened_at for each in known), default=None),
        sum(each.acknowledged_at is None for each in known),
    )


def span(seconds: float) -> str:
    """A length of time as people say it: 45 s, 12 min, 3 h 5 min, 2 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _published(settings: Settings) -> list[dict[str, Any]] | None:
    with closing(open_published(settings)) as connection:
        if TABLE not in published_tables(connection):
            return None
        try:
            return fetch(connection, f"select {', '.join(COLUMNS)} from {TABLE}").records()
        except NO_SUCH_COLUMN as error:
            raise IncidentError(
                f"The published {TABLE} is of another version: {str(error).splitlines()[0]}",
                remedy="`sluice run` publishes it anew.",
            ) from error


def _facts(settings: Settings) -> dict[str, tuple[Fact, ...]]:
    """By incident, in the order in which they were said."""
    found: dict[str, list[Fact]] = {}
    for event in reversed(list(platform_log.read_newest_first(settings, KIND))):
        fact = Fact(
            platform_log.logged_at(event),
            event["fact"],
            event.get("by") or "",
            event.get("text") or "",
        )
        found.setdefault(event["incident_id"], []).append(fact)
    return {incident_id: tuple(facts) for incident_id, facts in found.items()}


def _incident(row: Mapping[str, Any], facts: Sequence[Fact]) -> Incident:
    values: dict[str, Any] = {
        **row,
        **{name: _listed(row[name]) for name in LISTS},
        **{name: _seconds(row[name]) for name in ("detect_seconds", "restore_seconds")},
        "affected_dataset_count": row["affected_dataset_count"] or 0,
        "explained_closing_count": row["explained_closing_count"] or 0,
        "facts": tuple(facts),
    }
    # The first who took it; the latest that is known of the cause.
    taken = next((each for each in facts if each.fact == "acknowledged"), None)
    cause = next((each for each in reversed(facts) if each.fact == "cause"), None)
    if taken is not None:
        values |= {"acknowledged_at": taken.at, "acknowledged_by": taken.by}
    if cause is not None:
        values["cause"] = cause.text
    return Incident(**values)


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)


def _listed(value: str | None) -> tuple[str, ...]:
    return tuple(each for each in (part.strip() for part in (value or "").split(",")) if each)
