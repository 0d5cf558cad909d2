"""What "now" is: one instant a run can pin, so that a replay gives the same rows."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import fsspec

from warehouse.settings import Settings

SIMULATED_CLOCK = "_clock.json"


def wall_clock() -> datetime:
    return datetime.now(UTC)


def as_of(settings: Settings) -> datetime:
    """The pinned instant, else the simulated company's present, else the wall clock."""
    if settings.as_of is not None:
        return _utc(settings.as_of)
    simulated = _simulated(settings)
    return simulated if simulated is not None else wall_clock()


def last_day(settings: Settings) -> date:
    """The last day that is over, as the macro of this name has it."""
    return as_of(settings).date() - timedelta(days=1)


def _simulated(settings: Settings) -> datetime | None:
    filesystem, root = fsspec.core.url_to_fs(settings.landing_url)
    path = f"{root}/{SIMULATED_CLOCK}"
    if not filesystem.exists(path):
        return None
    return _utc(datetime.fromisoformat(json.loads(filesystem.cat_file(path))["now"]))


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
