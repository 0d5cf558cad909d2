"""Invoices on the anniversaries of periods, payments and their retries, refunds, losses."""

from __future__ import annotations

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.chance import between, happens
from ingestion.simulator.company import (
    ACTIVE,
    DUE_REFUND,
    OPEN_INVOICE,
    OPEN_PAYMENT,
    PAST_DUE,
    Company,
)
from ingestion.simulator.records import NONE, UPDATE, Outbox, records, stacked
from ingestion.simulator.scale import MINUTE_MS, Array, half_away
from ingestion.simulator.subscriptions import (
    cancel,
    next_period,
    seat_price,
    send_subscriptions,
)

OPEN, PAID, VOID, UNCOLLECTIBLE = range(4)
PENDING, SUCCEEDED, FAILED = range(3)
CARD, TRANSFER = 0, 1

_TERMS_DAYS = 14
_VOIDED = 0.006
_RETRY_AFTER = np.array([3, 5, 7])
_FIRST_SUCCESS, _RETRY_SUCCESS, _TRANSFER_SUCCESS = 0.945, 0.5, 0.97
_SLOW_CARDS = 0.1
_REFUNDED, _REFUNDED_WHOLE = 0.015, 0.6


def issue(
    company: Company, day: int, rng: np.random.Generator, idx: Array, at: Array, outbox: Outbox
) -> None:
    """Invoice the period that begins today, and what changed within the last one."""
    accounts, n = company.accounts, len(idx)
    if not n:
        return
    period_end = next_period(company, idx, day)
    accounts["period_start"][idx] = day
    accounts["next_invoice"][idx] = period_end
    plan, seats = accounts["plan"][idx], accounts["seats"][idx].astype(np.int64)
    unit = seat_price(company, idx)
    proration = accounts["proration"][idx].copy()
    accounts["proration"][idx] = 0
    net = seats * unit + proration
    tax_rate = ref.TAX_BASIS_POINTS[accounts["customer_country"][idx]]
    currency = accounts["currency"][idx]
    rows = records(
        "billing.invoices", n, due=day, invoice=company.numbers("invoice", n), account=idx,
        customer=accounts["customer"][idx], subscription=accounts["subscription"][idx],
        currency=currency, status=OPEN, issued=at, due_on=day + _TERMS_DAYS, net=net,
        tax=half_away(net * tax_rate, 10_000), plan=plan, seats=seats, unit=unit,
        proration=proration, tax_rate=tax_rate, period_start=day, period_end=period_end,
        updated=at, usd_rate=company.usd_rate(day, currency),
    )  # fmt: skip
    outbox.add("billing.invoices", rows)
    voided = happens(rng, n, _VOIDED)
    by_card = accounts["method"][idx] == CARD
    first_attempt = day + np.where(by_card, 0, rng.integers(5, 21, n))
    opened = np.zeros(n, OPEN_INVOICE)
    opened["document"] = rows
    opened["attempt_day"] = np.where(voided, NONE, first_attempt)
    opened["void_day"] = np.where(voided, day + 1, NONE)
    company.open["invoices"] = stacked(company.open["invoices"], opened)


