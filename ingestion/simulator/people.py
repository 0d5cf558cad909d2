"""People: teams fill their seats, change roles and languages, and leave with their account."""

from __future__ import annotations

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.chance import Domain, between, happens, pick, stream
from ingestion.simulator.company import (
    ACTIVE,
    ADMIN,
    MEMBER,
    OWNER,
    TRIAL,
    VIEWER,
    Company,
    columns,
)
from ingestion.simulator.records import DELETE, INSERT, UPDATE, Outbox
from ingestion.simulator.scale import Array, day_of

_DAILY_ROLE, _DAILY_LOCALE = 2e-4, 1e-4
_INVITED_OF_MISSING, _FROM_ELSEWHERE = 0.10, 0.04


def join(
    company: Company, day: int, rng: np.random.Generator, account: Array, at: Array,
    person: Array, role: Array, outbox: Outbox,
) -> None:  # fmt: skip
    """New people, each a member of one account."""
    accounts, users, n = company.accounts, company.users, len(account)
    country = accounts["country"][account]
    membership = company.numbers("membership", n)
    adopted = rng.random((n, len(ref.FEATURES))) < feature_popularity(day)
    idx = users.append(
        n,
        account=account, person=person, domain=accounts["domain"][account],
        locale=ref.COUNTRY_LOCALE[country], zone=ref.COUNTRY_ZONE[country], created=at,
        role=role, membership=membership,
        keenness=np.where(happens(rng, n, 0.13), 0.004, rng.beta(1.5, 2.6, n)),
        platform=pick(rng, n, ref.weights(0.78, 0.13, 0.09)),
        features=adopted @ (1 << np.arange(len(ref.FEATURES))), arm=rng.integers(1, 4, n),
    )  # fmt: skip
    np.add.at(accounts["users"], account, 1)
    outbox.add(
        "app.users",
        company.changes(
            "app.users", day, INSERT, at, user=idx,
            **columns(users, idx, ("person", "domain", "locale", "created")),
        ),
    )  # fmt: skip
    outbox.add(
        "app.memberships",
        company.changes(
            "app.memberships", day, INSERT, at + 250, membership=membership, account=account,
            user=idx, role=role, created=at + 250,
        ),
    )  # fmt: skip


def feature_popularity(day: int) -> Array:
    """How likely a new user is to use each feature: some rise while history goes on."""
    start = {"projects": 0.7, "reports": 0.55, "exports": 0.2, "dashboards": 0.8}
    start |= {"integrations": 0.18, "alerts": 0.05, "comments": 0.45, "api": 0.05, "search": 0.6}
    end = start | {"exports": 0.4, "integrations": 0.36, "alerts": 0.38, "api": 0.2}
    grown = min(day / 455, 1.0)
    return np.array([start[f] + (end[f] - start[f]) * grown for f in ref.FEATURES])


def people_day(company: Company, day: int, outbox: Outbox) -> None:
    """Teams fill their seats; roles and languages change."""
    rng = stream(company.seed, Domain.PEOPLE, day)
    accounts, users = company.accounts, company.users
    stage, seats = accounts["stage"], accounts["seats"]
    trial_team = np.minimum(seats, 2 + np.round(accounts["fit"] * 5))
    target = np.where(stage == TRIAL, trial_team, np.ceil(seats * accounts["use"]))
    paying_or_trying = np.isin(stage, (TRIAL, ACTIVE)) & (day_of(accounts["created"]) < day)
    missing = np.where(paying_or_trying, target - accounts["users"], 0)
    joining = rng.binomial(np.maximum(missing, 0).astype(np.int64), _INVITED_OF_MISSING)
    account = np.repeat(np.arange(len(accounts)), joining)
    n, before = len(account), len(users)
    at = np.sort(between(rng, day, n, 7, 22))
    person = rng.integers(0, ref.PEOPLE, n)
    role = np.array([ADMIN, MEMBER, VIEWER])[pick(rng, n, ref.weights(0.12, 0.63, 0.25))]
    guest = np.flatnonzero(happens(rng, n, _FROM_ELSEWHERE))
    host = rng.integers(0, max(before, 1), len(guest))
    local = np.setdiff1d(np.arange(n), guest)
    if n:
        join(company, day, rng, account[local], at[local], person[local], role[local], outbox)
        _join_again(company, day, host, account[guest], at[guest], role[guest], outbox)

    present = ~users["is_gone"][:before] & (day_of(users["created"][:before]) < day)
    chance = rng.random(before)
    promoted = np.flatnonzero(present & (chance < _DAILY_ROLE) & (users["role"][:before] != OWNER))
    users["role"][promoted] = np.where(users["role"][promoted] == MEMBER, ADMIN, MEMBER)
    at = np.sort(between(rng, day, len(promoted), 7, 22))
    outbox.add(
        "app.memberships",
        company.changes(
            "app.memberships", day, UPDATE, at, user=promoted,
            **columns(users, promoted, ("membership", "account", "role")),
            created=users["created"][promoted] + 250,
        ),
    )  # fmt: skip
    moved = np.flatnonzero(present & (chance > 1 - _DAILY_LOCALE))
    users["locale"][moved] = rng.integers(0, len(ref.LOCALES), len(moved))
    at = np.sort(between(rng, day, len(moved), 7, 22))
    outbox.add(
        "app.users",
        company.changes(
            "app.users", day, UPDATE, at, user=moved,
            **columns(users, moved, ("person", "domain", "locale", "created")),
        ),
    )  # fmt: skip


def _join_again(
    company: Company, day: int, host: Array, account: Array, at: Array, role: Array,
    outbox: Outbox,
) -> None:  # fmt: skip
    """People of other accounts who become members of one more."""
    users = company.users
    _, first = np.unique(host, return_index=True)
    fits = np.zeros(len(host), bool)
    fits[first] = True
    fits &= (users["account"][host] != account) & (users["second_account"][host] < 0)
    fits &= ~users["is_gone"][host]
    host, account, at, role = host[fits], account[fits], at[fits], role[fits]
    users["second_account"][host] = account
    np.add.at(company.accounts["users"], account, 1)
    outbox.add(
        "app.memberships",
        company.changes(
            "app.memberships", day, INSERT, at, account=account, user=host, role=role, created=at,
            membership=company.numbers("membership", len(host)),
        ),
    )  # fmt: skip


def people_leave(
    company: Company, day: int, rng: np.random.Generator, left: Array, outbox: Outbox
) -> None:
    users = company.users
    if not len(left):
        return
    gone = np.flatnonzero(np.isin(users["account"], left) & ~users["is_gone"])
    gone = gone[users["second_account"][gone] < 0]
    users["is_gone"][gone] = True
    at = np.sort(between(rng, day, len(gone), 23.3, 23.9))
    outbox.add("app.users", company.changes("app.users", day, DELETE, at, user=gone, created=at))
