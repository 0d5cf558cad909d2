"""The company's own books, from what was delivered so far; rewritten whole after every span."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.simulator import reference as ref
from ingestion.simulator.columns import days_on, months_on, named, sums, texts
from ingestion.simulator.defects import KINDS
from ingestion.simulator.delivery import file_path
from ingestion.simulator.ledger import (
    Ledger,
)
from ingestion.simulator.names import account_id, company_name
from ingestion.simulator.product_books import (
    activation_weekly,
    active_users_daily,
    feature_adoption_monthly,
    funnel_weekly,
    retention_weekly,
    sessions_daily,
)
from ingestion.simulator.records import DELETE, ENTITIES
from ingestion.simulator.scale import (
    Array,
    day_of,
    month_of,
)

_CONVERTED = ref.LEAD_STATUSES.index("converted")
_QUALIFIED = (ref.LEAD_STATUSES.index("qualified"), _CONVERTED)
_TRIALING, _ACTIVE = ref.STATUSES.index("trialing"), ref.STATUSES.index("active")
_MOVEMENTS = ["new", "expansion", "contraction", "churn", "reactivation"]


def write_books(ledger: Ledger, day: int, folder: Path) -> None:
    """All books after this (last played) day."""
    folder.mkdir(parents=True, exist_ok=True)
    movements = mrr_movements(ledger)
    books = {
        "mrr_movements_daily": movements_daily(movements),
        "mrr_monthly": mrr_monthly(movements, day),
        "revenue_monthly": revenue_monthly(ledger),
        "active_users_daily": active_users_daily(ledger, day),
        "sessions_daily": sessions_daily(ledger),
        "funnel_weekly": funnel_weekly(ledger),
        "activation_weekly": activation_weekly(ledger),
        "retention_weekly": retention_weekly(ledger),
        "feature_adoption_monthly": feature_adoption_monthly(ledger, day),
        "growth_monthly": growth_monthly(ledger, movements),
        "trials_monthly": trials_monthly(ledger),
        "accounts_history": accounts_history(ledger),
        "defects": defects(ledger),
    }
    for name, table in books.items():
        aside = folder / f".{name}.parquet"
        pq.write_table(table, aside)
        aside.replace(folder / f"{name}.parquet")


def mrr_movements(ledger: Ledger) -> dict[str, Array]:
    """Account by account, day by day: closing MRR where it differs from the day before."""
    log = ledger["subscription_changes"]
    order = np.lexsort((log["version"], log["changed"], log["subscription"]))
    subscription, mrr = log["subscription"][order], log["mrr"][order]
    before = np.zeros_like(mrr)
    before[1:] = np.where(subscription[1:] == subscription[:-1], mrr[:-1], 0)
    change, account = mrr - before, log["account"][order]
    on = day_of(log["changed"][order])
    day_key, place = np.unique(account.astype(np.int64) << 20 | on, return_inverse=True)
    change = sums(place, change, len(day_key))
    moved = change != 0
    day_key, change = day_key[moved], change[moved]
    account, on = day_key >> 20, day_key & ((1 << 20) - 1)
    total = np.cumsum(change)
    first = np.ones(len(account), bool)
    first[1:] = account[1:] != account[:-1]
    starts = np.flatnonzero(first)
    base = np.repeat(total[starts] - change[starts], np.diff(np.append(starts, len(account))))
    closing = total - base
    opening = closing - change
    # Every account's first movement starts from 0; a later one from 0 is a return.
    kind = np.where(change > 0, 1, 2)
    kind[closing == 0] = 3
    kind[opening == 0] = 4
    kind[first] = 0
    return {"account": account, "day": on, "kind": kind, "change": change, "closing": closing}


def movements_daily(movements: dict[str, Array]) -> pa.Table:
    return pa.table(
        {
            "account_id": texts(account_id(movements["account"])),
            "movement_on": days_on(movements["day"]),
            "kind": named(_MOVEMENTS, movements["kind"]),
            "amount_cents": pa.array(movements["change"], pa.int64()),
        }
    )


def mrr_monthly(movements: dict[str, Array], day: int) -> pa.Table:
    months = int(month_of(np.array([day]))[0]) + 1
    accounts, place = np.unique(movements["account"], return_inverse=True)
    month = month_of(movements["day"])
    n = len(accounts)
    sums = np.zeros((len(_MOVEMENTS), n, months), np.int64)
    np.add.at(sums, (movements["kind"], place, month), movements["change"])
    closing = np.cumsum(sums.sum(axis=0), axis=1)
    opening = np.concatenate([np.zeros((n, 1), np.int64), closing[:, :-1]], axis=1)
    touched = np.zeros((n, months), bool)
    touched[place, month] = True
    month_index, account_index = np.nonzero((touched | (opening != 0)).T)
    cells = (account_index, month_index)
    columns = {
        "month_on": months_on(month_index),
        "account_id": texts(account_id(accounts[account_index])),
        "opening_cents": opening[cells],
    }
    for kind in _MOVEMENTS:
        columns[f"{kind}_cents"] = sums[_MOVEMENTS.index(kind)][cells]
    columns["closing_cents"] = closing[cells]
    return pa.table(columns)


def revenue_monthly(ledger: Ledger) -> pa.Table:
    width = len(ref.CURRENCIES)
    invoices, payments, refunds = ledger["invoices"], ledger["payments"], ledger["refunds"]
    facts = [
        ("invoiced_cents", invoices, "net", invoices["counts"]),
        ("tax_cents", invoices, "tax", invoices["counts"]),
        ("collected_cents", payments, "amount", payments["counts"]),
        ("refunded_cents", refunds, "amount", np.ones(len(refunds), bool)),
    ]
    keys = [
        month_of(roll["day"][mask]) * width + roll["currency"][mask] for _, roll, _, mask in facts
    ]
    present = np.unique(np.concatenate(keys))
    columns = {
        "month_on": months_on(present // width),
        "currency": named(ref.CURRENCIES, present % width),
    }
    for (name, roll, column, mask), key in zip(facts, keys, strict=True):
        place = np.searchsorted(present, key)
        columns[name] = pa.array(sums(place, roll[column][mask], len(present)))
    return pa.table(columns)


def _trials(ledger: Ledger) -> dict[str, Array]:
    """Subscriptions whose first change is trialing: account, start day, and whether it paid."""
    log = ledger["subscription_changes"]
    order = np.lexsort((log["version"], log["changed"], log["subscription"]))
    subscription, status = log["subscription"][order], log["status"][order]
    _, first = np.unique(subscription, return_index=True)
    paid = np.unique(subscription[status == _ACTIVE])
    first = first[status[first] == _TRIALING]
    return {
        "account": log["account"][order][first],
        "day": day_of(log["started"][order][first]),
        "converted": np.isin(subscription[first], paid),
    }


def trials_monthly(ledger: Ledger) -> pa.Table:
    trials = _trials(ledger)
    months, place = np.unique(month_of(trials["day"]), return_inverse=True)
    return pa.table(
        {
            "month_on": months_on(months),
            "trial_count": np.bincount(place, minlength=len(months)),
            "converted_count": sums(place, trials["converted"].astype(np.int64), len(months)),
        }
    )


def growth_monthly(ledger: Ledger, movements: dict[str, Array]) -> pa.Table:
    leads, spend, width = ledger["leads"], ledger["spend"], len(ref.CHANNELS)
    sent = leads["version"] >= 0
    key = month_of(day_of(leads["created"][sent])) * width + leads["channel"][sent]
    status, account = leads["status"][sent], leads["account"][sent]
    converted = status == _CONVERTED
    counts = {
        "lead_count": np.ones(len(key), bool),
        "qualified_count": np.isin(status, _QUALIFIED),
        "converted_count": converted,
        "trial_count": converted & np.isin(account, _trials(ledger)["account"]),
        "paid_count": converted & np.isin(account, movements["account"]),
    }
    exported = np.flatnonzero(spend["version"] >= 0)
    spend_day, campaign = np.divmod(exported, len(ref.CAMPAIGNS))
    spend_key = month_of(spend_day) * width + ref.CAMPAIGN_CHANNEL[campaign]
    present = np.unique(np.concatenate([key, spend_key]))
    columns = {
        "month_on": months_on(present // width),
        "channel": named(ref.CHANNELS, present % width),
    }
    place = np.searchsorted(present, key)
    for name, counted in counts.items():
        columns[name] = pa.array(sums(place, counted.astype(np.int64), len(present)))
    columns["spend_cents"] = pa.array(
        sums(np.searchsorted(present, spend_key), spend["usd"][exported], len(present))
    )
    return pa.table(columns)


def accounts_history(ledger: Ledger) -> pa.Table:
    log = ledger["account_changes"]
    order = np.lexsort((log["version"], log["changed"], log["account"]))
    account, changed, op = (log[name][order] for name in ("account", "changed", "op"))
    # A delete carries no image: it keeps the last one.
    image = np.maximum.accumulate(np.where(op == DELETE, 0, np.arange(len(order))))
    name, industry, country, employees = (
        log[column][order][image] for column in ("name", "industry", "country", "employees")
    )
    until = np.full(len(order), -1, np.int64)
    until[:-1] = np.where(account[1:] == account[:-1], changed[1:], -1)
    instant_type = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "account_id": texts(account_id(account)),
            "valid_from": pa.array(changed * 1000, pa.int64()).cast(instant_type),
            "valid_to": pa.array(until * 1000, pa.int64(), mask=until < 0).cast(instant_type),
            "name": texts(company_name(name)),
            "industry": named(ref.INDUSTRIES, industry),
            "country": named(ref.COUNTRIES, country),
            "employee_count": pa.array(employees, pa.int64()),
            "is_deleted": pa.array(op == DELETE),
        }
    )


def defects(ledger: Ledger) -> pa.Table:
    log = ledger["defects"]
    names = [ENTITIES[code] for code in log["entity"].tolist()]
    places = zip(names, log["day"].tolist(), log["batch"].tolist(), strict=True)
    return pa.table(
        {
            "source": [name.split(".")[0] for name in names],
            "entity": [name.split(".")[1] for name in names],
            "received_on": days_on(log["day"]),
            "file": pa.array([file_path(*place) for place in places], pa.string()),
            "kind": named(KINDS, log["kind"]),
            "row_count": pa.array(log["rows"], pa.int64()),
        },
        schema=pa.schema(
            [
                ("source", pa.string()), ("entity", pa.string()), ("received_on", pa.date32()),
                ("file", pa.string()), ("kind", pa.string()), ("row_count", pa.int64()),
            ]
        ),
    )  # fmt: skip
