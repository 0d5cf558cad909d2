"""Metrics equal the simulated company's own books: money to the cent, counts to the unit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from serving.metrics import query
from tests.conftest import BooksWorkshop

SAME = 1e-12  # Ratios are double precision on both sides; nothing else may differ.


@pytest.fixture
def ask(books_workshop: BooksWorkshop) -> Any:
    def asked(metrics: Sequence[str], by: Sequence[str]) -> dict[Any, Any]:
        """Values by key; a single metric's as they are, several as a tuple."""
        rows = query(books_workshop.settings, metrics, by).rows
        keys, values = len(by), slice(len(by), None)
        return {
            row[0] if keys == 1 else row[:keys]: row[-1] if len(metrics) == 1 else row[values]
            for row in rows
        }

    return asked


@pytest.fixture
def books(books_workshop: BooksWorkshop) -> Any:
    def read(sql: str, keys: int = 1) -> dict[Any, Any]:
        """Rows of the books, keyed as `ask` keys its own; {books} stands for their folder."""
        rows = duckdb.execute(sql.format(books=books_workshop.books)).fetchall()
        return {
            row[0] if keys == 1 else row[:keys]: row[-1] if len(row) == keys + 1 else row[keys:]
            for row in rows
        }

    return read


def without_zeros(values: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in values.items() if value}


def test_closing_mrr_and_paying_accounts(ask: Any, books: Any) -> None:
    expected = books(
        "select month_on, sum(closing_cents)::decimal(18, 2) / 100, "
        "count(*) filter (where closing_cents > 0) from '{books}/mrr_monthly.parquet' group by 1"
    )
    found = ask(["mrr", "paying_accounts"], ["month"])
    assert found == {key: (Decimal(f"{mrr:.2f}"), count) for key, (mrr, count) in expected.items()}
    arr = ask(["arr"], ["month"])
    assert arr == {key: mrr * 12 for key, (mrr, _) in found.items()}
    arpa = ask(["arpa"], ["month"])
    assert arpa == pytest.approx({k: float(m) / n for k, (m, n) in found.items() if n}, rel=SAME)


@pytest.mark.parametrize(
    ("metric", "column"),
    [
        ("new_mrr", "new"),
        ("expansion_mrr", "expansion"),
        ("contraction_mrr", "contraction"),
        ("churned_mrr", "churn"),
        ("reactivation_mrr", "reactivation"),
    ],
)
def test_movements_by_month_and_account(ask: Any, books: Any, metric: str, column: str) -> None:
    expected = books(
        f"select month_on, account_id, ({column}_cents / 100)::decimal(18, 2) "
        "from '{books}/mrr_monthly.parquet'",
        keys=2,
    )
    assert ask([metric], ["month", "account"]) == without_zeros(expected)


def test_movements_by_day_and_kind(ask: Any, books: Any) -> None:
    expected = books(
        "select movement_on, kind, (sum(amount_cents) / 100)::decimal(18, 2) "
        "from '{books}/mrr_movements_daily.parquet' group by 1, 2",
        keys=2,
    )
    assert ask(["net_new_mrr"], ["day", "kind"]) == expected


def test_cumulative_and_year_to_date_end_with_the_period(ask: Any, books: Any) -> None:
    expected = books(
        "select month_on, (sum(sum(new_cents)) over (order by month_on) / 100)::decimal(18, 2) "
        "from '{books}/mrr_monthly.parquet' group by month_on"
    )
    assert ask(["cumulative_new_mrr"], ["month"]) == expected
    closing = ask(["mrr"], ["year"])
    first, second = sorted(closing)
    to_date = ask(["net_new_mrr_year_to_date"], ["year"])
    assert to_date == {first: closing[first], second: closing[second] - closing[first]}


def test_retention_and_churn(ask: Any, books: Any) -> None:
    expected = books(
        "select month_on, "
        "sum(closing_cents) filter (where opening_cents > 0) / sum(opening_cents), "
        "sum(least(opening_cents, closing_cents)) / sum(opening_cents), "
        "count(*) filter (where opening_cents > 0 and closing_cents = 0) "
        "  / count(*) filter (where opening_cents > 0), "
        "1 - sum(least(opening_cents, closing_cents)) / sum(opening_cents) "
        "from '{books}/mrr_monthly.parquet' group by 1 having sum(opening_cents) > 0"
    )
    found = ask(["nrr", "grr", "logo_churn_rate", "revenue_churn_rate"], ["month"])
    assert found.keys() == expected.keys()
    for month, rates in expected.items():
        assert found[month] == pytest.approx(rates, rel=1e-9, abs=SAME), month


def test_lifetime_value_acquisition_cost_and_payback(ask: Any, books: Any) -> None:
    spend = books(
        "select month_on, sum(spend_cents) from '{books}/growth_monthly.parquet' group by 1"
    )
    new = books(
        "select date_trunc('month', movement_on)::date, count(*) "
        "from '{books}/mrr_movements_daily.parquet' where kind = 'new' group by 1"
    )
    assert ask(["new_paying_accounts"], ["month"]) == new
    cac = {month: spend[month] / 100 / new[month] for month in spend if month in new}
    assert ask(["cac"], ["month"]) == pytest.approx(cac, rel=SAME)
    arpa, churn = ask(["arpa"], ["month"]), ask(["logo_churn_rate"], ["month"])
    payback = {month: cac[month] / (arpa[month] * 0.8) for month in cac if month in arpa}
    assert ask(["cac_payback_months"], ["month"]) == pytest.approx(payback, rel=1e-9)
    ltv = {month: arpa[month] * 0.8 / rate for month, rate in churn.items() if rate}
    assert ask(["ltv"], ["month"]) == pytest.approx(ltv, rel=1e-9)


