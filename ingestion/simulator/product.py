"""What people do in the product: sessions through the day, and the events in them."""

from __future__ import annotations

import math

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.chance import Domain, happens, pick, stream
from ingestion.simulator.company import (
    ACTIVE,
    FREE,
    PAST_DUE,
    TRIAL,
    Company,
)
from ingestion.simulator.people import feature_popularity
from ingestion.simulator.records import Outbox, records
from ingestion.simulator.scale import (
    DAY_MS,
    EXPERIMENT_DAY,
    HOUR_MS,
    MINUTE_MS,
    Array,
    Ints,
    day_of,
    day_start,
    weekday,
)

_WEEKDAYS = (1.12, 1.2, 1.2, 1.15, 1.0, 0.26, 0.22)
# People sleep: sessions begin within 16 local hours and last at most 3, so that every user is
# silent for 5 hours a day and no session can reach 24.
_FIRST_HOUR = 6
_HOURS = ref.weights(1, 3, 7, 11, 12, 11, 8, 10, 11, 11, 9, 6, 4, 3, 3, 2)
_LONGEST_SESSION = 3 * HOUR_MS
_LONGEST_GAP, _MEAN_GAP = 20 * MINUTE_MS, 80_000.0
_PAUSES = 0.015
_MOST_EVENTS = 60
_MORE_SESSIONS = 0.35
_ADOPTIONS = 0.012
_MESSAGES = 0.05
_LATE, _SKEWED = 0.02, 0.01
_LATEST = 7 * DAY_MS
_MEAN_DELAY = 20 * HOUR_MS
_SKEW = 3 * HOUR_MS
_CLICK_TO_SENT = 3000

_STAGE_USE = np.zeros(7)
_STAGE_USE[[FREE, TRIAL, ACTIVE, PAST_DUE]] = 0.3, 1.15, 1.0, 0.8

# How often each event is chosen: in an account's first three days, its next 25, and later.
_CHOICE = {
    "page_viewed": (30, 30, 30), "project_created": (8, 4, 3), "report_created": (9, 7, 6),
    "report_shared": (4, 4, 3), "report_exported": (2, 3, 3), "dashboard_viewed": (12, 18, 20),
    "dashboard_edited": (6, 5, 4), "integration_connected": (9, 3, 0.5),
    "alert_created": (2, 2.5, 2), "comment_added": (4, 6, 7), "teammate_invited": (11, 4, 0.8),
    "api_called": (4, 7, 9), "search_performed": (8, 8, 8),
}  # fmt: skip
_WEIGHTS = np.array([_CHOICE.get(name, (0, 0, 0)) for name in ref.EVENT_NAMES], np.float64).T
_CUMULATIVE = np.cumsum(_WEIGHTS / _WEIGHTS.sum(axis=1, keepdims=True), axis=1)
_CUMULATIVE[:, -1] = 1.0
_LADDER = (_CUMULATIVE + np.arange(3)[:, None]).ravel()
_SIGNED_IN, _VIEWED = ref.EVENT_CODE["signed_in"], ref.EVENT_CODE["page_viewed"]
_REPORT = ref.EVENT_CODE["report_created"]
_MESSAGE_CODES = np.flatnonzero(~ref.IS_ACTIVITY)


def product_day(company: Company, day: int, outbox: Outbox) -> None:
    rng = stream(company.seed, Domain.PRODUCT, day)
    eligible, likely = _likely(company, day)
    active = eligible[happens(rng, len(eligible), likely)]
    _adopt(company, day, rng, active)
    user, start = _sessions(company, day, rng, active)
    user, at, name = _events(company, day, rng, user, start)
    account = _account_used(company, rng, user)
    company.accounts["reported"][account[name == _REPORT]] = True

    messages = rng.integers(0, max(len(eligible), 1), rng.poisson(_MESSAGES * len(eligible)))
    told = eligible[messages]
    n = len(told)
    user = np.concatenate([user, told])
    account = np.concatenate([account, company.users["account"][told]])
    at = np.concatenate([at, day_start(day) + rng.integers(6 * HOUR_MS, 20 * HOUR_MS, n)])
    name = np.concatenate([name, _MESSAGE_CODES[rng.integers(0, len(_MESSAGE_CODES), n)]])
    outbox.add("events.events", _sent(company, day, rng, user, account, at, name))


def _likely(company: Company, day: int) -> tuple[Ints, Array]:
    """Whom the product has, and how likely each is to use it today."""
    users, accounts = company.users, company.accounts
    age = day - day_of(accounts["created"])
    account_use = _STAGE_USE[accounts["stage"]] * (0.62 + 0.76 * accounts["fit"])
    account_use *= np.where(accounts["stage"] == FREE, np.exp(-age / 12), 1.0)
    tenure = day - day_of(users["created"])
    use = account_use[users["account"]]
    eligible = np.flatnonzero(~users["is_gone"] & (tenure > 0) & (use > 0.002))
    decay = 0.62 + 0.38 * np.exp(-tenure[eligible] / 30)
    likely = users["keenness"][eligible] * use[eligible] * decay * _WEEKDAYS[weekday(day)]
    return eligible, np.minimum(likely, 0.95)


