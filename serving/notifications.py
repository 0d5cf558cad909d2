"""Telling people: each state change of an incident once per channel, whatever ends the process.

What has been told stands in the platform log. A message that failed, or that nobody noted because
its process was ended, is due again at the next run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from serving.channels import Undelivered
from serving.incidents import Incident, published_incidents
from serving.notices import Notice, Transition, notice, trial
from serving.routes import Channel, Routes, read_routes
from serving.timeline import stale_tables
from warehouse import platform_log
from warehouse.alone import alone
from warehouse.clock import wall_clock
from warehouse.settings import Settings
from warehouse.words import counted

KIND: Final = "notifications"
# Two processes would tell everything twice.
LOCK: Final = ".notify.lock"
# An incident that opened and closed unheard is told if it closed lately; older ones are history,
# which a new channel is spared.
RECENT: Final = timedelta(days=1)


@dataclass(frozen=True)
class Delivery:
    channel: str
    transition: str
    incident_id: str | None
    attempts: int
    message: str = ""


@dataclass(frozen=True)
class Told:
    """What one run told; `waiting` was not tried, because its channel had just failed."""

    sent: tuple[Delivery, ...] = ()
    failed: tuple[Delivery, ...] = ()
    waiting: tuple[Delivery, ...] = ()
    unrouted: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """As a run says it."""
        return (
            *(f"✓ told {each.channel}: {_named(each)}" for each in self.sent),
            *(
                f"✗ {each.channel} was not told of {_named(each)}: {each.message} "
                f"({counted(each.attempts, 'attempt')})"
                for each in self.failed
            ),
            *(f"✗ {each.channel} waits for the next run: {_named(each)}" for each in self.waiting),
            *(f"✗ no route of notifications.yml fits incident {each}" for each in self.unrouted),
        )


@dataclass(frozen=True)
class Due:
    incident: Incident
    transition: Transition
    channel: Channel


def notify(settings: Settings) -> Told:
    """Tell everything that is due. A channel's failure is in the result, never raised."""
    routes = read_routes(settings)
    with alone(settings.own_dir / LOCK):
        known = published_incidents(settings)
        found = due(known, routes, *_told(settings), now=wall_clock())
        unrouted = tuple(
            each.incident_id
            for each in known
            if each.is_open and not routes.channels_for(each, "opened")
        )
        return _deliver(
            settings,
            [
                (
                    Delivery(each.channel.name, each.transition, each.incident.incident_id, 0),
                    each.channel,
                    notice(
                        each.incident,
                        each.transition,
                        stale_tables(settings, each.incident),
                        routes.docs_url,
                    ),
                )
                for each in found
            ],
            unrouted,
        )


def try_channels(settings: Settings) -> Told:
    """A trial message to every channel."""
    routes = read_routes(settings)
    with alone(settings.own_dir / LOCK):
        return _deliver(
            settings,
            [
                (Delivery(each.name, "trial", None, 0), each, trial(each.name))
                for each in routes.channels.values()
            ],
        )


def due(
    known: Iterable[Incident],
    routes: Routes,
    sent: frozenset[tuple[str, str, str]],
    tried: frozenset[tuple[str, str, str]],
    *,
    now: datetime,
) -> tuple[Due, ...]:
    """Oldest first. `sent` and `tried` hold (incident, transition, channel)."""
    found = []
    for incident in sorted(known, key=lambda each: (each.opened_at, each.incident_id)):
        for transition in _happened(incident):
            for channel in routes.channels_for(incident, transition):
                said = (incident.incident_id, transition, channel.name)
                began = (incident.incident_id, "opened", channel.name)
                if said in sent or (
                    transition == "closed" and began not in tried and not _is_recent(incident, now)
                ):
                    continue
                found.append(Due(incident, transition, channel))
    return tuple(found)


def _happened(incident: Incident) -> Iterator[Transition]:
    """What can still be news: that a closed one opened is told with its closing."""
    if incident.closed_at is not None:
        yield "closed"
        return
    yield "opened"
    if incident.acknowledged_at is not None:
        yield "acknowledged"


def _is_recent(incident: Incident, now: datetime) -> bool:
    return incident.closed_at is not None and now - incident.closed_at < RECENT


def _told(
    settings: Settings,
) -> tuple[frozenset[tuple[str, str, str]], frozenset[tuple[str, str, str]]]:
    """(sent, tried), as the platform log knows them."""
    sent, tried = set(), set()
    for event in platform_log.read_newest_first(settings, KIND):
        if event.get("incident_id"):
            said = (event["incident_id"], event["transition"], event["channel"])
            tried.add(said)
            if event["outcome"] == "sent":
                sent.add(said)
    return frozenset(sent), frozenset(tried)


def _deliver(
    settings: Settings,
    messages: Sequence[tuple[Delivery, Channel, Notice]],
    unrouted: tuple[str, ...] = (),
) -> Told:
    sent: list[Delivery] = []
    failed: list[Delivery] = []
    waiting: list[Delivery] = []
    for delivery, channel, letter in messages:
        if channel.name in {each.channel for each in failed}:
            # One dead channel must not hold the run up once per message.
            waiting.append(delivery)
            continue
        attempts, problem = _send(channel, letter)
        done = Delivery(
            delivery.channel, delivery.transition, delivery.incident_id, attempts, problem
        )
        (failed if problem else sent).append(done)
        # Noted at once: what is told and not noted would be told again.
        platform_log.append(
            settings,
            KIND,
            [
                {
                    "incident_id": done.incident_id,
                    "transition": done.transition,
                    "channel": done.channel,
                    "outcome": "failed" if problem else "sent",
                    "attempts": attempts,
                    "message": problem or letter.subject,
                }
            ],
        )
    return Told(tuple(sent), tuple(failed), tuple(waiting), unrouted)


def _send(channel: Channel, letter: Notice) -> tuple[int, str]:
    """How many attempts it took, and why even the last of them failed."""
    pause = channel.pause_seconds
    for attempt in range(1, channel.attempts + 1):
        try:
            channel.way.deliver(letter)
            return attempt, ""
        except Undelivered as error:
            if not error.may_retry or attempt == channel.attempts:
                return attempt, str(error)
        time.sleep(pause)
        pause *= 2
    raise AssertionError("a channel has at least one attempt")


def _named(delivery: Delivery) -> str:
    if delivery.incident_id is None:
        return "a trial message"
    return f"incident {delivery.incident_id} {delivery.transition}"
