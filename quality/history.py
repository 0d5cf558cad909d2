"""What checks saw on earlier days: the values on which their gate opened, from the gate's events.

Each event's checks carry the values before their own, so the newest event that has a check is
enough; the log is not read from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from quality.gate_log import KIND
from warehouse import platform_log
from warehouse.settings import Settings

FARTHEST = 5_000
"""Events looked through for a check before it counts as new."""

CheckKey = tuple[str, str]
"""A dataset's key and a check's id."""


@dataclass(frozen=True)
class Past:
    """A check's values by day, oldest first: one a day, the last of it."""

    values: Mapping[date, float] = field(default_factory=dict)
    opened_on: date | None = None
    """The last day on which the gate opened with this check."""

    def before(self, day: date) -> dict[date, float]:
        return {on: value for on, value in self.values.items() if on < day}


Kept = tuple[tuple[str, float], ...]
"""Values as an event carries them on."""


def kept(values: Mapping[date, float], count: int) -> Kept:
    last = sorted(values.items())[-count:]
    return tuple((day.isoformat(), value) for day, value in last)


def read(settings: Settings, wanted: Iterable[CheckKey]) -> dict[CheckKey, Past]:
    missing = set(wanted)
    found: dict[CheckKey, Past] = {}
    keys = {key for key, _ in missing}
    if not missing:
        return found
    for number, event in enumerate(platform_log.read_newest_first(settings, KIND)):
        if not missing or number >= FARTHEST:
            break
        if event["key"] in keys:
            for check in event.get("checks") or ():
                at = (event["key"], check["check_id"])
                if at in missing:
                    missing.discard(at)
                    found[at] = _past(check, opened=event["state"] == "open")
    return found


def _past(check: Mapping[str, Any], *, opened: bool) -> Past:
    values = {date.fromisoformat(day): float(value) for day, value in check.get("history") or ()}
    opened_on = max(values, default=None)
    if opened and check.get("measured_on"):
        opened_on = date.fromisoformat(check["measured_on"])
        if check.get("value") is not None:
            values[opened_on] = float(check["value"])
    return Past(dict(sorted(values.items())), opened_on)
