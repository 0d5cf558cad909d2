"""Each entity's records as the lines of its file, with the column names that the source uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.lines import (
    Block,
    Part,
    Template,
    date_text,
    digits,
    hexadecimal,
    instant,
    instant_like,
    joined,
    looked_up,
    money,
    optional,
    rate,
    small,
    tiny,
    whole,
    words,
)
from ingestion.simulator.names import account_id, company_name, domain, email, person
from ingestion.simulator.records import DELETE
from ingestion.simulator.scale import (
    COMPANY_NAME_DAY,
    FIRST_MS,
    PURCHASE_ORDER_DAY,
    Array,
    day_start,
)

_COUNTRIES, _CURRENCIES = words(ref.COUNTRIES), words(ref.CURRENCIES)
_INDUSTRIES, _LOCALES = words(ref.INDUSTRIES), words(ref.LOCALES)
_ROLES, _PLANS, _STATUSES = words(ref.ROLES), words(ref.PLANS), words(ref.STATUSES)
_INVOICE_STATUSES, _PAYMENT_STATUSES = words(ref.INVOICE_STATUSES), words(ref.PAYMENT_STATUSES)
_METHODS, _REASONS = words(ref.METHODS), words(ref.REFUND_REASONS)
_CHANNELS, _LEAD_STATUSES = words(ref.CHANNELS), words(ref.LEAD_STATUSES)
_CAMPAIGNS = words([row[0] for row in ref.CAMPAIGNS])
_CAMPAIGN_CURRENCIES = words([ref.CURRENCIES[row[2]] for row in ref.CAMPAIGNS])
_OPERATIONS = words(ref.OPERATIONS)
_INTERVALS = words(["month", "year"])
_PLAN_NAMES = words([plan.capitalize() for plan in ref.PLANS])
_MAILBOXES = words(["billing", "finance", "accounts.payable", "invoices"])
_PURCHASE_ORDERS = 4

# Events: whole stretches of the line that come from few values are looked up at once.
_EVENT_NAMES = words(ref.EVENT_NAMES)
_PLATFORMS = words(ref.PLATFORMS)
_VERSIONS = words(ref.APP_VERSIONS)
_NAME_FEATURES = words(
    [
        f'"{ref.FEATURES[code]}"' if code < len(ref.FEATURES) else "null"
        for code in ref.EVENT_FEATURE.tolist()
    ]
)
_EXPERIMENTS = words(["", *(f',"experiment":"{arm}"' for arm in ref.EXPERIMENT_ARMS[1:])])


def _maybe_instant(milliseconds: Array) -> Block:
    """Null stands for an instant before history (-1)."""
    present = milliseconds >= 0
    shown = instant(np.where(present, milliseconds, FIRST_MS))
    return optional(present, joined(b'"', shown, b'"'), b"null")


def _change(entity: str, rows: Array, key: Block, image: Sequence[Part]) -> Block:
    """A line of a change log: a delete carries only the key."""
    start: list[Part] = [
        b'{"change_id":"' + entity.encode() + b"_", digits(rows["version"]), b'","op":"',
        _OPERATIONS[rows["op"]], b'","changed_at":"', instant(rows["changed"]), b'",', key,
    ]  # fmt: skip
    return joined(*start, optional(rows["op"] != DELETE, joined(*image)), b"}\n")


def _accounts(rows: Array) -> Block:
    key = joined(b'"account_id":"', account_id(rows["account"]), b'"')
    return _change(
        "acc", rows, key,
        [
            b',"name":"', company_name(rows["name"]), b'","industry":"',
            _INDUSTRIES[rows["industry"]], b'","country":"', _COUNTRIES[rows["country"]],
            b'","employee_count":', whole(rows["employees"]), b',"created_at":"',
            instant(rows["created"]), b'"',
        ],
    )  # fmt: skip


def _users(rows: Array) -> Block:
    key = joined(b'"user_id":"usr_', digits(rows["user"]), b'"')
    return _change(
        "usr", rows, key,
        [
            b',"email":"', email(rows["person"], rows["user"], rows["domain"]),
            b'","full_name":"', person(rows["person"]), b'","locale":"',
            _LOCALES[rows["locale"]], b'","created_at":"', instant(rows["created"]), b'"',
        ],
    )  # fmt: skip


def _memberships(rows: Array) -> Block:
    key = joined(b'"membership_id":"mem_', digits(rows["membership"]), b'"')
    return _change(
        "mem", rows, key,
        [
            b',"account_id":"', account_id(rows["account"]), b'","user_id":"usr_',
            digits(rows["user"]), b'","role":"', _ROLES[rows["role"]], b'","created_at":"',
            instant(rows["created"]), b'"',
        ],
    )  # fmt: skip


def _customers(rows: Array) -> Block:
    key = joined(b'"customer_id":"cus_', digits(rows["customer"]), b'"')
    return _change(
        "cus", rows, key,
        [
            b',"account_id":"', account_id(rows["account"]), b'","currency":"',
            _CURRENCIES[rows["currency"]], b'","country":"', _COUNTRIES[rows["country"]],
            b'","billing_email":"', _MAILBOXES[rows["mailbox"]], b"@", domain(rows["domain"]),
            b'","created_at":"', instant(rows["created"]), b'"',
        ],
    )  # fmt: skip


def _subscriptions(rows: Array) -> Block:
    key = joined(b'"subscription_id":"sub_', digits(rows["subscription"]), b'"')
    return _change(
        "sub", rows, key,
        [
            b',"customer_id":"cus_', digits(rows["customer"]), b'","plan_id":"',
            _PLANS[rows["plan"]], b'","status":"', _STATUSES[rows["status"]],
            b'","seat_count":', whole(rows["seats"]), b',"billing_interval":"',
            _INTERVALS[rows["yearly"].astype(np.int64)], b'","unit_amount":"',
            money(rows["unit"]), b'","currency":"', _CURRENCIES[rows["currency"]],
            b'","started_at":"', instant(rows["started"]), b'","trial_ends_at":',
            _maybe_instant(rows["trial_ends"]), b',"canceled_at":',
            _maybe_instant(rows["canceled"]),
        ],
    )  # fmt: skip


def _invoice_line(
    rows: Array, number: int, kind: str, what: Sequence[Part], quantity: Block, unit: Array,
    amount: Array,
) -> Block:  # fmt: skip
    return joined(
        b'{"line_id":"inv_', digits(rows["invoice"]), f'-{number}","kind":"{kind}"'.encode(),
        b',"description":"', *what, b'","quantity":', quantity, b',"unit_amount":"', money(unit),
        b'","amount":"', money(amount), b'","period_start_on":"',
        date_text(rows["period_start"]), b'","period_end_on":"', date_text(rows["period_end"]),
        b'"}',
    )  # fmt: skip


def _invoices(rows: Array) -> Block:
    one = small(np.ones(len(rows), np.int64))
    subscription = _invoice_line(
        rows, 1, "subscription", [_PLAN_NAMES[rows["plan"]], b" plan, seats"],
        whole(rows["seats"]), rows["unit"], rows["seats"] * rows["unit"],
    )  # fmt: skip
    proration = _invoice_line(
        rows, 2, "proration", [b"Change within the last period"], one, rows["proration"],
        rows["proration"],
    )  # fmt: skip
    tax_rate = joined(b"Tax ", whole(rows["tax_rate"] // 100), b" %")
    tax = _invoice_line(rows, 3, "tax", [tax_rate], one, rows["tax"], rows["tax"])
    lines = joined(
        b"[", subscription, optional(rows["proration"] != 0, joined(b",", proration)),
        optional(rows["tax"] != 0, joined(b",", tax)), b"]",
    )  # fmt: skip
    # A purchase order is a field of documents issued since it exists; one in four has one.
    has_order = rows["issued"] >= day_start(PURCHASE_ORDER_DAY)
    number = joined(b'"PO-', digits(rows["invoice"] * 7 + 1000), b'"')
    order = optional(rows["invoice"] % _PURCHASE_ORDERS == 0, number, b"null")
    return joined(
        b'{"invoice_id":"inv_', digits(rows["invoice"]), b'","customer_id":"cus_',
        digits(rows["customer"]), b'","subscription_id":"sub_', digits(rows["subscription"]),
        b'","currency":"', _CURRENCIES[rows["currency"]], b'","status":"',
        _INVOICE_STATUSES[rows["status"]], b'","issued_at":"', instant(rows["issued"]),
        b'","due_on":"', date_text(rows["due_on"]), b'","net_amount":"', money(rows["net"]),
        b'","tax_amount":"', money(rows["tax"]), b'","total_amount":"',
        money(rows["net"] + rows["tax"]), b'","lines":', lines, b',"updated_at":"',
        instant(rows["updated"]), b'"', optional(has_order, joined(b',"purchase_order":', order)),
        b"}\n",
    )  # fmt: skip


def _payments(rows: Array) -> Block:
    return joined(
        b'{"payment_id":"pay_', digits(rows["payment"]), b'","invoice_id":"inv_',
        digits(rows["invoice"]), b'","amount":"', money(rows["amount"]), b'","currency":"',
        _CURRENCIES[rows["currency"]], b'","status":"', _PAYMENT_STATUSES[rows["status"]],
        b'","method":"', _METHODS[rows["method"]], b'","attempted_at":"',
        instant(rows["attempted"]), b'","updated_at":"', instant(rows["updated"]), b'"}\n',
    )  # fmt: skip


def _refunds(rows: Array) -> Block:
    return joined(
        b'{"refund_id":"ref_', digits(rows["refund"]), b'","payment_id":"pay_',
        digits(rows["payment"]), b'","amount":"', money(rows["amount"]), b'","currency":"',
        _CURRENCIES[rows["currency"]], b'","reason":"', _REASONS[rows["reason"]],
        b'","refunded_at":"', instant(rows["refunded"]), b'"}\n',
    )  # fmt: skip


def _exchange_rates(rows: Array) -> Block:
    return joined(
        _CURRENCIES[rows["currency"]], b",", date_text(rows["rate_on"]), b",",
        rate(rows["usd_rate"]), b"\n",
    )  # fmt: skip


def event_key(numbers: Array) -> np.ndarray:
    """A number's place in a fixed shuffle of all 64-bit numbers: unique, and not in order."""
    key = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


