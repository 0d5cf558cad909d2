"""The books, recomputed by plain SQL from the landed files alone, must agree to the cent."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from ingestion.simulator import simulate
from warehouse.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from tests.ingestion.simulator.conftest import Played

HERE = Path(__file__).parent
BOOKS = dict(
    re.findall(r"-- name: (\w+)\n(.*?)(?=\n-- name:|\Z)", (HERE / "books.sql").read_text(), re.S)
)


def cleaned(played: Played) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set TimeZone = 'UTC'")
    places = {"landing": played.landing, "seeds": PROJECT_ROOT / "seeds"}
    connection.execute((HERE / "cleaned.sql").read_text().format(**places))
    return connection


def differences(
    connection: duckdb.DuckDBPyConnection, played: Played, book: str, last_day: object
) -> list[tuple[object, ...]]:
    derived = BOOKS[book].format(
        seeds=PROJECT_ROOT / "seeds", books=played.books, last_day=last_day
    )
    connection.execute(f"create or replace temp table derived as {derived}")
    kept = f"select * from read_parquet('{played.books}/{book}.parquet')"
    return connection.execute(
        f"""
        (select 'derived only' as where_from, * from (from derived except all ({kept})))
        union all
        (select 'in the book only', * from (({kept}) except all from derived))
        limit 10
        """
    ).fetchall()


@pytest.fixture(scope="module")
def landed(history: Played) -> duckdb.DuckDBPyConnection:
    return cleaned(history)


@pytest.mark.parametrize("book", BOOKS)
def test_a_book_says_what_the_landed_files_say(
    landed: duckdb.DuckDBPyConnection, history: Played, book: str
) -> None:
    rows = landed.execute(f"select count(*) from '{history.books}/{book}.parquet'").fetchone()
    assert rows is not None and rows[0] > 0
    assert differences(landed, history, book, history.summary.last_day) == []


def test_every_book_is_rederived_here(history: Played) -> None:
    written = {path.stem for path in history.books.glob("*.parquet")}
    assert written == {*BOOKS, "defects"}


def test_invoices_add_up_to_the_cent(landed: duckdb.DuckDBPyConnection) -> None:
    wrong = landed.execute(
        """
        select invoice_id from (
            select
                invoice_id, net_amount, tax_amount, total_amount,
                unnest(from_json(lines, '[{"kind": "varchar", "amount": "decimal(18,2)"}]')) as line
            from invoices
        )
        group by invoice_id, net_amount, tax_amount, total_amount
        having sum(line.amount) <> total_amount or net_amount + tax_amount <> total_amount
            or coalesce(sum(line.amount) filter (where line.kind = 'tax'), 0) <> tax_amount
        """
    ).fetchall()
    assert wrong == []


def test_no_session_reaches_a_day(landed: duckdb.DuckDBPyConnection) -> None:
    longest = landed.execute(
        """
        with marked as (
            select user_id, true_at, true_at - lag(true_at) over (
                partition by user_id order by true_at, event_id
            ) > interval 30 minute as starts
            from activity
        ),
        numbered as (
            select user_id, true_at, count(*) filter (where starts) over (
                partition by user_id order by true_at
            ) as number
            from marked
        )
        select max(length) < interval 24 hour
        from (select max(true_at) - min(true_at) as length from numbered group by user_id, number)
        """
    ).fetchone()
    assert longest == (True,)


def test_an_account_has_at_most_one_subscription_that_is_not_canceled(
    landed: duckdb.DuckDBPyConnection,
) -> None:
    overlaps = landed.execute(
        """
        with spans as (
            select
                c.account_id, s.subscription_id, min(s.changed_at) as began,
                coalesce(
                    min(s.changed_at) filter (where s.status = 'canceled'), timestamp '2999-01-01'
                ) as ended
            from subscription_changes as s inner join customers as c using (customer_id)
            group by all
        )
        select account_id from spans
        qualify lead(began) over (partition by account_id order by began) < ended
        """
    ).fetchall()
    assert overlaps == []


def test_books_follow_every_single_day(tmp_path: Path, history: Played) -> None:
    """Late and broken records enter the books on the day of their first good delivery."""
    shutil.copytree(history.settings.data_dir, tmp_path / "data")
    settings = Settings(data_dir=tmp_path / "data", landing="")
    for _ in range(2):
        played = replace(history, settings=settings, summary=simulate.next_day(settings))
        connection = cleaned(played)
        for book in BOOKS:
            assert differences(connection, played, book, played.summary.last_day) == []
