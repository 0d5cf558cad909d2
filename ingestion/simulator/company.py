"""The company as it is: its accounts, people and open documents, and who joins and leaves."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.records import (
    DTYPES,
    NONE,
    records,
)
from ingestion.simulator.roll import Roll
from ingestion.simulator.scale import Array, Ints, Size

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


def customer_image(company: Company, idx: Array) -> dict[str, Any]:
    accounts = company.accounts
    return {
        "account": idx,
        "created": accounts["customer_created"][idx],
        "country": accounts["customer_country"][idx],
    } | columns(accounts, idx, ("customer", "currency", "mailbox", "domain"))
