"""Subscriptions: trials, conversions, seats, plans, cancellations and returns."""

from __future__ import annotations

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.chance import Domain, between, happens, pick, stream
from ingestion.simulator.company import (
    ACTIVE,
    BY_TRIAL,
    CHURNED,
    DIRECT,
    FREE,
    LOST,
    PAST_DUE,
    TRIAL,
    Company,
    customer_image,
)
from ingestion.simulator.invoicing import charge, collect, issue
from ingestion.simulator.records import INSERT, NONE, UPDATE, Outbox
from ingestion.simulator.scale import DAY_MS, Array, day_of, half_away
from ingestion.simulator.subscriptions import (
    begin,
    cancel,
    seat_price,
    send_subscriptions,
    start_period,
)

_TRIAL_DAYS = 14
_PLAN_WEIGHTS = ref.weights(0.34, 0.40, 0.20, 0.06)
_PLAN_SEATS = ref.weights(0.6, 1.0, 1.8, 4.0)
_MEDIAN_SEATS = 10.5
_DAILY_SEATS, _DAILY_UPGRADE, _DAILY_DOWNGRADE, _DAILY_YEARLY = 0.011, 9e-4, 2.5e-4, 8e-4
# A young company does not sell to the largest teams yet.
_NO_ENTERPRISE_BEFORE = 100
_DAILY_MAILBOX, _DAILY_RETURN = 3e-4, 0.0022


def billing_day(company: Company, day: int, outbox: Outbox) -> None:
    """Mornings renew and collect, days change, and then trials begin and end."""
    rng = stream(company.seed, Domain.BILLING, day)
    accounts = company.accounts
    paying = np.isin(accounts["stage"], (ACTIVE, PAST_DUE))
    due = np.flatnonzero(paying & (accounts["next_invoice"] == day))
    issue(company, day, rng, due, np.sort(between(rng, day, len(due), 2, 5)), outbox)
    collect(company, day, rng, outbox)
    _changes(company, day, rng, outbox)
    _trials_end(company, day, rng, outbox)
    _starts(company, day, rng, outbox)
    _returns(company, day, rng, outbox)
    charge(company, day, rng, outbox)


