"""Accounts, MRR, revenue and growth say what the company's own books say, to the cent."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import duckdb
import pytest


class BooksWorkshop(Protocol):
    @property
    def connection(self) -> duckdb.DuckDBPyConnection: ...
    @property
    def books(self) -> Path: ...


MRR_COLUMNS = ("opening", "new", "expansion", "contraction", "churn", "reactivation", "closing")
REVENUE_COLUMNS = ("invoiced", "tax", "collected", "refunded")


def _cents(column: str, name: str) -> str:
    return f"cast({column} * 100 as bigint) as {name}"


PUBLISHED = {
    "mrr_movements_daily": f"""
        select account_id, movement_on, kind, {_cents("change_mrr_usd_amount", "amount_cents")}
        from published.fct_subscription_movements
    """,
    "mrr_monthly": f"""
        select month_on, account_id,
            {", ".join(_cents(f"{name}_mrr_usd_amount", f"{name}_cents") for name in MRR_COLUMNS)}
        from published.finance_mrr_movements_monthly
    """,
    "revenue_monthly": f"""
        select month_on, currency,
            {", ".join(_cents(f"{name}_usd_amount", f"{name}_cents") for name in REVENUE_COLUMNS)}
        from published.finance_revenue_monthly
    """,
    "growth_monthly": f"""
        select month_on, channel, lead_count, qualified_count, converted_count, trial_count,
            paid_count, {_cents("spend_usd_amount", "spend_cents")}
        from published.growth_funnel_monthly
    """,
    "trials_monthly": """
        select month_on, trial_count, converted_count
        from published.growth_trial_conversion_monthly
    """,
    "accounts_history": """
        select account_id, valid_from, valid_to, account_name as name, industry, country,
            employee_count, is_deleted
        from published.dim_accounts_history
    """,
}


def _rows(workshop: BooksWorkshop, query: str) -> list[tuple[object, ...]]:
    return workshop.connection.execute(query).fetchall()


@pytest.mark.parametrize("book", PUBLISHED)
def test_what_is_published_equals_the_book(books_workshop: BooksWorkshop, book: str) -> None:
    path = books_workshop.books / f"{book}.parquet"
    described = _rows(books_workshop, f"describe from '{path}'")
    columns = ", ".join(str(column[0]) for column in described)
    expected = f"select {columns} from '{path}'"
    actual = f"select {columns} from ({PUBLISHED[book]}) as published_rows"
    assert _rows(books_workshop, f"select count(*) from ({expected}) as book") != [(0,)]
    assert not _rows(
        books_workshop,
        f"select 'book', * from ({expected} except all {actual}) as only_in_the_book "
        f"union all select 'published', * from ({actual} except all {expected}) as only_published "
        "order by all limit 20",
    )


def test_mrr_of_every_day_equals_the_movements_in_the_book(books_workshop: BooksWorkshop) -> None:
    book = books_workshop.books / "mrr_movements_daily.parquet"
    assert _rows(books_workshop, "select count(*) from published.finance_mrr_daily") != [(0,)]
    assert not _rows(
        books_workshop,
        f"""
        with days as (
            select day_on, cast(sum(mrr_usd_amount) * 100 as bigint) as cents,
                sum(paying_account_count) as accounts
            from published.finance_mrr_daily group by day_on
        )
        select days.day_on, cents, accounts, sum(moves.amount_cents)
        from days inner join '{book}' as moves on moves.movement_on <= days.day_on
        group by all
        having cents <> sum(moves.amount_cents)
            or accounts <> sum(case kind
                when 'new' then 1 when 'reactivation' then 1 when 'churn' then -1 else 0 end)
        """,
    )


def test_retention_and_churn_equal_what_the_book_says(books_workshop: BooksWorkshop) -> None:
    book = books_workshop.books / "mrr_monthly.parquet"
    expected = _rows(
        books_workshop,
        f"""
        select month_on, sum(closing_cents) / sum(opening_cents),
            sum(least(opening_cents, closing_cents)) / sum(opening_cents),
            count(*) filter (where closing_cents = 0) / count(*)
        from '{book}' where opening_cents > 0 group by month_on order by month_on
        """,
    )
    actual = _rows(
        books_workshop,
        """
        select month_on, net_revenue_retention, gross_revenue_retention, logo_churn_rate,
            revenue_churn_rate
        from published.finance_mrr_retention_monthly
        where opening_account_count > 0 order by month_on
        """,
    )
    assert [month for month, *_ in actual] == [month for month, *_ in expected]
    for (_, *rates), (month, *book_rates) in zip(actual, expected, strict=True):
        net, gross, logo_churn = (pytest.approx(rate, abs=5e-7) for rate in book_rates)
        assert [float(str(rate)) for rate in rates[:3]] == [net, gross, logo_churn], month
        assert float(str(rates[3])) == pytest.approx(1 - float(str(rates[1])), abs=1e-6), month


def test_acquisition_figures_equal_what_the_books_say(books_workshop: BooksWorkshop) -> None:
    books = books_workshop.books
    assert not _rows(
        books_workshop,
        f"""
        with spend as (
            select month_on, sum(spend_cents) as cents from '{books / "growth_monthly.parquet"}'
            group by month_on
        ),
        months as (
            select month_on, count(*) filter (where new_cents > 0) as new_accounts,
                count(*) filter (where closing_cents > 0) as paying,
                sum(closing_cents) as mrr_cents,
                count(*) filter (where opening_cents > 0) as opening,
                count(*) filter (where opening_cents > 0 and closing_cents = 0) as churned
            from '{books / "mrr_monthly.parquet"}' group by month_on
        ),
        book as (
            select month_on, cents / 100 / nullif(new_accounts, 0) as cac,
                mrr_cents / 100 / nullif(paying, 0) as arpa,
                arpa * 0.80 / nullif(churned / nullif(opening, 0), 0) as ltv,
                cac / (arpa * 0.80) as payback
            from months inner join spend using (month_on)
        )
        select * from book full join published.growth_acquisition_monthly as mart using (month_on)
        where coalesce(abs(cac - acquisition_cost_usd_amount), 0) > 0.00501
            or coalesce(abs(arpa - revenue_per_account_usd_amount), 0) > 0.00501
            or coalesce(abs(ltv - lifetime_value_usd_amount), 0) > 0.00501
            or coalesce(abs(payback - payback_month_count), 0) > 0.00501
            or (cac is null) <> (acquisition_cost_usd_amount is null)
            or (ltv is null) <> (lifetime_value_usd_amount is null)
        """,
    )
