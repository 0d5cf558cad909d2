"""Which days of a large model are not as they were built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import duckdb
import pytest
from gated_company import dataset

from catalog.catalog import Catalog
from quality.holes import ask_for_holes, find_holes, log_filled
from warehouse import workshop
from warehouse.platform_log import read_newest_first
from warehouse.settings import Settings

CLICKS = "staging.stg_clicks"
SMALL = "staging.stg_teams"


@pytest.fixture
def catalog() -> Catalog:
    clicks = dataset(CLICKS, {"click_id": "bigint", "clicked_on": "date"})
    clicks = replace(clicks, materialized="touched_partitions")
    node = {"config": {"partition_by": "clicked_on"}}
    datasets = {CLICKS: clicks, SMALL: dataset(SMALL, {"team": "varchar"})}
    return Catalog(datasets, {}, {"nodes": {clicks.unique_id: node}})


@pytest.fixture
def here(settings_here: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Three days of ten clicks each, and a fourth that is rightly empty: as the books say."""
    connection = workshop.connect(settings_here)
    connection.execute(
        """
        create schema platform; create schema staging;
        create table platform.progress (model varchar, input varchar, position bigint);
        create table platform.batch_partitions
            (model varchar, input varchar, batch_id bigint, partition_on date);
        create table platform.row_counts (model varchar, partition_on date, row_count bigint);
        create table platform.backfills (model varchar, partition_on date);
        create table staging.stg_clicks as
            select i as click_id, date '2025-01-01' + (i // 10)::integer as clicked_on
            from range(30) r(i);
        insert into platform.row_counts
            select 'stg_clicks', clicked_on, count(*) from staging.stg_clicks group by all;
        insert into platform.row_counts values ('stg_clicks', '2025-01-04', 0);
        insert into platform.progress values ('stg_clicks', 'clicks.clicks', 4);
        insert into platform.batch_partitions
            select 'stg_clicks', 'clicks.clicks', i + 1, date '2025-01-01' + i::integer
            from range(5) r(i);
        """
    )
    yield connection
    connection.close()


@pytest.fixture
def settings_here(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"))


def test_days_that_are_as_they_were_built_are_no_holes(
    catalog: Catalog, here: duckdb.DuckDBPyConnection
) -> None:
    """Neither a day that is rightly empty, nor one of a batch that is still to be read."""
    assert find_holes(catalog, here, [CLICKS, SMALL]) == ()


HOLES = {
    "delete from staging.stg_clicks where clicked_on = '2025-01-02'":
        "2025-01-02 held 0 rows where 10 were built",
    "delete from staging.stg_clicks where click_id in (3, 25)":
        "2 days (2025-01-01 to 2025-01-03) held 18 rows where 20 were built",
    "insert into staging.stg_clicks values (99, '2025-01-04'), (99, '2025-01-04')":
        "2025-01-04 held 2 rows where 0 were built",
    "insert into staging.stg_clicks values (99, '2019-12-31')":
        "2019-12-31 held 1 row where 0 were built",
    "update platform.progress set position = 5": "2025-01-05 had been read and never built",
}  # fmt: skip


@pytest.mark.parametrize("accident", HOLES)
def test_a_day_that_lost_won_or_never_got_its_rows_is_a_hole(
    catalog: Catalog, here: duckdb.DuckDBPyConnection, accident: str
) -> None:
    here.execute(accident)
    assert [str(hole) for hole in find_holes(catalog, here, [CLICKS])] == [HOLES[accident]]


def test_holes_are_asked_for_once_and_noted_when_they_are_filled(
    catalog: Catalog, here: duckdb.DuckDBPyConnection, settings_here: Settings
) -> None:
    here.execute("delete from staging.stg_clicks where clicked_on >= '2025-01-02'")
    for _ in range(2):
        asked = ask_for_holes(catalog, here, [CLICKS])
    days = here.execute("select partition_on from platform.backfills order by 1").fetchall()
    assert days == [(date(2025, 1, 2),), (date(2025, 1, 3),)]
    # A build that failed has filled nothing.
    assert log_filled(settings_here, catalog, here, asked) == ()
    here.execute(
        "insert into staging.stg_clicks"
        " select i, date '2025-01-01' + (i // 10)::integer from range(10, 30) r(i)"
    )
    assert log_filled(settings_here, catalog, here, asked) == asked
    [event] = read_newest_first(settings_here, "heals")
    assert (event["what"], event["dataset"], event["row_count"]) == ("backfilled", CLICKS, 20)
    assert ask_for_holes(catalog, here, [CLICKS]) == ()


def test_a_workshop_whose_books_do_not_count_rows_yet_has_no_known_hole(
    catalog: Catalog, here: duckdb.DuckDBPyConnection
) -> None:
    here.execute("delete from staging.stg_clicks")
    here.execute("delete from platform.row_counts")
    assert find_holes(catalog, here, [CLICKS]) == ()
    here.execute("drop table platform.row_counts")
    assert find_holes(catalog, here, [CLICKS]) == ()


def test_a_model_that_is_not_built_yet_has_no_hole(
    catalog: Catalog, here: duckdb.DuckDBPyConnection
) -> None:
    here.execute("drop table staging.stg_clicks")
    assert find_holes(catalog, here, [CLICKS]) == ()
