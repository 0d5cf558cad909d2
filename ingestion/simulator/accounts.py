"""Accounts: how they open, change their description, and are deleted with their people."""

from __future__ import annotations

from typing import Any

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.chance import Domain, between, happens, pick, stream
from ingestion.simulator.company import (
    BY_TRIAL,
    CHURNED,
    DELETED,
    DIRECT,
    LOST,
    NEVER,
    OWNER,
    Company,
    columns,
    customer_image,
)
from ingestion.simulator.people import join, people_leave
from ingestion.simulator.records import DELETE, INSERT, NONE, UPDATE, Outbox
from ingestion.simulator.scale import Array, Ints, day_of

_DAILY_INDUSTRY, _DAILY_RENAME, _DAILY_COUNTRY, _DAILY_EMPLOYEES = 1.5e-4, 2e-4, 6e-5, 9e-4
_DAILY_DELETION_CHURNED, _DAILY_DELETION_LOST = 4e-3, 1.5e-3


def _account_image(company: Company, idx: Array) -> dict[str, Any]:
    names = ("name", "industry", "country", "employees", "created")
    return {"account": idx} | columns(company.accounts, idx, names)


def open_accounts(
    company: Company, day: int, rng: np.random.Generator, created: Array, country: Array,
    name: Array, lead: Array, person: Array, outbox: Outbox,
) -> Ints:  # fmt: skip
    """New accounts, each with its owner, in the order of creation."""
    n = len(created)
    accounts = company.accounts
    first = pick(rng, n, ref.weights(0.75, 0.06, 0.19))
    kind = np.array([BY_TRIAL, DIRECT, NEVER])[first]
    wait = np.where(kind == BY_TRIAL, rng.integers(0, 4, n), rng.integers(0, 11, n))
    idx = accounts.append(
        n,
        created=created, name=name, domain=name, country=country, lead=lead,
        industry=rng.integers(0, len(ref.INDUSTRIES), n),
        employees=np.clip(rng.lognormal(4.0, 1.3, n), 2, 20_000).astype(np.int64),
        fit=rng.beta(2.2, 2.2, n), use=rng.uniform(0.45, 0.9, n), start_kind=kind,
        start_day=np.where(kind == NEVER, NONE, day + np.maximum(wait, 0)),
        customer_country=country, mailbox=rng.integers(0, 4, n),
        currency=ref.COUNTRY_CURRENCY[country], method=happens(rng, n, 0.15),
    )  # fmt: skip
    outbox.add(
        "app.accounts",
        company.changes("app.accounts", day, INSERT, created, **_account_image(company, idx)),
    )
    join(company, day, rng, idx, created + 1000, person, np.full(n, OWNER), outbox)
    return idx


def account_changes_day(company: Company, day: int, outbox: Outbox) -> None:
    """Accounts change their description, or are deleted with their people."""
    rng = stream(company.seed, Domain.CHANGES, day)
    accounts = company.accounts
    n = len(accounts)
    old = (day_of(accounts["created"]) < day) & (accounts["stage"] != DELETED)
    chance = rng.random(n)
    kind = np.searchsorted(
        np.cumsum([_DAILY_INDUSTRY, _DAILY_RENAME, _DAILY_COUNTRY, _DAILY_EMPLOYEES]),
        chance,
        side="right",
    )
    changed = np.flatnonzero(old & (kind < 4))
    kind = kind[changed]
    at = np.sort(between(rng, day, len(changed), 7, 22))
    other = rng.integers(0, 1 << 30, len(changed))
    for which, column, limit in (
        (0, "industry", len(ref.INDUSTRIES)),
        (1, "name", ref.COMPANY_NAMES),
        (2, "country", len(ref.COUNTRIES)),
    ):
        chosen = changed[kind == which]
        step = other[kind == which] % (limit - 1) + 1
        accounts[column][chosen] = (accounts[column][chosen].astype(np.int64) + step) % limit
    grown = changed[kind == 3]
    accounts["employees"][grown] += 1 + (accounts["employees"][grown] * rng.random(len(grown)) / 4
                                         ).astype(np.int32)  # fmt: skip
    outbox.add(
        "app.accounts",
        company.changes("app.accounts", day, UPDATE, at, **_account_image(company, changed)),
    )
    _customers_follow(company, day, changed[kind == 2], at[kind == 2] + 5000, outbox)

    waited = day - accounts["ended"]
    stage = accounts["stage"]
    daily = np.where((stage == CHURNED) & (waited > 30), _DAILY_DELETION_CHURNED, 0.0)
    daily = np.where((stage == LOST) & (waited > 60), _DAILY_DELETION_LOST, daily)
    leaving = np.flatnonzero(happens(rng, n, daily))
    accounts["stage"][leaving] = DELETED
    at = np.sort(between(rng, day, len(leaving), 22.5, 23.2))
    outbox.add(
        "app.accounts",
        company.changes("app.accounts", day, DELETE, at, account=leaving, created=at),
    )
    people_leave(company, day, rng, leaving, outbox)


def _customers_follow(company: Company, day: int, moved: Array, at: Array, outbox: Outbox) -> None:
    accounts = company.accounts
    is_customer = accounts["customer"][moved] >= 0
    accounts["customer_country"][moved] = accounts["country"][moved]
    outbox.add(
        "billing.customers",
        company.changes(
            "billing.customers", day, UPDATE, at[is_customer],
            **customer_image(company, moved[is_customer]),
        ),
    )  # fmt: skip