def collect(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    """Everything that today brings to open invoices: voids, attempts, settlements, refunds."""
    _void(company, day, rng, outbox)
    _settle(company, day, rng, outbox)
    charge(company, day, rng, outbox)
    _refund(company, day, rng, outbox)


def _send_again(
    company: Company, day: int, which: Array, status: int, at: Array, outbox: Outbox
) -> None:
    """A new version of these open invoices, which closes them."""
    if not len(which):
        return
    closing = company.open["invoices"][which]["document"].copy()
    closing["due"], closing["status"], closing["updated"] = day, status, at
    closing["version"] += 1
    outbox.add("billing.invoices", closing)


def _forget(company: Company, which: Array) -> None:
    keep = np.ones(len(company.open["invoices"]), bool)
    keep[which] = False
    company.open["invoices"] = company.open["invoices"][keep]


def _void(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    which = np.flatnonzero(company.open["invoices"]["void_day"] == day)
    at = between(rng, day, len(which), 9, 17)
    _send_again(company, day, which, VOID, at, outbox)
    _forget(company, which)


def charge(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    """Charge what is due today; a failure is tried again 3, 5 and 7 days later."""
    which = np.flatnonzero(company.open["invoices"]["attempt_day"] == day)
    n = len(which)
    if not n:
        return
    due = company.open["invoices"][which]
    document = due["document"]
    method = company.accounts["method"][document["account"]]
    first = due["attempts"] == 0
    minutes_later = document["issued"] + rng.integers(1, 20 * MINUTE_MS, n)
    at = np.where(first, minutes_later, between(rng, day, n, 5.5, 6.5))
    at = np.where(method == TRANSFER, between(rng, day, n, 5.2, 6.4), at)
    chance = np.where(first, _FIRST_SUCCESS, _RETRY_SUCCESS)
    chance = np.where(method == TRANSFER, _TRANSFER_SUCCESS, chance)
    succeeds = happens(rng, n, chance)
    slow_card = (method == CARD) & happens(rng, n, _SLOW_CARDS)
    pending = slow_card | (method == TRANSFER)
    payments = records(
        "billing.payments", n, due=day, payment=company.numbers("payment", n),
        invoice=document["invoice"], amount=document["net"] + document["tax"],
        currency=document["currency"], method=method, attempted=at, updated=at,
        usd_rate=company.usd_rate(day, document["currency"]),
    )  # fmt: skip
    payments["status"] = np.where(pending, PENDING, np.where(succeeds, SUCCEEDED, FAILED))
    outbox.add("billing.payments", payments.copy())
    company.open["invoices"]["attempt_day"][which] = NONE

    transfers = method == TRANSFER
    waiting = np.zeros(int(transfers.sum()), OPEN_PAYMENT)
    waiting["document"] = payments[transfers]
    waiting["settle_day"] = day + rng.integers(1, 4, len(waiting))
    waiting["succeeds"] = succeeds[transfers]
    company.open["payments"] = stacked(company.open["payments"], waiting)

    later = payments[slow_card].copy()
    later["version"] += 1
    later["updated"] += rng.integers(30_000, 300_000, len(later))
    later["status"] = np.where(succeeds[slow_card], SUCCEEDED, FAILED)
    outbox.add("billing.payments", later)
    payments[slow_card] = later
    decided = ~transfers
    _decide(company, day, rng, which[decided], payments[decided], succeeds[decided], outbox)


def _settle(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    """Transfers arrive, or come back."""
    waiting = company.open["payments"]
    today = waiting["settle_day"] == day
    if not today.any():
        return
    company.open["payments"] = waiting[~today]
    payments, succeeds = waiting["document"][today].copy(), waiting["succeeds"][today]
    payments["due"] = day
    payments["version"] += 1
    payments["updated"] = between(rng, day, len(payments), 5.0, 6.4)
    payments["status"] = np.where(succeeds, SUCCEEDED, FAILED)
    outbox.add("billing.payments", payments)
    numbers = company.open["invoices"]["document"]["invoice"]
    which = np.searchsorted(numbers, payments["invoice"])
    _decide(company, day, rng, which, payments, succeeds, outbox)


def _decide(
    company: Company, day: int, rng: np.random.Generator, which: Array, payments: Array,
    succeeds: Array, outbox: Outbox,
) -> None:  # fmt: skip
    """What a payment's outcome does to its invoice and subscription."""
    invoices = company.open["invoices"]
    paid, at = which[succeeds], payments["updated"]
    _send_again(company, day, paid, PAID, at[succeeds] + 1000, outbox)
    _plan_refunds(company, day, rng, payments[succeeds])
    _restage(company, day, invoices[paid], PAST_DUE, ACTIVE, at[succeeds] + 2000, outbox)

    failed, failed_at = which[~succeeds], at[~succeeds]
    attempts = invoices["attempts"][failed] + 1
    invoices["attempts"][failed] = attempts
    hopeless = attempts > len(_RETRY_AFTER)
    retried = failed[~hopeless]
    invoices["attempt_day"][retried] = day + _RETRY_AFTER[attempts[~hopeless] - 1]
    _restage(company, day, invoices[retried], ACTIVE, PAST_DUE, failed_at[~hopeless] + 2000,
             outbox)  # fmt: skip

    given_up, given_up_at = failed[hopeless], failed_at[hopeless]
    void = happens(rng, len(given_up), 0.3)
    _send_again(company, day, given_up[void], VOID, given_up_at[void] + 1000, outbox)
    _send_again(company, day, given_up[~void], UNCOLLECTIBLE, given_up_at[~void] + 1000, outbox)
    accounts = company.accounts
    account = invoices["document"]["account"][given_up]
    same = accounts["subscription"][account] == invoices["document"]["subscription"][given_up]
    ending = same & np.isin(accounts["stage"][account], (ACTIVE, PAST_DUE))
    cancel(company, day, account[ending], given_up_at[ending] + 2000, outbox)
    _forget(company, np.concatenate([paid, given_up]))


def _restage(
    company: Company, day: int, invoices: Array, before: int, after: int, at: Array,
    outbox: Outbox,
) -> None:  # fmt: skip
    """Move the subscriptions of these invoices on, if they still are where they were."""
    accounts = company.accounts
    account, subscription = invoices["document"]["account"], invoices["document"]["subscription"]
    moving = (accounts["subscription"][account] == subscription) & (
        accounts["stage"][account] == before
    )
    account, at = account[moving], at[moving]
    account, first = np.unique(account, return_index=True)
    accounts["stage"][account] = after
    send_subscriptions(company, day, UPDATE, account, at[first], outbox)


def _plan_refunds(company: Company, day: int, rng: np.random.Generator, payments: Array) -> None:
    chosen = payments[happens(rng, len(payments), _REFUNDED)]
    n = len(chosen)
    whole = happens(rng, n, _REFUNDED_WHOLE)
    refunds = np.zeros(n, DUE_REFUND)
    refunds["day"] = day + rng.integers(1, 21, n)
    document = refunds["document"]
    document["payment"], document["currency"] = chosen["payment"], chosen["currency"]
    document["amount"] = np.where(whole, chosen["amount"], half_away(chosen["amount"], 3))
    document["reason"] = rng.integers(0, len(ref.REFUND_REASONS), n)
    company.open["refunds"] = stacked(company.open["refunds"], refunds)


def _refund(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    waiting = company.open["refunds"]
    today = waiting["day"] == day
    if not today.any():
        return
    company.open["refunds"] = waiting[~today]
    refunds = waiting["document"][today].copy()
    n = len(refunds)
    refunds["due"], refunds["refund"] = day, company.numbers("refund", n)
    refunds["refunded"] = np.sort(between(rng, day, n, 9, 18))
    refunds["usd_rate"] = company.usd_rate(day, refunds["currency"])
    outbox.add("billing.refunds", refunds)
