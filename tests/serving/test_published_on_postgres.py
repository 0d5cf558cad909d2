"""Reading what is published on PostgreSQL: queries, metrics and key figures, as on DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest
from platform_under_test import Demo
from postgres_company import copy_tables, settings_on, take_over
from postgres_fixtures import new_database
from postgres_server import PostgresServer

from catalog.catalog import load_catalog
from quality.downstream import publish_plan
from serving.metrics import key_figures, list_metrics, parse_filter, query
from serving.published import QueryError, open_published, published_tables, run_sql
from tests.conftest import BooksWorkshop
from warehouse import snapshots, workshop
from warehouse.publish import publish
from warehouse.settings import Settings


@dataclass(frozen=True)
class Both:
    """The demo's published tables, on either target."""

    duckdb: Settings
    postgres: Settings


@pytest.fixture(scope="module")
def both(
    demo: Demo,
    books_workshop: BooksWorkshop,
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("on_postgres")
    here = settings_on(new_database(postgres), folder)
    take_over(demo.sluice.settings, here)
    plan = [
        replace(each, fresh=True, reason="", since=None)
        for each in publish_plan(load_catalog(here), {}, {})
    ]
    copy_tables(books_workshop.connection, here, plan, folder)
    publish(here, plan, "run")
    yield Both(demo.sluice.settings, here)


def test_the_key_figures_are_the_same(both: Both) -> None:
    assert key_figures(both.postgres) == key_figures(both.duckdb)


def test_metrics_of_every_kind_have_the_same_values_and_kinds_of_values(both: Both) -> None:
    """One of each kind and unit, by its grain and by a dimension; whole numbers stay whole."""
    asked = {(each.type, each.unit): each for each in list_metrics(both.duckdb)}
    asked |= {each.name: each for each in list_metrics(both.duckdb) if "growth" in each.name}
    for metric in asked.values():
        by = [metric.grains[-1], *(metric.requires or metric.dimensions[:1])]
        here, there = (query(each, [metric.name], by) for each in (both.postgres, both.duckdb))
        assert here.columns == there.columns and here.rows == there.rows, metric.name
        for mine, theirs in zip(here.rows, there.rows, strict=True):
            assert [type(each) for each in mine] == [type(each) for each in theirs], metric.name


def test_filters_orders_and_limits_are_understood(both: Both) -> None:
    answers = [
        query(
            each,
            ["paying_accounts"],
            ["month", "plan"],
            where=[parse_filter("plan in team,business")],
            start="2025-06-01",
            order=["-paying_accounts", "month"],
            limit=5,
        )
        for each in (both.postgres, both.duckdb)
    ]
    assert answers[0].rows == answers[1].rows and len(answers[0].rows) == 5


def test_a_query_is_answered_as_on_duckdb(both: Both) -> None:
    sql = (
        "select month_on, sum(collected_usd_amount) as collected from finance_revenue_monthly"
        " group by month_on order by month_on desc"
    )
    here, there = (run_sql(each, sql, limit=3) for each in (both.postgres, both.duckdb))
    assert (here.columns, here.rows, here.is_cut) == (there.columns, there.rows, True)
    assert [type(each) for each in here.rows[0]] == [date, Decimal]
    shown = run_sql(both.postgres, "show tables")
    assert shown.columns == ("name",) and ("dim_accounts",) in shown.rows
    described = run_sql(both.postgres, "describe finance_mrr_daily;")
    assert ("day_on", "date") in described.rows
    plan = run_sql(both.postgres, "explain select * from dim_accounts where account_id = 'a'")
    assert any("dim_accounts" in line for (line,) in plan.rows)
    assert run_sql(both.postgres, "select count(*) from _snapshot;").types == ("bigint",)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("create table t as select 1", "only read"),
        ("insert into dim_accounts values (2)", "only read"),
        ("set transaction read write", "only read"),
        ("copy dim_accounts to '/tmp/out.csv'", "only read"),
        ("do $$ begin perform 1; end $$", "only read"),
        (
            "with gone as (delete from dim_accounts returning 1) select 1 from gone",
            "data-modifying",
        ),
        ("explain analyze delete from dim_accounts", "only read"),
        ("select nextval('no_such')", "no published table no_such"),
        ("select 1; commit", "one is answered at a time"),
        ("  -- nothing", "empty"),
        ("select * from marts.finance_mrr_daily", "marts is not"),
        ("select * from snapshots._current", "snapshots is not"),
        ("selct 1", "only read"),
        ("select from from x", 'syntax error at or near "from"'),
        ("select * from finance_mrr_dayly", "Did you mean finance_mrr_daily"),
        ("select * from published.accounts", "Did you mean"),
        ("select mrr_usd_amoun from finance_mrr_daily", "Did you mean"),
        ("describe nothing", "no published table nothing"),
        ("select 'a'::int", "invalid input syntax"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_plain_words(both: Both, sql: str, says: str) -> None:
    with pytest.raises(QueryError) as refused:
        run_sql(both.postgres, sql)
    assert says in str(refused.value) and refused.value.remedy


def test_a_query_that_takes_too_long_is_ended(both: Both) -> None:
    impatient = both.postgres.model_copy(update={"query_seconds": 0.05})
    with pytest.raises(QueryError, match=r"took too long.*\n.*SLUICE_QUERY_SECONDS"):
        run_sql(impatient, "select count(*) from generate_series(1, 100000000)")


def test_a_session_outlives_a_mistake_and_cannot_write(both: Both) -> None:
    with closing(open_published(both.postgres)) as session:
        for statement in ("select nothing", "delete from dim_accounts", "commit; select 1"):
            with pytest.raises(Exception, match=r"nothing|read-only|multiple commands"):
                session.execute(statement)
        assert "dim_accounts" in published_tables(session)


def test_the_past_is_asked_like_the_present(both: Both) -> None:
    here = both.postgres
    first = snapshots.current_id(here)
    before = query(here, ["mrr"], ["month"]).rows
    with closing(workshop.connect(here)) as connection:
        connection.execute("delete from marts.finance_mrr_daily")
    plan = [
        replace(each, fresh=each.name == "finance_mrr_daily")
        for each in publish_plan(load_catalog(here), {}, {})
    ]
    publish(here, plan, "run-2")
    assert query(here, ["mrr"], ["month"]).rows != before
    assert query(here, ["mrr"], ["month"], snapshot_id=first).rows == before
    count = "select count(*) from published.finance_mrr_daily"
    assert run_sql(here, count).rows == ((0,),)
    assert run_sql(here, count, snapshot_id=first).rows[0][0] > 0
    assert run_sql(here, "show tables", snapshot_id=first) == run_sql(here, "show tables")