_EVENT_LINE = Template(
    b'{"event_id":"', 16, b'","event_name":"', _EVENT_NAMES.shape[1], b'","account_id":"acc_', 8,
    b'","user_id":"usr_', 8, b'","occurred_at":"', 24, b'","sent_at":"', 24,
    b'","received_at":"', 24, b'","context":{"platform":"', _PLATFORMS.shape[1],
    b'","app_version":"', _VERSIONS.shape[1], b'","locale":"', _LOCALES.shape[1],
    b'","ip":"10.', 3, b".", 3, b".", 3, b'"},"properties":{"feature":', _NAME_FEATURES.shape[1],
    b',"duration_ms":', 5, b',"items":', 3, b"}", _EXPERIMENTS.shape[1], b"}\n",
)  # fmt: skip


def _events(rows: Array) -> Block:
    user, received = rows["user"].astype(np.int64), rows["received"]
    received_text = instant(received)
    network = user // 250
    return _EVENT_LINE.fill(
        hexadecimal(event_key(rows["version"])), looked_up(_EVENT_NAMES, rows["name"]),
        digits(rows["account"]), digits(user), instant(rows["occurred"]),
        instant_like(rows["sent"], received, received_text), received_text,
        looked_up(_PLATFORMS, rows["platform"]), looked_up(_VERSIONS, rows["app_version"]),
        looked_up(_LOCALES, rows["locale"]),
        tiny(network // 250 % 250), tiny(network % 250), tiny(user % 250),
        looked_up(_NAME_FEATURES, rows["name"]), small(rows["duration"]), tiny(rows["items"]),
        looked_up(_EXPERIMENTS, rows["experiment"]),
    )  # fmt: skip


def _leads(rows: Array) -> Block:
    account = optional(rows["account"] >= 0, account_id(np.maximum(rows["account"], 0)))
    return joined(
        b"lead_", digits(rows["lead"]), b",",
        email(rows["person"], rows["lead"], rows["company"]), b',"',
        company_name(rows["company"]), b'",', _CHANNELS[rows["channel"]], b",",
        _COUNTRIES[rows["country"]], b",", _LEAD_STATUSES[rows["status"]], b",", account, b",",
        instant(rows["created"]), b",", instant(rows["updated"]), b"\n",
    )  # fmt: skip


def _campaign_spend(rows: Array) -> Block:
    campaign = rows["campaign"]
    return joined(
        date_text(rows["spend_on"]), b",", _CHANNELS[ref.CAMPAIGN_CHANNEL[campaign]], b",",
        _CAMPAIGNS[campaign], b",", _CAMPAIGN_CURRENCIES[campaign], b",", money(rows["amount"]),
        b",", whole(rows["impressions"]), b",", whole(rows["clicks"]), b",",
        instant(rows["exported"]), b"\n",
    )  # fmt: skip


_RENDER: Final[dict[str, Callable[[Array], Block]]] = {
    "app.accounts": _accounts,
    "app.users": _users,
    "app.memberships": _memberships,
    "billing.customers": _customers,
    "billing.subscriptions": _subscriptions,
    "billing.invoices": _invoices,
    "billing.payments": _payments,
    "billing.refunds": _refunds,
    "billing.exchange_rates": _exchange_rates,
    "events.events": _events,
    "crm.leads": _leads,
    "crm.campaign_spend": _campaign_spend,
}


def render(entity: str, rows: Array) -> Block:
    """One row of bytes per record, each ending its line."""
    return _RENDER[entity](rows)


def header(entity: str, day: int) -> bytes:
    """The first line of a CSV file received on that day; JSONL files have none."""
    if entity == "billing.exchange_rates":
        return b"currency,rate_on,usd_rate\n"
    if entity == "crm.campaign_spend":
        return (
            b"spend_on,channel,campaign,currency,amount,impression_count,click_count,exported_at\n"
        )
    if entity == "crm.leads":
        company = b"company_name" if day >= COMPANY_NAME_DAY else b"company"
        return (
            b"lead_id,email," + company + b",channel,country,status,account_id,created_at,"
            b"updated_at\n"
        )
    return b""
