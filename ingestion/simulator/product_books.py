"""The books about the use of the product."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ingestion.simulator import reference as ref
from ingestion.simulator.columns import days_on, months_on, named, sums, weeks_on
from ingestion.simulator.ledger import FUNNEL_STEPS, WEEK_WORDS, Ledger
from ingestion.simulator.scale import OPEN_DAYS, day_of, month_of, week_of
from ingestion.simulator.sessions import active_counts, add_sessions


def active_users_daily(ledger: Ledger, day: int) -> pa.Table:
    days, seen = ledger["days"], ledger["users"]["days"]
    counts = np.stack([days["daily"], days["weekly"], days["monthly"]], axis=1)
    for age in range(min(OPEN_DAYS, day + 1)):
        counts[day - age] = active_counts(seen, age)
    return pa.table(
        {
            "day_on": days_on(np.arange(day + 1)),
            "daily_count": counts[:, 0],
            "weekly_count": counts[:, 1],
            "monthly_count": counts[:, 2],
        }
    )


def sessions_daily(ledger: Ledger) -> pa.Table:
    days, users, activity = ledger["days"], ledger["users"], ledger["activity"]
    sessions, events = days["sessions"].copy(), days["session_events"].copy()
    add_sessions(
        activity["user"], activity["at"], users["last_at"].copy(), users["session_day"].copy(),
        sessions, events,
    )  # fmt: skip
    return pa.table(
        {
            "day_on": days_on(np.arange(len(days))),
            "session_count": sessions,
            "event_count": events,
        }
    )


def funnel_weekly(ledger: Ledger) -> pa.Table:
    created = ledger["accounts"]["created"]
    exists = created >= 0
    week, steps = week_of(day_of(created[exists])), ledger.funnel_steps()[exists]
    weeks = np.unique(week)
    counts = np.zeros((len(weeks), len(FUNNEL_STEPS)), np.int64)
    for step in range(len(FUNNEL_STEPS)):
        reached = week[steps > step]
        np.add.at(counts[:, step], np.searchsorted(weeks, reached), 1)
    return pa.table(
        {
            "week_on": weeks_on(np.repeat(weeks, len(FUNNEL_STEPS))),
            "step": FUNNEL_STEPS * len(weeks),
            "account_count": counts.ravel(),
        }
    )


def activation_weekly(ledger: Ledger) -> pa.Table:
    accounts = ledger["accounts"]
    exists = accounts["created"] >= 0
    week, activated = week_of(day_of(accounts["created"][exists])), accounts["activated"][exists]
    weeks, place = np.unique(week, return_inverse=True)
    return pa.table(
        {
            "week_on": weeks_on(weeks),
            "signed_up_count": np.bincount(place, minlength=len(weeks)),
            "activated_count": sums(place, activated.astype(np.int64), len(weeks)),
        }
    )


def retention_weekly(ledger: Ledger) -> pa.Table:
    users = ledger["users"]
    words = np.stack([users[f"weeks_{n}"] for n in range(WEEK_WORDS)], axis=1)
    cohort = np.full(len(words), -1, np.int64)
    width = WEEK_WORDS * 64
    counts = np.zeros((width, width), np.int64)
    for week in range(width):
        active = (words[:, week // 64] >> np.uint64(week % 64) & np.uint64(1)).astype(bool)
        cohort[active & (cohort < 0)] = week
        counts[:, week] = np.bincount(cohort[active], minlength=width)
    first, later = np.nonzero(counts)
    return pa.table(
        {
            "cohort_week_on": weeks_on(first),
            "week_number": pa.array(later - first, pa.int32()),
            "user_count": counts[first, later],
        }
    )


def feature_adoption_monthly(ledger: Ledger, day: int) -> pa.Table:
    parts = [ledger["adoption"].dump()]
    closed = int(parts[0]["month"].max()) + 1 if len(parts[0]["month"]) else 0
    for month in range(closed, int(month_of(np.array([day]))[0]) + 1):
        parts.append(ledger.adoption_of(month))
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows = {name: column[rows["users"] > 0] for name, column in rows.items()}
    return pa.table(
        {
            "month_on": months_on(rows["month"]),
            "feature": named(ref.FEATURES, rows["feature"]),
            "user_count": rows["users"],
            "account_count": rows["accounts"],
            "active_user_count": rows["active_users"],
            "active_account_count": rows["active_accounts"],
        }
    )