def _adopt(company: Company, day: int, rng: np.random.Generator, active: Array) -> None:
    """Now and then an active user finds one more feature."""
    finding = active[happens(rng, len(active), _ADOPTIONS)]
    found = pick(rng, len(finding), feature_popularity(day))
    company.users["features"][finding] |= (1 << found).astype(np.uint16)


def _sessions(
    company: Company, day: int, rng: np.random.Generator, active: Array
) -> tuple[Ints, Ints]:
    """Who begins a session, and when: the active of today, and newcomers at once."""
    users = company.users
    user = np.repeat(active, 1 + rng.poisson(_MORE_SESSIONS, len(active)))
    n = len(user)
    hour = _FIRST_HOUR + pick(rng, n, _HOURS) - users["zone"][user]
    start = (hour * HOUR_MS + rng.integers(0, HOUR_MS, n)) % DAY_MS + day_start(day)
    created = users["created"]
    today = int(np.searchsorted(created, day_start(day)))
    new = np.arange(today, len(users)) if len(users) else np.empty(0, np.int64)
    first = created[new] + rng.integers(MINUTE_MS, 8 * MINUTE_MS, len(new))
    return np.concatenate([user, new]), np.concatenate([start, first])


def _events(
    company: Company, day: int, rng: np.random.Generator, user: Array, start: Array
) -> tuple[Ints, Ints, Ints]:
    """The events of each session: who, when, what."""
    mean = company.size.events_per_session
    count = np.minimum(rng.geometric(1 / mean, len(user)), _MOST_EVENTS)
    first = np.cumsum(count) - count
    n = int(count.sum())
    gap = np.minimum(rng.standard_exponential(n, np.float32) * _MEAN_GAP, _LONGEST_GAP)
    gap = gap.astype(np.int64) + 300
    pauses = happens(rng, n, _PAUSES)
    gap[pauses] += rng.integers(31 * MINUTE_MS, 55 * MINUTE_MS, int(pauses.sum()))
    gap[first] = 0
    elapsed = np.cumsum(gap)
    elapsed -= np.repeat(elapsed[first], count)
    at = np.repeat(start, count) + np.minimum(elapsed, _LONGEST_SESSION)
    by = np.repeat(user, count)

    age = day - day_of(company.accounts["created"])
    bucket = np.where(age < 3, 0, np.where(age < 28, 1, 2))[company.users["account"][user]]
    name = np.searchsorted(_LADDER, np.repeat(bucket, count) + rng.random(n), side="right")
    name %= len(ref.EVENT_NAMES)
    bit = np.append(1 << np.arange(len(ref.FEATURES)), 0)[ref.EVENT_FEATURE[name]]
    unknown = (bit > 0) & (company.users["features"][by] & bit == 0)
    name[unknown] = _VIEWED
    name[first] = np.where(happens(rng, len(first), 0.8), _SIGNED_IN, name[first])
    return by, at, name


def _account_used(company: Company, rng: np.random.Generator, user: Array) -> Ints:
    """People of two accounts work for the second now and then."""
    users = company.users
    second = users["second_account"][user]
    guest = np.flatnonzero(second >= 0)
    guest = guest[happens(rng, len(guest), 0.35)]
    account = users["account"][user].astype(np.int64)
    stage = company.accounts["stage"][second[guest]]
    guest = guest[np.isin(stage, (TRIAL, ACTIVE, PAST_DUE))]
    account[guest] = second[guest]
    return account


def _sent(
    company: Company, day: int, rng: np.random.Generator, user: Array, account: Array, at: Array,
    name: Array,
) -> Array:  # fmt: skip
    """How the events reach us: most at once, some late, some by a wrong clock."""
    users, n = company.users, len(user)
    chance = rng.random(n, np.float32)
    is_late, is_skewed = chance < _LATE, chance > 1 - _SKEWED
    received = at + rng.integers(0, _CLICK_TO_SENT, n)
    late = np.flatnonzero(is_late)
    delay = 5 * MINUTE_MS + rng.standard_exponential(len(late)) * _MEAN_DELAY
    received[late] = at[late] + np.minimum(delay, _LATEST).astype(np.int64)
    skew = np.zeros(n, np.int64)
    skewed = np.flatnonzero(is_skewed)
    off = rng.integers(MINUTE_MS, _SKEW, len(skewed))
    skew[skewed] = np.where(happens(rng, len(skewed), 0.5), off, -off)
    platform = users["platform"][user]
    sleepy = (user * 7 + 3) % 5
    version = np.maximum(day // 14 - np.where(platform == 0, 0, sleepy // 2), 0) * 3 + platform
    duration = np.exp(rng.standard_normal(n, np.float32) * 0.9 + math.log(900))
    return records(
        "events.events", n, due=day_of(received), version=company.numbers("event", n), name=name,
        account=account, user=user, occurred=at + skew, sent=received + skew, received=received,
        platform=platform, app_version=np.minimum(version, len(ref.APP_VERSIONS) - 1),
        locale=users["locale"][user],
        experiment=users["arm"][user] if day >= EXPERIMENT_DAY else 0,
        duration=np.clip(duration, 5, 65_000).astype(np.uint16),
        items=np.minimum(rng.standard_exponential(n, np.float32) * 4, 99).astype(np.uint8),
        is_late=is_late, is_skewed=is_skewed,
    )  # fmt: skip