def _changes(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    """What happens to active subscriptions during a day: at most one thing each."""
    accounts = company.accounts
    idx = np.flatnonzero((accounts["stage"] == ACTIVE) & (accounts["next_invoice"] > day))
    fit, yearly = accounts["fit"][idx].astype(np.float64), accounts["yearly"][idx]
    plan, seats = accounts["plan"][idx].astype(np.int64), accounts["seats"][idx].astype(np.int64)
    canceling = np.where(yearly, 3e-4, 1.3e-3) * (1.7 - 1.4 * fit)
    upgrading = np.where(plan < len(ref.PLANS) - 1, _DAILY_UPGRADE, 0.0)
    downgrading = np.where(plan > 0, _DAILY_DOWNGRADE, 0.0)
    lengthening = np.where(yearly, 0.0, _DAILY_YEARLY)
    hazards = np.cumsum(
        [canceling, np.full(len(idx), _DAILY_SEATS), upgrading, downgrading, lengthening], axis=0
    )
    kind = (rng.random(len(idx)) >= hazards).sum(axis=0)
    at = between(rng, day, len(idx), 7, 22)
    share = rng.uniform(0.04, 0.3, len(idx))
    grows = happens(rng, len(idx), 0.6 + 0.35 * fit)

    leaving = kind == 0
    cancel(company, day, idx[leaving], at[leaving], outbox)

    before = seats * seat_price(company, idx)
    step = np.maximum(1, np.round(seats * share)).astype(np.int64)
    new_seats = np.maximum(np.where(grows, seats + step, seats - step), 1)
    resized = (kind == 1) & (new_seats != seats)
    accounts["seats"][idx[resized]] = new_seats[resized]
    moved = (kind == 2) | (kind == 3)
    accounts["plan"][idx[moved]] = (plan + np.where(kind == 2, 1, -1))[moved]
    longer = kind == 4
    accounts["yearly"][idx[longer]] = True

    dearer = _dearer(company, idx, before) * (resized | moved)
    left = accounts["next_invoice"][idx] - day
    length = np.maximum(accounts["next_invoice"][idx] - accounts["period_start"][idx], 1)
    for total in np.unique(length[dearer > 0]):
        chosen = (dearer > 0) & (length == total)
        accounts["proration"][idx[chosen]] += half_away((dearer * left)[chosen], int(total))
    changed = resized | moved | longer
    order = np.argsort(at[changed], kind="stable")
    send_subscriptions(company, day, UPDATE, idx[changed][order], at[changed][order], outbox)
    start_period(company, idx[longer], day)
    issue(company, day, rng, idx[longer], at[longer] + 60_000, outbox)

    customers = np.flatnonzero(accounts["customer"] >= 0)
    written = customers[happens(rng, len(customers), _DAILY_MAILBOX)]
    written = written[day_of(accounts["customer_created"][written]) < day]
    accounts["mailbox"][written] = (accounts["mailbox"][written] + 1) % 4
    outbox.add(
        "billing.customers",
        company.changes(
            "billing.customers", day, UPDATE, np.sort(between(rng, day, len(written), 7, 21)),
            **customer_image(company, written),
        ),
    )  # fmt: skip


def _dearer(company: Company, idx: Array, before: Array) -> Array:
    """By how many cents a whole period got dearer (0 if cheaper: no credit is given)."""
    after = company.accounts["seats"][idx].astype(np.int64) * seat_price(company, idx)
    dearer: Array = np.maximum(after - before, 0)
    return dearer


def _trials_end(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    accounts = company.accounts
    idx = np.flatnonzero((accounts["stage"] == TRIAL) & (accounts["decide_day"] == day))
    last = day_of(accounts["trial_ends"][idx])
    early = last > day
    fit, reported = accounts["fit"][idx], accounts["reported"][idx]
    likely = (0.05 + 0.30 * fit + 0.14 * reported) * np.where(early, 0.6, 1.0)
    converts = happens(rng, len(idx), likely)
    accounts["decide_day"][idx] = np.where(early & ~converts, last, NONE)
    daytime = between(rng, day, len(idx), 7, 22)
    at = np.where(early, daytime, accounts["trial_ends"][idx])

    lost = idx[~converts & ~early]
    cancel(company, day, lost, accounts["trial_ends"][lost], outbox, LOST)
    _begin_paying(company, day, rng, idx[converts], at[converts], outbox, UPDATE)


def _begin_paying(
    company: Company, day: int, rng: np.random.Generator, idx: Array, at: Array, outbox: Outbox,
    op: int,
) -> None:  # fmt: skip
    accounts = company.accounts
    order = np.argsort(at, kind="stable")
    idx, at = idx[order], at[order]
    accounts["stage"][idx] = ACTIVE
    accounts["yearly"][idx] = happens(rng, len(idx), 0.17)
    start_period(company, idx, day)
    send_subscriptions(company, day, op, idx, at, outbox)
    issue(company, day, rng, idx, at + 20_000, outbox)


def _starts(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    """Accounts that become customers: with a trial, or buying at once."""
    accounts = company.accounts
    idx = np.flatnonzero((accounts["stage"] == FREE) & (accounts["start_day"] == day))
    # Who signs up and starts on one day does so after signing up.
    earliest = np.where(
        day_of(accounts["created"][idx]) == day,
        accounts["created"][idx] + 10 * 60_000,
        between(rng, day, len(idx), 7, 22),
    )
    order = np.argsort(earliest, kind="stable")
    idx, at = idx[order], earliest[order]
    n = len(idx)
    accounts["customer"][idx] = company.numbers("customer", n)
    accounts["customer_created"][idx] = at
    outbox.add(
        "billing.customers",
        company.changes("billing.customers", day, INSERT, at, **customer_image(company, idx)),
    )
    plan = pick(rng, n, _PLAN_WEIGHTS)
    if day < _NO_ENTERPRISE_BEFORE:
        plan = np.minimum(plan, ref.PLANS.index("business"))
    accounts["plan"][idx] = plan
    wanted = np.round(rng.lognormal(np.log(_MEDIAN_SEATS), 0.8, n) * _PLAN_SEATS[plan])
    accounts["seats"][idx] = np.clip(wanted, 1, _largest_team(day))
    trial = accounts["start_kind"][idx] == BY_TRIAL
    early = happens(rng, n, 0.3)
    decide = day + np.where(early, rng.integers(4, 13, n), _TRIAL_DAYS)
    begin(company, idx, at + 2000)

    trying, from_when = idx[trial], at[trial] + 2000
    accounts["stage"][trying] = TRIAL
    accounts["trial_ends"][trying] = from_when + _TRIAL_DAYS * DAY_MS
    accounts["decide_day"][trying] = decide[trial]
    send_subscriptions(company, day, INSERT, trying, from_when, outbox)
    buying = accounts["start_kind"][idx] == DIRECT
    _begin_paying(company, day, rng, idx[buying], at[buying] + 2000, outbox, INSERT)


def _largest_team(day: int) -> int:
    return min(20 + day // 2, 600)


def _returns(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    """Some who left come back, with a new subscription."""
    accounts = company.accounts
    away = day - accounts["ended"]
    idx = np.flatnonzero((accounts["stage"] == CHURNED) & (away >= 20) & (away < 200))
    idx = idx[happens(rng, len(idx), _DAILY_RETURN)]
    at = np.sort(between(rng, day, len(idx), 7, 22))
    seats = np.round(accounts["seats"][idx] * rng.uniform(0.5, 1.0, len(idx)))
    accounts["seats"][idx] = np.maximum(seats, 1)
    begin(company, idx, at)
    _begin_paying(company, day, rng, idx, at, outbox, INSERT)
