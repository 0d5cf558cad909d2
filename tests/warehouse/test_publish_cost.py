"""A publish writes what changed: the rest of a snapshot is the previous one, byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from warehouse import platform_log, snapshots, workshop
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings
from warehouse.snapshots import PublicColumn, Snapshot

EVENTS = PublicTable("events", "marts.events", True, partition_by="day_on", build="run-1")
TOTALS = PublicTable("totals", "marts.totals", True, build="run-1")


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", as_of="2026-04-01T00:00:00+00:00")


@pytest.fixture
def shop(here: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A table of a hundred days, of which builds rewrite the touched ones, and a small one."""
    connection = workshop.connect(here)
    connection.execute(
        """
        create schema marts; create schema platform;
        create table platform.touches (model varchar, build_id bigint, partition_on date);
        create table marts.events as select i as event_id, 'first' as said,
            date '2026-01-01' + (i // 1000)::int as day_on from range(100_000) r(i);
        insert into platform.touches select distinct 'events', 1, day_on from marts.events;
        create table marts.totals as select i as position from range(50_000) r(i);
        """
    )
    yield connection
    connection.close()


def touch(shop: duckdb.DuckDBPyConnection, build: int, *days: str, said: str = "again") -> None:
    """As the materialization does it: the days' rows anew, and the book that says which days."""
    for day in days:
        shop.execute("delete from marts.events where day_on = ?", [day])
        shop.execute(
            "insert into marts.events select i, ?, ?::date from range(1000) r(i)", [said, day]
        )
        shop.execute("delete from platform.touches where partition_on = ?", [day])
        shop.execute("insert into platform.touches values ('events', ?, ?)", [build, day])


def rows(settings: Settings, sql: str) -> list[tuple[object, ...]]:
    connection = snapshots.open_published(settings)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def blocks(snapshot: Snapshot, table: str) -> set[tuple[object, ...]]:
    """Where in the file each column of a table lies."""
    with duckdb.connect(str(snapshot.path), read_only=True) as connection:
        return set(
            connection.execute(
                "select row_group_id, column_name, segment_type, block_id, block_offset"
                f" from pragma_storage_info('published.{table}') where block_id >= 0"
            ).fetchall()
        )


def written(settings: Settings) -> dict[str, str]:
    event = next(iter(platform_log.read_newest_first(settings, snapshots.KIND)))
    return {each["name"]: each["written"] for each in event["tables"]}


def same_as_workshop(settings: Settings, shop: duckdb.DuckDBPyConnection) -> bool:
    sql = "select * from {} order by all"
    return (
        rows(settings, sql.format("events")) == shop.execute(sql.format("marts.events")).fetchall()
    )


