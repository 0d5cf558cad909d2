"""The growth team: leads by channel, what they become, and what campaigns cost."""

from __future__ import annotations

import math

import numpy as np

from ingestion.simulator import reference as ref
from ingestion.simulator.accounts import open_accounts
from ingestion.simulator.chance import Domain, between, happens, pick, stream
from ingestion.simulator.company import Company, columns
from ingestion.simulator.records import NONE, Outbox, records
from ingestion.simulator.scale import Array, Ints, weekday

NEW, QUALIFIED, CONVERTED, LOST_LEAD = range(4)

# New accounts of `small` on the first day; growth multiplies that by e^1.1 in 455 days, which
# makes 600 accounts in all.
_FIRST_DAY_ACCOUNTS, _GROWTH, _GROWTH_DAYS = 0.735, 1.1, 455
_SHARE_WITH_LEAD, _CONVERSION = 0.86, 0.28
_WEEKDAYS = (1.15, 1.2, 1.15, 1.1, 0.95, 0.7, 0.75)
_CHANNEL_WEIGHTS = ref.weights(30, 22, 18, 10, 8, 12)
_CHANNEL_CONVERSION = ref.weights(0.27, 0.17, 0.28, 0.42, 0.36, 0.36)
_COST_GROWTH, _CORRECTED = 0.9, 0.08


def _pace(day: int) -> float:
    return math.exp(_GROWTH * min(day, 1.3 * _GROWTH_DAYS) / _GROWTH_DAYS)


def _accounts_a_day(company: Company, day: int) -> float:
    busy = _WEEKDAYS[weekday(day)]
    return company.size.accounts / 600 * _FIRST_DAY_ACCOUNTS * _pace(day) * busy


def growth_day(company: Company, day: int, outbox: Outbox) -> None:
    rng = stream(company.seed, Domain.LEADS, day)
    _new_leads(company, day, rng, outbox)
    _progress(company, day, rng, outbox)
    _spend(company, day, outbox)


