"""The company as it is: its accounts, people and open documents, and who joins and leaves."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.chance import Domain, between, happens, pick, stream
from ingestion.simulator.records import (
    DELETE,
    DTYPES,
    INSERT,
    NONE,
    UPDATE,
    Outbox,
    records,
)
from ingestion.simulator.roll import Roll
from ingestion.simulator.scale import Array, Ints, Size, day_of

# Where an account is on its way; the order matters to no one.
FREE, TRIAL, ACTIVE, PAST_DUE, CHURNED, LOST, DELETED = range(7)
NEVER, BY_TRIAL, DIRECT = range(3)
OWNER, ADMIN, MEMBER, VIEWER = range(4)

ACCOUNTS = {
    "created": ("i8", 0), "name": ("i4", 0), "industry": ("u1", 0), "country": ("u1", 0),
    "employees": ("i4", 0), "lead": ("i4", NONE), "stage": ("u1", FREE), "fit": ("f4", 0.0),
    "use": ("f4", 0.0), "start_kind": ("u1", NEVER), "start_day": ("i4", NONE),
    "reported": ("?", False), "users": ("i4", 0), "ended": ("i4", NONE),
    "customer": ("i4", NONE), "customer_created": ("i8", 0), "customer_country": ("u1", 0),
    "mailbox": ("u1", 0), "domain": ("i4", 0), "currency": ("u1", 0), "method": ("u1", 0),
    "subscription": ("i4", NONE), "plan": ("u1", 0), "seats": ("i4", 0), "yearly": ("?", False),
    "started": ("i8", 0), "trial_ends": ("i8", NONE), "decide_day": ("i4", NONE),
    "canceled": ("i8", NONE), "changed": ("i8", 0), "anchor": ("u1", 0), "period_start": ("i4", 0),
    "next_invoice": ("i4", NONE), "proration": ("i8", 0),
}  # fmt: skip
USERS = {
    "account": ("i4", 0), "second_account": ("i4", NONE), "person": ("i4", 0),
    "domain": ("i4", 0), "locale": ("u1", 0), "zone": ("i1", 0), "created": ("i8", 0),
    "role": ("u1", MEMBER), "membership": ("i4", 0), "keenness": ("f4", 0.0),
    "platform": ("u1", 0), "features": ("u2", 0), "arm": ("u1", 0), "is_gone": ("?", False),
}  # fmt: skip
LEADS = {
    "person": ("i4", 0), "company": ("i4", 0), "channel": ("u1", 0), "country": ("u1", 0),
    "created": ("i8", 0), "status": ("u1", 0), "version": ("i2", 0), "account": ("i4", NONE),
    "qualify_day": ("i4", NONE), "convert_day": ("i4", NONE), "lose_day": ("i4", NONE),
}  # fmt: skip

_SCHEDULE = [("attempt_day", "i4"), ("attempts", "i4"), ("void_day", "i4")]
OPEN_INVOICE: Final = np.dtype([("document", DTYPES["billing.invoices"]), *_SCHEDULE])
OPEN_PAYMENT: Final = np.dtype(
    [("document", DTYPES["billing.payments"]), ("settle_day", "i4"), ("succeeds", "?")]
)
DUE_REFUND: Final = np.dtype([("document", DTYPES["billing.refunds"]), ("day", "i4")])

_DAILY_INDUSTRY, _DAILY_RENAME, _DAILY_COUNTRY, _DAILY_EMPLOYEES = 1.5e-4, 2e-4, 6e-5, 9e-4
_DAILY_DELETION_CHURNED, _DAILY_DELETION_LOST = 4e-3, 1.5e-3
_DAILY_ROLE, _DAILY_LOCALE = 2e-4, 1e-4
_INVITED_OF_MISSING, _FROM_ELSEWHERE = 0.10, 0.04


class Company:
    """Everything that tomorrow depends on, apart from what was delivered."""

    def __init__(self, seed: int, size: Size) -> None:
        self.seed = seed
        self.size = size
        self.accounts = Roll(ACCOUNTS)
        self.users = Roll(USERS)
        self.leads = Roll(LEADS)
        self.rates = Roll({code: ("i8", 1_000_000) for code in ref.CURRENCIES})
        self.next_number: dict[str, int] = {}
        self.open: dict[str, Array] = {
            "invoices": np.empty(0, OPEN_INVOICE),
            "payments": np.empty(0, OPEN_PAYMENT),
            "refunds": np.empty(0, DUE_REFUND),
        }

    def numbers(self, what: str, n: int) -> Ints:
        """The next n numbers of a kind of thing."""
        first = self.next_number.get(what, 0)
        self.next_number[what] = first + n
        return np.arange(first, first + n)

    def changes(
        self, entity: str, day: int, op: int, at: Array, **values: Array | int | bool
    ) -> Array:
        """Rows of a change log, numbered in the order of their happening."""
        return records(
            entity, len(at), due=day, version=self.numbers(entity, len(at)), op=op,
            changed=at, **values,
        )  # fmt: skip

    def usd_rate(self, day: int, currencies: Array) -> Ints:
        table = np.array([self.rates[code][day] for code in ref.CURRENCIES], np.int64)
        return table[currencies]


def columns(roll: Roll, idx: Array, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: roll[name][idx] for name in names}


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
    _join(company, day, rng, idx, created + 1000, person, np.full(n, OWNER), outbox)
    return idx


def _join(
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
        _join(company, day, rng, account[local], at[local], person[local], role[local], outbox)
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
    _people_leave(company, day, rng, leaving, outbox)


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


def customer_image(company: Company, idx: Array) -> dict[str, Any]:
    accounts = company.accounts
    return {
        "account": idx,
        "created": accounts["customer_created"][idx],
        "country": accounts["customer_country"][idx],
    } | columns(accounts, idx, ("customer", "currency", "mailbox", "domain"))


def _people_leave(
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
