"""The company's key figures: which, over which period, and how they are written."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from serving.published import Answer

Number = int | float | Decimal | None
Ask = Callable[[Sequence[str], str, date, date], Answer]


class KeyFigure(NamedTuple):
    """`comparison` is the value of the period before, written as the value is."""

    label: str
    value: str
    unit: str
    comparison: str


@dataclass(frozen=True)
class _Figure:
    metric: str
    label: str
    unit: str
    grain: str
    # Whole periods to go back: what can still change is not a figure yet (trials run two weeks,
    # an account has two weeks to be activated).
    ripens: int = 0


FIGURES = (
    _Figure("mrr", "MRR", "USD", "month"),
    _Figure("arr", "ARR", "USD", "month"),
    _Figure("paying_accounts", "Paying accounts", "accounts", "month"),
    _Figure("arpa", "MRR per paying account", "USD", "month"),
    _Figure("net_new_mrr", "Net new MRR", "USD", "month"),
    _Figure("nrr", "Net revenue retention", "ratio", "month"),
    _Figure("grr", "Gross revenue retention", "ratio", "month"),
    _Figure("logo_churn_rate", "Logo churn", "ratio", "month"),
    _Figure("collected_revenue", "Collected revenue", "USD", "month"),
    _Figure("cac", "Customer acquisition cost", "USD", "month"),
    _Figure("cac_payback_months", "CAC payback", "months", "month"),
    _Figure("trial_conversion_rate", "Trial conversion", "ratio", "month", ripens=1),
    _Figure("activation_rate", "Activation", "ratio", "week", ripens=2),
    _Figure("dau", "Daily active users", "users", "day"),
    _Figure("wau", "Weekly active users", "users", "day"),
    _Figure("mau", "Monthly active users", "users", "day"),
    _Figure("stickiness", "Stickiness", "ratio", "day"),
)


def figures_of(ask: Ask, last_day: date) -> list[KeyFigure]:
    """Each figure at its last whole period; periods of one kind are asked in one question."""
    found: list[KeyFigure] = []
    for grain, ripens in dict.fromkeys((each.grain, each.ripens) for each in FIGURES):
        figures = [each for each in FIGURES if (each.grain, each.ripens) == (grain, ripens)]
        now = _last_whole(grain, last_day)
        for _ in range(ripens):
            now = _before(grain, now)
        before = _before(grain, now)
        names = [each.metric for each in figures]
        rows = {row[grain]: row for row in ask(names, grain, before, now).records()}
        for each in figures:
            found.append(
                KeyFigure(
                    f"{each.label}, {_period(grain, now)}",
                    written(rows.get(now, {}).get(each.metric), each.unit),
                    each.unit,
                    written(rows.get(before, {}).get(each.metric), each.unit),
                )
            )
    return found


def written(value: Number, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "USD":
        return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"
    if unit == "ratio":
        return f"{value * 100:.1f} %"
    if unit == "months":
        return f"{value:.1f} months"
    return f"{value:,}"


def _last_whole(grain: str, last_day: date) -> date:
    """The first day of the last period that is over with the last day."""
    if grain == "day":
        return last_day
    if grain == "week":
        monday = last_day - timedelta(days=last_day.weekday())
        return monday if last_day.weekday() == 6 else monday - timedelta(days=7)
    first = last_day.replace(day=1)
    is_whole = last_day.day == monthrange(last_day.year, last_day.month)[1]
    return first if is_whole else _before("month", first)


def _before(grain: str, period: date) -> date:
    if grain == "month":
        return (period - timedelta(days=1)).replace(day=1)
    return period - timedelta(days=7 if grain == "week" else 1)


def _period(grain: str, period: date) -> str:
    if grain == "month":
        return f"{period:%B %Y}"
    return f"week of {period}" if grain == "week" else str(period)