def _new_leads(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    expected = _accounts_a_day(company, day) * _SHARE_WITH_LEAD / _CONVERSION
    n = int(rng.poisson(expected))
    channel = pick(rng, n, _CHANNEL_WEIGHTS)
    converts = happens(rng, n, _CHANNEL_CONVERSION[channel])
    qualifies = converts & happens(rng, n, 0.8) | happens(rng, n, 0.22)
    qualify_day = day + 1 + rng.geometric(0.35, n)
    convert_day = np.where(qualifies, qualify_day, day) + rng.geometric(0.3, n)
    lose_day = day + 14 + rng.integers(0, 30, n)
    idx = company.leads.append(
        n,
        person=rng.integers(0, ref.PEOPLE, n), company=rng.integers(0, ref.COMPANY_NAMES, n),
        channel=channel, country=pick(rng, n, ref.COUNTRY_WEIGHTS),
        created=np.sort(between(rng, day, n, 5, 23)),
        qualify_day=np.where(qualifies, qualify_day, NONE),
        convert_day=np.where(converts, convert_day, NONE),
        lose_day=np.where(converts | happens(rng, n, 0.3), NONE, lose_day),
    )  # fmt: skip
    _send_leads(company, day, idx, company.leads["created"][idx], outbox)


def _send_leads(company: Company, day: int, idx: Array, at: Array, outbox: Outbox) -> None:
    names = (
        "person", "company", "channel", "country", "status", "account", "created", "version",
    )  # fmt: skip
    outbox.add(
        "crm.leads",
        records("crm.leads", len(idx), due=day, lead=idx, updated=at,
                **columns(company.leads, idx, names)),
    )  # fmt: skip
    company.leads["version"][idx] += 1


def _progress(company: Company, day: int, rng: np.random.Generator, outbox: Outbox) -> None:
    leads = company.leads
    qualified = np.flatnonzero(leads["qualify_day"] == day)
    leads["status"][qualified] = QUALIFIED
    _send_leads(company, day, qualified, between(rng, day, len(qualified), 7, 12), outbox)
    lost = np.flatnonzero(leads["lose_day"] == day)
    leads["status"][lost] = LOST_LEAD
    _send_leads(company, day, lost, between(rng, day, len(lost), 7, 20), outbox)

    converted = np.flatnonzero(leads["convert_day"] == day)
    n_direct = int(rng.poisson(_accounts_a_day(company, day) * (1 - _SHARE_WITH_LEAD)))
    n = len(converted) + n_direct
    if not n:
        return
    lead = np.concatenate([converted, np.full(n_direct, NONE)])
    country = np.concatenate(
        [leads["country"][converted], pick(rng, n_direct, ref.COUNTRY_WEIGHTS)]
    )
    name = np.concatenate(
        [leads["company"][converted], rng.integers(0, ref.COMPANY_NAMES, n_direct)]
    )
    person = np.concatenate([leads["person"][converted], rng.integers(0, ref.PEOPLE, n_direct)])
    order = rng.permutation(n)
    created = np.sort(between(rng, day, n, 6, 22))
    account = open_accounts(
        company, day, stream(company.seed, Domain.ACCOUNTS, day), created, country[order],
        name[order], lead[order], person[order], outbox,
    )  # fmt: skip
    from_lead = lead[order] >= 0
    leads["account"][lead[order][from_lead]] = account[from_lead]
    leads["status"][converted] = CONVERTED
    _send_leads(company, day, lead[order][from_lead], created[from_lead] + 90_000, outbox)


def _spend(company: Company, day: int, outbox: Outbox) -> None:
    """Yesterday's spend, and corrections of what was exported three days ago."""
    for age, hours in ((1, (4, 5)), (4, (6, 7))):
        spent = day - age
        if spent < 0:
            continue
        amount, impressions, clicks, revised = _campaign_figures(company, spent)
        campaign = np.arange(len(amount))
        if age > 1:
            campaign = np.flatnonzero(revised)
            # Invalid clicks are credited: a correction is a little below the first figure.
            amount, clicks = amount * 93 // 100, clicks * 96 // 100
        rng = stream(company.seed, Domain.SPEND, day * 10 + age)
        at = between(rng, day, 1, *hours)
        rows = records(
            "crm.campaign_spend", len(campaign), due=day, version=age, spend_on=spent,
            campaign=campaign, amount=amount[campaign], impressions=impressions[campaign],
            clicks=clicks[campaign], exported=int(at[0]),
            usd_rate=company.usd_rate(
                spent, np.array([row[2] for row in ref.CAMPAIGNS])[campaign]
            ),
        )  # fmt: skip
        outbox.add("crm.campaign_spend", rows)


def _campaign_figures(company: Company, day: int) -> tuple[Ints, Ints, Ints, Array]:
    """What each campaign really did on a day: the same whenever it is asked."""
    rng = stream(company.seed, Domain.SPEND, day * 10)
    n = len(ref.CAMPAIGNS)
    base = np.array([row[3] for row in ref.CAMPAIGNS]) * company.size.accounts / 600
    pace = math.exp(_COST_GROWTH * min(day, 1.3 * _GROWTH_DAYS) / _GROWTH_DAYS)
    amount = (base * pace * rng.lognormal(0, 0.15, n)).astype(np.int64)
    clicks = (amount / rng.uniform(180, 420, n)).astype(np.int64)
    impressions = (clicks * rng.uniform(35, 80, n)).astype(np.int64)
    return amount, impressions, clicks, happens(rng, n, _CORRECTED)


def rates_day(company: Company, day: int, outbox: Outbox) -> None:
    """The day's exchange rates: a slow random walk from today's order of magnitude."""
    rng = stream(company.seed, Domain.RATES, day)
    steps = np.exp(np.clip(rng.normal(0, 0.004, len(ref.CURRENCIES)), -0.015, 0.015))
    first = {"USD": 1_000_000, "EUR": 1_084_000, "GBP": 1_262_000}
    number = company.rates.append(1)
    for code, step in zip(ref.CURRENCIES, steps, strict=True):
        before = int(company.rates[code][day - 1]) if day else first[code]
        # A walk must not leave the plausible: it is drawn back to where it began.
        drawn = before * float(step) + 0.005 * (first[code] - before)
        company.rates[code][number] = 1_000_000 if code == "USD" else round(drawn)
    currency = np.arange(len(ref.CURRENCIES))
    outbox.add(
        "billing.exchange_rates",
        records("billing.exchange_rates", len(currency), due=day, currency=currency, rate_on=day,
                usd_rate=company.usd_rate(day, currency)),
    )  # fmt: skip
