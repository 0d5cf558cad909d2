"""A subscription as it is, and how each of its changes is sent."""

from __future__ import annotations

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.company import CHURNED, Company, columns
from ingestion.simulator.records import NONE, UPDATE, Outbox
from ingestion.simulator.scale import Array, Ints, day_of_month, same_day_next

_STATUS_OF_STAGE = np.array([0, 0, 1, 2, 3, 3, 3], np.uint8)


def send_subscriptions(
    company: Company, day: int, op: int, idx: Array, at: Array, outbox: Outbox
) -> None:
    """The subscriptions of these accounts as they are now."""
    accounts = company.accounts
    at = _in_order(company, idx, at)
    names = (
        "subscription", "customer", "plan", "seats", "yearly", "currency", "started",
        "trial_ends", "canceled",
    )  # fmt: skip
    outbox.add(
        "billing.subscriptions",
        company.changes(
            "billing.subscriptions", day, op, at, account=idx,
            status=_STATUS_OF_STAGE[accounts["stage"][idx]], unit=seat_price(company, idx),
            **columns(accounts, idx, names),
        ),
    )  # fmt: skip


def _in_order(company: Company, idx: Array, at: Array) -> Ints:
    """A change never comes before the change it follows."""
    changed = company.accounts["changed"]
    changed[idx] = np.maximum(at, changed[idx] + 1000)
    return np.array(changed[idx], np.int64)


def seat_price(company: Company, idx: Array) -> Ints:
    yearly = company.accounts["yearly"][idx].astype(np.int64)
    return ref.SEAT_CENTS[company.accounts["plan"][idx], yearly]


def begin(company: Company, idx: Array, at: Array) -> None:
    """A new subscription for each of these accounts; not sent yet."""
    accounts = company.accounts
    accounts["subscription"][idx] = company.numbers("subscription", len(idx))
    accounts["started"][idx] = at
    accounts["trial_ends"][idx] = NONE
    accounts["canceled"][idx] = NONE
    accounts["yearly"][idx] = False
    accounts["proration"][idx] = 0


def cancel(
    company: Company, day: int, idx: Array, at: Array, outbox: Outbox, stage: int = CHURNED
) -> None:
    accounts = company.accounts
    accounts["stage"][idx] = stage
    accounts["canceled"][idx] = np.maximum(at, accounts["changed"][idx] + 1000)
    accounts["ended"][idx] = day
    accounts["next_invoice"][idx] = NONE
    send_subscriptions(company, day, UPDATE, idx, at, outbox)


def start_period(company: Company, idx: Array, day: int) -> None:
    company.accounts["anchor"][idx] = day_of_month(np.full(len(idx), day))
    company.accounts["next_invoice"][idx] = day


def next_period(company: Company, idx: Array, day: int) -> Ints:
    """The day that ends the period which begins on this day."""
    accounts = company.accounts
    months = np.where(accounts["yearly"][idx], 12, 1)
    return same_day_next(np.full(len(idx), day), accounts["anchor"][idx], months)