def test_a_table_that_was_not_rebuilt_lies_where_it_lay(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    first = publish(here, [EVENTS, TOTALS], "run-1")
    shop.execute("create or replace table marts.totals as select 7 as position")
    second = publish(here, [EVENTS, replace(TOTALS, build="run-2")], "run-2")
    assert written(here) == {"events": "kept", "totals": "whole"}
    assert blocks(second, "events") == blocks(first, "events") != set()
    assert rows(here, "select position from totals") == [(7,)]
    assert [each.state for each in second.tables] == ["fresh", "fresh"]
    assert {each.shows_snapshot for each in second.tables} == {second.snapshot_id}
    origins = dict(rows(here, "select table_name, written_in from _versions"))
    assert origins == {"events": first.snapshot_id, "totals": second.snapshot_id}


def test_a_table_rebuilt_with_the_same_rows_is_kept_whatever_their_order(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    publish(here, [TOTALS], "run-1")
    shop.execute(
        "create or replace table marts.totals as select * from marts.totals order by position desc"
    )
    publish(here, [replace(TOTALS, build="run-2")], "run-2")
    assert written(here) == {"totals": "kept"}
    # One row other, or the same rows under another type: another table.
    shop.execute("update marts.totals set position = -1 where position = 3")
    publish(here, [replace(TOTALS, build="run-3")], "run-3")
    assert written(here) == {"totals": "whole"}
    shop.execute("alter table marts.totals alter position type integer")
    publish(here, [replace(TOTALS, build="run-4")], "run-4")
    assert written(here) == {"totals": "whole"}


def test_without_a_word_on_the_build_the_rows_are_compared(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    unknown = replace(TOTALS, build="")
    publish(here, [unknown], "run-1")
    shop.execute("update marts.totals set position = 99 where position = 0")
    publish(here, [unknown], "run-2")
    assert written(here) == {"totals": "whole"}
    assert rows(here, "select count(*) from totals where position = 99") == [(2,)]


def test_of_a_table_with_touched_days_only_these_are_replaced(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    publish(here, [EVENTS], "run-1")
    touch(shop, 2, "2026-01-03", "2026-04-10")
    touch(shop, 3, "2026-04-11")
    shop.execute("delete from marts.events where day_on = date '2026-02-02'")
    shop.execute("update platform.touches set build_id = 3 where partition_on = date '2026-02-02'")
    publish(here, [replace(EVENTS, build="run-2")], "run-2")
    assert written(here) == {"events": "days"}
    assert same_as_workshop(here, shop)
    assert (date(2026, 2, 2),) not in rows(here, "select distinct day_on from events")


def test_a_day_that_no_book_names_is_found_out_by_the_count(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    publish(here, [EVENTS], "run-1")
    touch(shop, 2, "2026-01-03")
    shop.execute("delete from marts.events where event_id = 77000")
    publish(here, [replace(EVENTS, build="run-2")], "run-2")
    assert same_as_workshop(here, shop)


def test_a_workshop_from_a_backup_is_not_believed_about_its_days(here: Settings) -> None:
    """Its builds are numbered as those that it has forgotten."""

    def built(build: int, day: str, said: str) -> None:
        connection = workshop.connect(here)
        touch(connection, build, day, said=said)
        connection.close()

    connection = workshop.connect(here)
    connection.execute(
        """
        create schema marts; create schema platform;
        create table platform.touches (model varchar, build_id bigint, partition_on date);
        create table marts.events as select i as event_id, 'first' as said,
            date '2026-01-01' + (i // 1000)::int as day_on from range(20_000) r(i);
        insert into platform.touches select distinct 'events', 1, day_on from marts.events;
        """
    )
    connection.close()
    publish(here, [EVENTS], "run-1")
    backup = here.workshop_path.with_suffix(".backup")
    shutil.copy(here.workshop_path, backup)
    built(2, "2026-01-05", "lost")
    publish(here, [replace(EVENTS, build="run-2")], "run-2")
    shutil.copy(backup, here.workshop_path)
    built(2, "2026-01-06", "after the backup")
    built(3, "2026-01-07", "after the backup")
    publish(here, [replace(EVENTS, build="run-3")], "run-3")
    assert rows(here, "select distinct said from events order by 1") == [
        ("after the backup",),
        ("first",),
    ]


def test_a_new_description_is_told_without_writing_the_table(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    first = publish(here, [TOTALS], "run-1")
    described = replace(
        TOTALS, description="All of it.", columns=(PublicColumn("position", "Where."),)
    )
    second = publish(here, [described], "run-2")
    assert blocks(second, "totals") == blocks(first, "totals")
    assert rows(here, "select comment from duckdb_tables() where table_name = 'totals'") == [
        ("All of it.",)
    ]
    assert rows(here, "select comment from duckdb_columns() where table_name = 'totals'") == [
        ("Where.",)
    ]


def test_what_is_not_public_any_more_is_not_in_the_next_snapshot(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    publish(here, [EVENTS, TOTALS], "run-1")
    snapshot = publish(here, [TOTALS], "run-2")
    assert [each.name for each in snapshot.tables] == ["totals"]
    with pytest.raises(duckdb.CatalogException):
        rows(here, "select * from events")
    publish(here, [EVENTS, TOTALS], "run-3")
    assert same_as_workshop(here, shop)


def test_fifty_publishes_do_not_swell_the_file(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    first = publish(here, [EVENTS, TOTALS], "run-1").size_bytes
    sizes = []
    for number in range(2, 52):
        touch(shop, number, "2026-04-09", "2026-04-10", said=f"run {number}")
        shop.execute("update marts.totals set position = position + 1 where position < 9000")
        build = f"run-{number}"
        snapshot = publish(
            here, [replace(EVENTS, build=build), replace(TOTALS, build=build)], build
        )
        sizes.append(snapshot.size_bytes)
    assert written(here) == {"events": "days", "totals": "whole"}
    assert same_as_workshop(here, shop)
    assert max(sizes) < 2.5 * first, (first, sizes)
    assert max(sizes[-20:]) <= max(sizes[:20]) * 1.1, sizes


def test_a_file_that_is_mostly_free_is_written_anew(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    shop.execute(
        "create table marts.wide as select i, md5(i::varchar) as noise from range(400_000) r(i)"
    )
    wide = PublicTable("wide", "marts.wide", True, build="run-1")
    first = publish(here, [wide, TOTALS], "run-1")
    shop.execute("delete from marts.wide where i > 10")
    second = publish(here, [replace(wide, build="run-2"), TOTALS], "run-2")
    third = publish(here, [replace(wide, build="run-2"), TOTALS], "run-3")
    assert third.size_bytes < first.size_bytes / 2, (first, second, third)
    assert rows(here, "select count(*) from wide") == [(11,)]
    assert rows(here, "select count(*), max(position) from totals") == [(50_000, 49_999)]
    assert written(here) == {"wide": "kept", "totals": "kept"}


def test_a_snapshot_of_an_earlier_sluice_is_taken_up(
    here: Settings, shop: duckdb.DuckDBPyConnection
) -> None:
    first = publish(here, [EVENTS, TOTALS], "run-1")
    with duckdb.connect(str(first.path)) as connection:
        connection.execute("drop table published._versions")
    withheld = replace(TOTALS, fresh=False, reason="gate raw.shop is closed")
    second = publish(here, [EVENTS, withheld], "run-2")
    assert same_as_workshop(here, shop)
    totals = second.table("totals")
    assert totals is not None
    assert (totals.state, totals.shows_snapshot) == ("stale", first.snapshot_id)
    assert rows(here, "select count(*) from totals") == [(50_000,)]
