"""What the files delivered so far support: the running state behind the books.

A fact enters with its first good delivery, at its true time. Products of events are kept open
for OPEN_DAYS, since a fact may be that late, and become final after.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.defects import DEFECTS_LOG
from ingestion.simulator.records import INSERT
from ingestion.simulator.roll import Layout, Roll
from ingestion.simulator.scale import (
    HOUR_MS,
    OPEN_DAYS,
    Array,
    Ints,
    day_of,
    half_away,
    month_of,
    month_start,
    week_of,
)
from ingestion.simulator.sessions import active_counts, add_sessions

FUNNEL_STEPS: Final = [
    "signed_up", "teammate_invited", "integration_connected", "report_created", "report_shared",
]  # fmt: skip
FUNNEL_WINDOW, ACTIVATION_WINDOW = 672 * HOUR_MS, 336 * HOUR_MS
_FUNNEL_DAYS = 28 + OPEN_DAYS + 1
_STEP_OF_NAME = np.array(
    [FUNNEL_STEPS.index(name) if name in FUNNEL_STEPS else 0 for name in ref.EVENT_NAMES],
    np.uint8,
)
_REPORT = ref.EVENT_CODE["report_created"]
ACTIVE_BIT: Final = 15
_NAME_BITS = np.array(
    [1 << f if f < len(ref.FEATURES) else 0 for f in ref.EVENT_FEATURE.tolist()], np.uint16
) | (ref.IS_ACTIVITY.astype(np.uint16) << np.uint16(ACTIVE_BIT))
# Months open at once: the present one, its predecessor, and one to spare.
_OPEN_MONTHS = 3
WEEK_WORDS: Final = 4
_PAID_STATUSES = (1, 2)

_MASKS: Final[Layout] = {f"month_{n}": ("u2", 0) for n in range(_OPEN_MONTHS)}
_ROLLS: Final[dict[str, Layout]] = {
    "users": {
        "days": ("u8", 0), "last_at": ("i8", -(1 << 60)), "session_day": ("i4", 0),
        **{f"weeks_{n}": ("u8", 0) for n in range(WEEK_WORDS)}, **_MASKS,
    },
    "accounts": {
        "created": ("i8", -1), "steps": ("u1", 0), "activated": ("?", False), **_MASKS,
    },
    "days": {
        "daily": ("i8", 0), "weekly": ("i8", 0), "monthly": ("i8", 0), "sessions": ("i8", 0),
        "session_events": ("i8", 0),
    },
    "adoption": {
        "month": ("i4", 0), "feature": ("u1", 0), "users": ("i8", 0), "accounts": ("i8", 0),
        "active_users": ("i8", 0), "active_accounts": ("i8", 0),
    },
    "funnel": {"account": ("i4", 0), "step": ("u1", 0), "at": ("i8", 0)},
    "activity": {"user": ("i4", 0), "at": ("i8", 0)},
    "account_changes": {
        "account": ("i4", 0), "changed": ("i8", 0), "version": ("i8", 0), "op": ("u1", 0),
        "name": ("i4", 0), "industry": ("u1", 0), "country": ("u1", 0), "employees": ("i4", 0),
    },
    "subscription_changes": {
        "account": ("i4", 0), "subscription": ("i4", 0), "changed": ("i8", 0),
        "version": ("i8", 0), "status": ("u1", 0), "mrr": ("i8", 0), "started": ("i8", 0),
    },
    "invoices": {
        "version": ("i8", -1), "day": ("i4", 0), "currency": ("u1", 0), "net": ("i8", 0),
        "tax": ("i8", 0), "counts": ("?", False),
    },
    "payments": {
        "version": ("i8", -1), "day": ("i4", 0), "currency": ("u1", 0), "amount": ("i8", 0),
        "counts": ("?", False),
    },
    "refunds": {"day": ("i4", 0), "currency": ("u1", 0), "amount": ("i8", 0)},
    "leads": {
        "version": ("i8", -1), "created": ("i8", 0), "channel": ("u1", 0), "status": ("u1", 0),
        "account": ("i4", -1),
    },
    "spend": {"version": ("i8", -1), "usd": ("i8", 0)},
    "defects": DEFECTS_LOG,
}  # fmt: skip


class Ledger:
    def __init__(self) -> None:
        self.rolls = {name: Roll(layout) for name, layout in _ROLLS.items()}

    def __getitem__(self, name: str) -> Roll:
        return self.rolls[name]

    def begin_day(self) -> None:
        """One more day: everybody's active days move one place into the past."""
        days = self["users"]["days"]
        np.left_shift(days, np.uint64(1), out=days)
        self["days"].append(1)

    def record(self, entity: str, facts: Array, day: int) -> None:
        if not len(facts):
            return
        match entity:
            case "events.events":
                self._record_events(facts, day)
            case "app.accounts":
                self._record_accounts(facts)
            case "billing.subscriptions":
                self._record_subscriptions(facts)
            case "billing.invoices":
                self._record_documents("invoices", facts["invoice"], facts, _invoice_values(facts))
            case "billing.payments":
                self._record_documents("payments", facts["payment"], facts, _payment_values(facts))
            case "billing.refunds":
                self["refunds"].append(
                    len(facts), day=day_of(facts["refunded"]), currency=facts["currency"],
                    amount=half_away(facts["amount"] * facts["usd_rate"], 1_000_000),
                )  # fmt: skip
            case "crm.leads":
                values = {name: facts[name] for name in ("created", "channel", "status", "account")}
                self._record_documents("leads", facts["lead"], facts, values)
            case "crm.campaign_spend":
                number = facts["spend_on"] * len(ref.CAMPAIGNS) + facts["campaign"]
                usd = half_away(facts["amount"] * facts["usd_rate"], 1_000_000)
                self._record_documents("spend", number, facts, {"usd": usd})

    def _record_documents(
        self, name: str, numbers: Array, facts: Array, values: dict[str, Array]
    ) -> None:
        """The latest version that was delivered is what counts."""
        roll = self[name]
        roll.grow_to(int(numbers.max()) + 1)
        order = np.argsort(facts["version"], kind="stable")
        last = len(order) - 1 - np.unique(numbers[order][::-1], return_index=True)[1]
        latest = order[last]
        latest = latest[facts["version"][latest] > roll["version"][numbers[latest]]]
        roll["version"][numbers[latest]] = facts["version"][latest]
        for column, value in values.items():
            roll[column][numbers[latest]] = value[latest]

    def _record_accounts(self, facts: Array) -> None:
        new = facts[facts["op"] == INSERT]
        if len(new):
            self["accounts"].grow_to(int(new["account"].max()) + 1)
            self["accounts"]["created"][new["account"]] = new["created"]
        names = ("account", "changed", "version", "op", "name", "industry", "country", "employees")
        self["account_changes"].append(len(facts), **{name: facts[name] for name in names})

    def _record_subscriptions(self, facts: Array) -> None:
        paying = np.isin(facts["status"], _PAID_STATUSES)
        cents = facts["seats"] * facts["unit"] * ref.PLANNING_RATE_PERCENT[facts["currency"]]
        monthly = np.where(facts["yearly"], half_away(cents, 1200), half_away(cents, 100))
        self["subscription_changes"].append(
            len(facts), mrr=np.where(paying, monthly, 0),
            **{
                name: facts[name]
                for name in ("account", "subscription", "changed", "version", "status", "started")
            },
        )  # fmt: skip

    def _record_events(self, facts: Array, day: int) -> None:
        users, accounts = self["users"], self["accounts"]
        at = facts["occurred"] + facts["received"] - facts["sent"]
        name, user, account = facts["name"], facts["user"], facts["account"]
        users.grow_to(int(user.max()) + 1)
        on = day_of(at)
        if int(on.min()) < day - OPEN_DAYS:
            raise AssertionError("an event was delivered after its day had become final")
        bits = _NAME_BITS[name]
        active = ref.IS_ACTIVITY[name]
        who, when, age = user[active], at[active], (day - on[active]).astype(np.uint64)
        np.bitwise_or.at(users["days"], who, np.left_shift(np.uint64(1), age))
        self._mark_weeks(who, week_of(on[active]))
        # Few days, so months and weeks are looked up by day instead of by event.
        first = int(on.min())
        calendar = np.arange(first, int(on.max()) + 1)
        months = month_of(calendar)[on - first]
        for month in range(int(months.min()), int(months.max()) + 1):
            mine = months == month
            column = f"month_{month % _OPEN_MONTHS}"
            np.bitwise_or.at(users[column], user[mine], bits[mine])
            np.bitwise_or.at(accounts[column], account[mine], bits[mine])
        self["activity"].append(len(who), user=who, at=when)

        created = accounts["created"][account]
        step = _STEP_OF_NAME[name]
        in_funnel = (step > 0) & (at <= created + FUNNEL_WINDOW) & (at >= created)
        self["funnel"].append(
            int(in_funnel.sum()), account=account[in_funnel], step=step[in_funnel],
            at=at[in_funnel],
        )  # fmt: skip
        activating = (name == _REPORT) & (at >= created) & (at <= created + ACTIVATION_WINDOW)
        accounts["activated"][account[activating]] = True

    def _mark_weeks(self, who: Array, weeks: Ints) -> None:
        if not len(weeks):
            return
        for week in range(int(weeks.min()), int(weeks.max()) + 1):
            column = self["users"][f"weeks_{week // 64}"]
            column[who[weeks == week]] |= np.uint64(1 << (week % 64))

    def end_day(self, day: int) -> None:
        """What no delivery can change any more becomes final."""
        final = day - OPEN_DAYS
        if final >= 0:
            days = self["days"]
            days["daily"][final], days["weekly"][final], days["monthly"][final] = active_counts(
                self["users"]["days"], OPEN_DAYS
            )
            on = day_of(self["activity"]["at"])
            done = on <= final
            activity = self["activity"]
            add_sessions(
                activity["user"][done], activity["at"][done], self["users"]["last_at"],
                self["users"]["session_day"], days["sessions"], days["session_events"],
            )  # fmt: skip
            activity.keep(~done)
            month = int(month_of(np.array([final]))[0])
            if final == month_start(month + 1) - 1:
                self._close_month(month)
        if day % 7 == 6:
            self._close_funnels(day)

    def adoption_of(self, month: int) -> dict[str, Array]:
        """Users and accounts of each feature in a month that is still open."""
        column = f"month_{month % _OPEN_MONTHS}"
        users, accounts = self["users"][column], self["accounts"][column]
        features = np.arange(len(ref.FEATURES))

        def having(masks: Array, bit: int) -> int:
            return int(np.count_nonzero(masks >> np.uint16(bit) & np.uint16(1)))

        return {
            "month": np.full(len(features), month),
            "feature": features,
            "users": np.array([having(users, f) for f in features.tolist()]),
            "accounts": np.array([having(accounts, f) for f in features.tolist()]),
            "active_users": np.full(len(features), having(users, ACTIVE_BIT)),
            "active_accounts": np.full(len(features), having(accounts, ACTIVE_BIT)),
        }

    def _close_month(self, month: int) -> None:
        rows = self.adoption_of(month)
        self["adoption"].append(len(rows["month"]), **rows)
        column = f"month_{month % _OPEN_MONTHS}"
        self["users"][column][:] = 0
        self["accounts"][column][:] = 0

    def _close_funnels(self, day: int) -> None:
        funnel, accounts = self["funnel"], self["accounts"]
        closed = (accounts["created"] >= 0) & (day_of(accounts["created"]) <= day - _FUNNEL_DAYS)
        closing = closed & (accounts["steps"] == 0)
        accounts["steps"][closing] = self.funnel_steps()[closing]
        funnel.keep(~closed[funnel["account"]])

    def funnel_steps(self) -> Array:
        """How many funnel steps each account reached by what was delivered."""
        funnel, accounts = self["funnel"], self["accounts"]
        created = accounts["created"]
        reached, before = created >= 0, created.copy()
        steps = reached.astype(np.uint8)
        for step in range(1, len(FUNNEL_STEPS)):
            mine = funnel["step"] == step
            account, at = funnel["account"][mine], funnel["at"][mine]
            after = reached[account] & (at >= before[account])
            never = np.iinfo(np.int64).max
            first = np.full(len(created), never, np.int64)
            np.minimum.at(first, account[after], at[after])
            reached = reached & (first < never)
            before = np.where(reached, first, before)
            steps += reached
        return np.where(accounts["steps"] > 0, accounts["steps"], steps)


def _invoice_values(facts: Array) -> dict[str, Array]:
    return {
        "day": day_of(facts["issued"]),
        "currency": facts["currency"],
        "net": half_away(facts["net"] * facts["usd_rate"], 1_000_000),
        "tax": half_away(facts["tax"] * facts["usd_rate"], 1_000_000),
        "counts": facts["status"] != ref.INVOICE_STATUSES.index("void"),
    }


def _payment_values(facts: Array) -> dict[str, Array]:
    return {
        "day": day_of(facts["attempted"]),
        "currency": facts["currency"],
        "amount": half_away(facts["amount"] * facts["usd_rate"], 1_000_000),
        "counts": facts["status"] == ref.PAYMENT_STATUSES.index("succeeded"),
    }
