"""Checks that hold a value against its own past: change_over_time and anomaly.

The past is in the data where it has days (`by_day`), else in the gate's events. While it is too
short the check passes and says that it is learning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import chain
from statistics import median
from typing import Any

from quality.check_file import DeclaredCheck
from quality.evaluation import CheckResult, answered, expected, shown, unevaluated
from quality.expected import plot, usual
from quality.history import Past, kept
from quality.measuring import Measured, Request, aggregate, is_by_arrival, shares_of
from quality.thresholds import Threshold

DEFAULT_DAYS = 42
"""Six weeks: enough of each weekday to know it."""
DEFAULT_VALUES = {"previous": 1, "last_values": 7, "same_weekday": 4}
DEFAULT_ROWS = 30
DEFAULT_TOLERANCE = {"percent": 10.0}
LONGEST_LAG = 7
"""Rows of a day may come some days later; until then the last known day is judged."""
LONGEST_CATCH_UP = 14
"""So many days are judged at most, when a gate has been closed for long."""


@dataclass(frozen=True)
class Verdict:
    """What one value is worth, beside what was expected."""

    value: float | None
    bounds: Threshold | None = None
    note: str = ""
    day: date | None = None
    plot: str = ""
    told: str = ""
    """What is said of a breach, if not the value and what was expected."""

    def result(self, check: DeclaredCheck) -> CheckResult:
        low, high = self.bounds.limits if self.bounds is not None else (None, None)
        found = replace(
            answered(check, "pass", self.value, self.note),
            threshold=f"expected {expected(low, high)}" if self.bounds is not None else "",
            expected_low=low,
            expected_high=high,
            plot=self.plot,
        )
        if self.bounds is None:
            return found
        outcome = self.bounds.judge(self.value)
        if outcome == "pass":
            return replace(found, message="")
        on = f" on {self.day}" if self.day is not None else ""
        value = shown(self.value) if self.value is not None else "nothing"
        told = self.told or f"{value}{on}, expected {expected(low, high)}"
        told += "".join(f" {part}" for part in (self.note, self.plot) if part)
        return replace(found, outcome=outcome, message=told)


def days_to_judge(past: Past, today: date) -> list[date]:
    """The days that are over and were not yet over when the gate last opened; at least one."""
    last = today - timedelta(days=1)
    first = last if past.opened_on is None else min(past.opened_on, last)
    count = min((last - first).days, LONGEST_CATCH_UP - 1)
    return [last - timedelta(days=back) for back in range(count, -1, -1)]


def request(check: DeclaredCheck, past: Past, filters: Sequence[str], today: date) -> Request:
    own = check.body.get("filter")
    narrowed = (*filters, own) if own else tuple(filters)
    by_day = str(check.body.get("by_day", ""))
    if not by_day:
        return Request(check.check_id, aggregate(check), narrowed)
    judged = days_to_judge(past, today)
    start = judged[0] - timedelta(days=_days(check))
    return Request(
        check.check_id, aggregate(check), narrowed, by_day, shares_of(check), start, judged[-1]
    )


def judge(check: DeclaredCheck, past: Past, measured: Measured, today: date) -> CheckResult:
    """Nothing measured is nothing evaluated; a past too short is a pass that says so."""
    if measured.fault:
        found = unevaluated(check, measured.fault)
    elif check.body.get("by_day"):
        found = _by_day(check, past, measured, today)
    else:
        found = _against_the_log(check, past, measured.value, today)
    carried = past.before(today)
    if check.body.get("by_day"):
        history = kept({past.opened_on: 0.0}, 1) if past.opened_on is not None else ()
    else:
        history = kept(carried, _remembered(check))
    return replace(found, measured_on=today.isoformat(), history=history)


def _against_the_log(check: DeclaredCheck, past: Past, given: Any, today: date) -> CheckResult:
    value = _number(given)
    if value is None:
        return unevaluated(check, "no rows to measure?")
    values = past.before(today)
    if check.type == "anomaly":
        return _verdict(check, values, value, today, "values").result(check)
    how = str(check.body.get("compared_with", "last_values"))
    wanted = int(check.body.get("values", DEFAULT_VALUES[how]))
    if how == "same_weekday":
        values = {day: each for day, each in values.items() if day.weekday() == today.weekday()}
    last = dict(sorted(values.items())[-wanted:])
    if len(last) < wanted:
        return Verdict(value, note=_learning(len(last), wanted, "values")).result(check)
    base = median(last.values())
    bounds = _moved(check.threshold, base)
    note = f"(it was {shown(base)})"
    return Verdict(value, bounds, note, plot=plot([*last.values(), value])).result(check)


def _moved(threshold: Threshold | None, base: float) -> Threshold:
    assert threshold is not None
    unit = abs(base) / 100 if threshold.percent else 1
    return threshold.moved(lambda bound: base + bound * unit)


def _by_day(check: DeclaredCheck, past: Past, measured: Measured, today: date) -> CheckResult:
    """Each day that is due against the days before it; the worst of them counts."""
    told = _told_days(check, measured)
    due = days_to_judge(past, today)
    judged = [day for day in dict.fromkeys(_latest(told, day) for day in due) if day is not None]
    if not judged:
        few = "no files" if is_by_arrival(check) else f"fewer than {_least_rows(check)} rows"
        return answered(check, "pass", message=f"{few} on {due[-1]} and the days before")
    results = [_of_day(check, measured, told, day) for day in judged]
    worst = {"not_evaluated": 0, "error": 0, "fail": 1, "warn": 2, "pass": 3}
    # The latest of equally bad ones: it is the one that can still be mended.
    return min(reversed(results), key=lambda each: worst[each.outcome])


def _of_day(
    check: DeclaredCheck, measured: Measured, told: Sequence[date], day: date
) -> CheckResult:
    start = day - timedelta(days=_days(check))
    before = [on for on in told if start <= on < day]
    if check.body.get("measure") == "shares":
        parts = {on: _parts(measured.days[on]) for on in (*before, day)}
        return _shares(check, parts, day).result(check)
    value = _of(check, measured, day)
    if value is None:
        return unevaluated(check, f"no number on {day}")
    known = {on: each for on in before if (each := _of(check, measured, on)) is not None}
    return _verdict(check, known, value, day, "days").result(check)


def _of(check: DeclaredCheck, measured: Measured, day: date) -> float | None:
    return _number(measured.days.get(day, 0 if _counts_rows(check) else None))


def _told_days(check: DeclaredCheck, measured: Measured) -> list[date]:
    """Days that say something: of counted rows all of them, a day without rows is one of none.

    A day without files is another matter: whether it should have any, freshness says.
    """
    days = sorted(measured.rows)
    if not days or is_by_arrival(check):
        return days
    if _counts_rows(check):
        # As far as anybody asks; the days after the last rows are the ones that matter.
        span = (days[-1] - days[0]).days + LONGEST_CATCH_UP
        return [days[0] + timedelta(days=number) for number in range(span + 1)]
    return [day for day in days if measured.rows[day] >= _least_rows(check)]


def _latest(told: Sequence[date], day: date) -> date | None:
    """The day itself, or the last one before it, within a week, that says something."""
    near = [each for each in told if day - timedelta(days=LONGEST_LAG) < each <= day]
    return near[-1] if near else None


def _verdict(
    check: DeclaredCheck, history: Mapping[date, float], value: float, day: date, unit: str
) -> Verdict:
    history = dict(sorted(history.items())[-_days(check) :])
    wanted = _learnt(check)
    if len(history) < wanted:
        return Verdict(value, note=_learning(len(history), wanted, unit), day=day)
    tolerance = check.body.get("tolerance", DEFAULT_TOLERANCE)
    is_count = _counts_rows(check) or check.body.get("measure") == "distinct"
    assert check.threshold is not None
    found = usual(history, day, is_count=is_count, **tolerance)
    bounds = found.around(check.threshold)
    if is_count:
        bounds = bounds.moved(lambda bound: max(bound, 0.0))
    on = day if unit == "days" else None
    return Verdict(value, bounds, f"(usually {shown(found.centre)})", on,
                   plot([*history.values(), value]))  # fmt: skip


def _shares(check: DeclaredCheck, parts: Mapping[date, Mapping[str, float]], day: date) -> Verdict:
    """How far the category that moved most is from its usual share, in percentage points."""
    before = [part for on, part in sorted(parts.items()) if on < day]
    if len(before) < _learnt(check):
        return Verdict(None, note=_learning(len(before), _learnt(check), "days"), day=day)
    now = parts[day]
    usual_share = {
        each: median(part.get(each, 0.0) for part in before) for each in {*now, *chain(*before)}
    }
    moved = max(sorted(usual_share), key=lambda each: abs(now.get(each, 0.0) - usual_share[each]))
    share = now.get(moved, 0.0)
    apart = abs(share - usual_share[moved])
    told = (
        f"`{moved or 'no value'}` is {shown(share)} % on {day},"
        f" usually {shown(usual_share[moved])} %: {shown(apart)} points apart"
    )
    drawn = plot([*(part.get(moved, 0.0) for part in before), share])
    return Verdict(apart, check.threshold, day=day, plot=drawn, told=told)


def _parts(counts: Mapping[str, int]) -> dict[str, float]:
    whole = sum(counts.values())
    return {name: 100 * count / whole for name, count in counts.items()}


def _learning(known: int, wanted: int, unit: str) -> str:
    return f"learning ({known} of {wanted} {unit})"


def _counts_rows(check: DeclaredCheck) -> bool:
    return not check.column and "expression" not in check.body


def _days(check: DeclaredCheck) -> int:
    return int(check.body.get("days", DEFAULT_DAYS))


def _least_rows(check: DeclaredCheck) -> int:
    return int(check.body.get("at_least_rows", DEFAULT_ROWS))


def _learnt(check: DeclaredCheck) -> int:
    """So many days or values say what is usual."""
    return math.ceil(_days(check) / 3)


def _remembered(check: DeclaredCheck) -> int:
    if check.type == "anomaly":
        return _days(check)
    how = str(check.body.get("compared_with", "last_values"))
    wanted = int(check.body.get("values", DEFAULT_VALUES[how]))
    return wanted * 7 if how == "same_weekday" else wanted


def _number(value: Any) -> float | None:
    try:
        found = None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return found if found is not None and math.isfinite(found) else None
