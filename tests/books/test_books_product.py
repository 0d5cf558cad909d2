"""The product's marts say what the simulated company's own books say, to the unit."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import duckdb


class BooksWorkshop(Protocol):
    connection: duckdb.DuckDBPyConnection
    books: Path


def _differences(workshop: BooksWorkshop, book: str, mart: str) -> list[tuple[object, ...]]:
    """Rows that only the book or only the mart has, the same row twice counting twice."""
    path = workshop.books / f"{book}.parquet"
    columns = ", ".join(
        name for name, *_ in workshop.connection.execute(f"describe from '{path}'").fetchall()
    )
    expected, actual = f"select {columns} from '{path}'", f"select {columns} from ({mart})"
    assert workshop.connection.execute(f"select count(*) from ({expected})").fetchall() != [(0,)]
    return workshop.connection.execute(
        f"select 'book', * from ({expected} except all {actual}) "
        f"union all select 'mart', * from ({actual} except all {expected}) order by all limit 20"
    ).fetchall()


def test_active_users_of_every_day_equal_the_books(books_workshop: BooksWorkshop) -> None:
    mart = """
        select
            day_on,
            daily_user_count as daily_count,
            weekly_user_count as weekly_count,
            monthly_user_count as monthly_count
        from published.product_active_users_daily
    """
    assert _differences(books_workshop, "active_users_daily", mart) == []


def test_sessions_of_every_day_equal_the_books(books_workshop: BooksWorkshop) -> None:
    mart = "select day_on, session_count, event_count from published.product_sessions_daily"
    assert _differences(books_workshop, "sessions_daily", mart) == []


def test_the_funnel_of_every_sign_up_week_equals_the_books(books_workshop: BooksWorkshop) -> None:
    mart = "select week_on, step, account_count from published.product_funnel_weekly"
    assert _differences(books_workshop, "funnel_weekly", mart) == []


def test_activation_of_every_sign_up_week_equals_the_books(books_workshop: BooksWorkshop) -> None:
    mart = "select * from published.product_activation_weekly"
    assert _differences(books_workshop, "activation_weekly", mart) == []


def test_retention_of_every_cohort_equals_the_books(books_workshop: BooksWorkshop) -> None:
    mart = "select cohort_week_on, week_number, user_count from published.product_retention_weekly"
    assert _differences(books_workshop, "retention_weekly", mart) == []


def test_feature_adoption_of_every_month_equals_the_books(books_workshop: BooksWorkshop) -> None:
    mart = "select * from published.product_feature_adoption_monthly"
    assert _differences(books_workshop, "feature_adoption_monthly", mart) == []