def test_active_users_of_every_day(ask: Any, books: Any) -> None:
    expected = books(
        "select day_on, daily_count, weekly_count, monthly_count "
        "from '{books}/active_users_daily.parquet'"
    )
    assert ask(["dau", "wau", "mau"], ["day"]) == expected
    sticky = {day: dau / mau for day, (dau, _, mau) in expected.items() if mau}
    assert ask(["stickiness"], ["day"]) == pytest.approx(sticky, rel=SAME)
    month_ends = books(
        "select date_trunc('month', day_on)::date, arg_max(monthly_count, day_on), "
        "avg(daily_count) from '{books}/active_users_daily.parquet' group by 1"
    )
    found = ask(["mau", "average_dau"], ["month"])
    assert {month: mau for month, (mau, _) in found.items()} == {
        month: mau for month, (mau, _) in month_ends.items()
    }
    assert [dau for _, dau in found.values()] == pytest.approx(
        [month_ends[month][1] for month in found], rel=SAME
    )


def test_sessions_of_every_day(ask: Any, books: Any) -> None:
    expected = books(
        "select day_on, session_count, event_count from '{books}/sessions_daily.parquet'"
    )
    assert ask(["sessions", "session_events"], ["day"]) == expected


def test_feature_adoption(ask: Any, books: Any) -> None:
    expected = books(
        "select month_on, feature, user_count / active_user_count, "
        "account_count / active_account_count from '{books}/feature_adoption_monthly.parquet'",
        keys=2,
    )
    found = ask(["feature_adoption_rate", "account_feature_adoption_rate"], ["month", "feature"])
    assert found == expected


def test_activation_and_its_conversion_metric(ask: Any, books: Any) -> None:
    expected = books(
        "select week_on, activated_count / signed_up_count from '{books}/activation_weekly.parquet'"
    )
    assert ask(["activation_rate"], ["week"]) == expected
    converted = ask(["signup_to_first_report_rate"], ["week"])
    assert {week: converted.get(week, 0) for week in expected} == expected


def test_funnel(ask: Any, books: Any) -> None:
    expected = books(
        "select week_on, step, account_count from '{books}/funnel_weekly.parquet'", keys=2
    )
    found = ask(["funnel_accounts"], ["week", "step"])
    assert without_zeros(found) == without_zeros(expected)
    rates = ask(["signup_to_report_rate"], ["week"])
    for (week, step), signed_up in expected.items():
        if step == "signed_up" and signed_up:
            reported = expected.get((week, "report_created"), 0)
            assert rates[week] == pytest.approx(reported / signed_up, rel=SAME)


def test_user_retention(ask: Any, books: Any) -> None:
    expected = books(
        "select cohort_week_on, week_number, user_count / max(user_count) filter "
        "(where week_number = 0) over (partition by cohort_week_on) "
        "from '{books}/retention_weekly.parquet'",
        keys=2,
    )
    assert ask(["user_retention_rate"], ["week", "week_number"]) == expected


def test_trial_conversion(ask: Any, books: Any) -> None:
    expected = books(
        "select month_on, trial_count, converted_count, converted_count / trial_count "
        "from '{books}/trials_monthly.parquet'"
    )
    assert ask(["trials", "converted_trials", "trial_conversion_rate"], ["month"]) == expected


def test_leads_by_channel(ask: Any, books: Any) -> None:
    expected = books(
        "select month_on, channel, lead_count, qualified_count, converted_count, trial_count, "
        "paid_count, (spend_cents / 100)::decimal(18, 2) from '{books}/growth_monthly.parquet'",
        keys=2,
    )
    metrics = ["leads", "qualified_leads", "converted_leads", "trialing_leads", "paid_leads"]
    assert ask([*metrics, "lead_spend"], ["month", "channel"]) == expected
    spend = {key: row[-1] for key, row in expected.items() if row[-1]}
    assert ask(["acquisition_spend"], ["month", "channel"]) == spend
    rates = {key: row[4] / row[0] for key, row in expected.items() if row[0]}
    assert ask(["lead_to_paid_rate"], ["month", "channel"]) == pytest.approx(rates, rel=SAME)


def test_revenue_by_currency(ask: Any, books: Any) -> None:
    cents = ("invoiced_cents", "tax_cents", "collected_cents", "refunded_cents")
    amounts = ", ".join(f"({each} / 100)::decimal(18, 2)" for each in cents)
    expected = books(
        f"select month_on, currency, {amounts} from '{{books}}/revenue_monthly.parquet'", keys=2
    )
    metrics = ["invoiced_revenue", "invoiced_tax", "collected_revenue", "refunded_revenue"]
    assert ask(metrics, ["month", "currency"]) == expected
    refunds = ask(["refund_rate"], ["year"])
    for year, rate in refunds.items():
        months = [row for (month, _), row in expected.items() if month.year == year.year]
        refunded, collected = sum(row[3] for row in months), sum(row[2] for row in months)
        assert rate == pytest.approx(float(refunded / collected), rel=SAME)


def test_sign_ups_that_paid_within_60_days(ask: Any, books: Any) -> None:
    expected = books(
        "with accounts as (select account_id, min(valid_from)::timestamptz::date as signed_up_on "
        "from '{books}/accounts_history.parquet' group by 1), "
        "paid as (select account_id, movement_on from '{books}/mrr_movements_daily.parquet' "
        "where kind = 'new') "
        "select date_trunc('month', signed_up_on)::date, "
        "count(*) filter (where movement_on between signed_up_on and signed_up_on + 60) / count(*) "
        "from accounts left join paid using (account_id) group by 1"
    )
    found = ask(["signup_to_paid_rate"], ["month"])
    assert {month: found.get(month, 0) for month in expected} == pytest.approx(expected, rel=SAME)
