"""How big the company gets, and the calendar it lives by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Array = NDArray[Any]

FIRST_DAY = date(2025, 1, 1)
DEFAULT_DAYS = 455
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
FIRST_MS = (FIRST_DAY - date(1970, 1, 1)).days * DAY_MS
_FIRST = np.datetime64(FIRST_DAY, "D")

# Drift and one-off accidents fall on fixed days, so that they do not depend on how long is played.
COMPANY_NAME_DAY = (date(2025, 7, 1) - FIRST_DAY).days
PURCHASE_ORDER_DAY = (date(2025, 8, 1) - FIRST_DAY).days
EXPERIMENT_DAY = (date(2025, 9, 1) - FIRST_DAY).days
EVENTS_CUT_DAY = (date(2025, 3, 12) - FIRST_DAY).days
PAYMENTS_CUT_DAY = (date(2025, 4, 8) - FIRST_DAY).days

# Every first good delivery of an event happens within this many days after its true day:
# 7 late, 1 for a batch sent again, 1 for an outage of the source. Smaller would lose facts.
OPEN_DAYS = 10


@dataclass(frozen=True)
class Size:
    name: str
    accounts: int
    events_per_session: float


SIZES = {
    size.name: size
    for size in (
        Size("small", 600, 2.7),
        Size("medium", 10_000, 3.6),
        Size("large", 60_000, 5.0),
    )
}


def calendar_day(day: int) -> date:
    return FIRST_DAY + timedelta(days=day)


def day_start(day: int) -> int:
    return FIRST_MS + day * DAY_MS


def day_of(instants: Array) -> Ints:
    """The day number (0 is the first day of history) of each instant in epoch milliseconds."""
    days: Ints = (instants - FIRST_MS) // DAY_MS
    return days


def dates(days: Array) -> NDArray[np.datetime64]:
    return _FIRST + days.astype("timedelta64[D]")


def month_of(days: Array) -> Ints:
    """Months since the month of the first day."""
    months = dates(days).astype("datetime64[M]") - _FIRST.astype("datetime64[M]")
    count: Ints = months.astype(np.int64)
    return count


def month_start(month: int) -> int:
    """The day number of a month's first day."""
    first = (_FIRST.astype("datetime64[M]") + month).astype("datetime64[D]")
    return int((first - _FIRST).astype(np.int64))


def weekday(day: int) -> int:
    """Monday is 0."""
    return (day + FIRST_DAY.weekday()) % 7


def week_of(days: Array) -> Ints:
    """Weeks (from Monday) since the week of the first day."""
    weeks: Ints = (days + FIRST_DAY.weekday()) // 7
    return weeks


def week_start(week: int) -> int:
    return week * 7 - FIRST_DAY.weekday()


def same_day_next(days: Array, anchors: Array, months: Array) -> Ints:
    """The anchor's day of the month, so many months on, or that month's last day."""
    month = dates(days).astype("datetime64[M]") + months.astype("timedelta64[M]")
    first = month.astype("datetime64[D]")
    length = ((month + 1).astype("datetime64[D]") - first).astype(np.int64)
    start = (first - _FIRST).astype(np.int64)
    days_on: Ints = start + np.minimum(anchors.astype(np.int64), length) - 1
    return days_on


def day_of_month(days: Array) -> Ints:
    on = dates(days)
    first = on.astype("datetime64[M]").astype("datetime64[D]")
    since: Ints = (on - first).astype(np.int64)
    return since + 1


def half_away(numerator: Array, denominator: int) -> Ints:
    """Divide whole numbers, rounding half away from zero."""
    magnitude = (np.abs(numerator) * 2 + denominator) // (2 * denominator)
    rounded: Ints = np.sign(numerator) * magnitude
    return rounded
