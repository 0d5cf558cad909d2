"""A publish on PostgreSQL is one transaction: readers see one snapshot, and nobody waits."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres_fixtures import new_database
from postgres_server import PostgresServer
from warehouse_shop import NAMES, build, markers, plan

from warehouse import platform_log, snapshots, workshop
from warehouse.crash_points import CRASH_AT
from warehouse.differences import differences
from warehouse.errors import LockedError, PublishError
from warehouse.publish import PublicTable, publish
from warehouse.settings import Settings
from warehouse.snapshot_rows import books, reading
from warehouse.switching import roll_back

ROWS = 60


@pytest.fixture
def server(postgres: PostgresServer) -> PostgresServer:
    return new_database(postgres)


@pytest.fixture
def here(server: PostgresServer, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        target="postgres",
        postgres=server.dsn,
        keep_snapshots=3,
        keep_days=0,
    )


@contextmanager
def reader(here: Settings, **how: Any) -> Iterator[psycopg.Connection[Any]]:
    """A consumer's own session, outside of anything that Sluice knows."""
    with psycopg.connect(here.postgres.get_secret_value(), **how) as connection:
        yield connection


def do(here: Settings, *statements: str) -> None:
    with closing(workshop.connect(here)) as connection:
        for statement in statements:
            connection.execute(statement)


ONE_STATEMENT = " union all ".join(
    f"select '{name}', min(marker), max(marker), count(*) from published.{name}" for name in NAMES
)


def whole(found: Sequence[tuple[Any, ...]]) -> int:
    """The one marker that every row of every table says; none that no gate has passed."""
    said = {marker for _, low, high, _ in found for marker in (low, high)}
    assert len(found) == len(NAMES) and len(said) == 1, found
    assert {count for _, _, _, count in found} == {ROWS}, found
    [marker] = said
    assert marker >= 0, "a row that no gate let through"
    return int(marker)


def statement_by_statement(connection: psycopg.Connection[Any]) -> int:
    return whole(connection.execute(ONE_STATEMENT.encode()).fetchall())


def in_one_transaction(connection: psycopg.Connection[Any]) -> int:
    """Table after table, and the state of the snapshot at last: all of one moment."""
    found = []
    with connection.transaction():
        for part in ONE_STATEMENT.split(" union all "):
            found += connection.execute(part.encode()).fetchall()
        shown = connection.execute("select row_count from _snapshot").fetchall()
        assert shown == [(ROWS,)] * len(NAMES)
    return whole(found)


def test_readers_under_load_never_see_a_mix(here: Settings) -> None:
    """Publishes, roll backs and pruning; between them the workshop is full of ungated rows."""
    build(here, 0, ROWS)
    publish(here, plan(), "run")
    stop, seen, faults = threading.Event(), Counter[str](), list[BaseException]()

    def read(look: Callable[[psycopg.Connection[Any]], int], isolation: str) -> None:
        options = f"-c search_path=published -c default_transaction_isolation={isolation}"
        try:
            with reader(here, autocommit=True, options=options) as connection:
                while not stop.is_set():
                    seen[f"{look.__name__} {look(connection)}"] += 1
        except BaseException as error:
            faults.append(error)

    threads = [
        threading.Thread(target=read, args=(statement_by_statement, "read\\ committed")),
        threading.Thread(target=read, args=(in_one_transaction, "repeatable\\ read")),
    ]
    for thread in threads:
        thread.start()

    def is_enough() -> bool:
        looks = (statement_by_statement, in_one_transaction)
        return all(sum(each.startswith(look.__name__) for each in seen) >= 10 for look in looks)

    marker = 0
    try:
        # On a machine that is busy with other things readers come to it less often.
        while marker < 24 or (marker < 480 and not faults and not is_enough()):
            marker += 1
            do(here, *(f"update marts.{name} set marker = {marker}" for name in NAMES))
            made = publish(here, plan(), "run")
            do(here, *(f"update marts.{name} set marker = -{marker}" for name in NAMES))
            if marker % 8 == 0:
                roll_back(here, snapshots.ids(here)[-1])
                roll_back(here, made.snapshot_id)
                publish(here, plan(*NAMES), "run")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not faults, faults
    assert is_enough(), seen
    assert set(markers(here).values()) == {marker}


def test_a_long_reader_stops_no_publish_and_no_publish_changes_what_it_reads(
    here: Settings,
) -> None:
    build(here, 1, ROWS)
    first = publish(here, plan(), "run")
    with reader(here) as slow, snapshots.open_published(here).raw as session:
        cursor = slow.cursor(name="report")
        cursor.execute("select marker, position from published.orders order by position")
        assert cursor.fetchmany(2) == [(1, 0), (1, 1)]
        for marker in range(2, 7):
            build(here, marker, ROWS)
            assert not publish(here, plan(), "run").stale
        assert first.snapshot_id not in snapshots.ids(here)
        roll_back(here, snapshots.ids(here)[-1])
        assert cursor.fetchall() == [(1, position) for position in range(2, ROWS)]
        # A session of Sluice's own sees one snapshot to its end, though it is no longer kept.
        assert session.execute("select distinct marker from orders").fetchall() == [(1,)]
        # Statement by statement a transaction of the default kind goes with the times.
        cursor.close()
        assert slow.execute("select max(marker) from published.orders").fetchone() == (4,)


def test_a_reader_in_the_way_of_other_columns_keeps_that_table_as_it_was(here: Settings) -> None:
    build(here, 1, ROWS)
    first = publish(here, plan(), "run")
    with reader(here) as slow:
        slow.execute("select count(*) from published.orders")
        build(here, 2, ROWS)
        do(here, "alter table marts.orders drop column position, add column note text")
        second = publish(here, plan(), "run")
        [orders] = second.stale
        assert (orders.name, orders.shows_snapshot) == ("orders", first.snapshot_id)
        pid = slow.info.backend_pid
        assert f"changed, and a reader holds it: {slow.info.user}" in orders.reason
        assert f"(pid {pid}) since " in orders.reason
        assert markers(here) == {"orders": 1, "customers": 2, "totals": 2}
        assert slow.execute("select max(position) from published.orders").fetchone() == (ROWS - 1,)
        # To take the columns of that time back is all or nothing.
        slow.rollback()
        assert not publish(here, plan(), "run").stale
        slow.execute("select count(*) from published.orders")
        with pytest.raises(LockedError, match=r"Nothing was rolled back: of orders, .*pid"):
            roll_back(here, first.snapshot_id)
    assert markers(here) == {"orders": 2, "customers": 2, "totals": 2}
    roll_back(here, first.snapshot_id)
    assert markers(here) == {"orders": 1, "customers": 1, "totals": 1}
    with closing(snapshots.open_published(here)) as session:
        assert session.execute("select max(position) from orders").fetchone() == (ROWS - 1,)


def test_a_transaction_older_than_a_tables_columns_is_told_so(here: Settings) -> None:
    """Its rows of that time lie elsewhere: without the word it would find the table empty."""
    build(here, 1, ROWS)
    publish(here, plan(), "run")
    with reader(here) as slow:
        slow.execute("set transaction isolation level repeatable read")
        assert slow.execute("select max(marker) from published.totals").fetchone() == (1,)
        build(here, 2, ROWS)
        do(here, "alter table marts.orders drop column position")
        assert not publish(here, plan(), "run").stale
        with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="begin another one"):
            slow.execute("select count(*) from published.orders")
        slow.rollback()
        assert slow.execute("select count(*) from published.orders").fetchone() == (ROWS,)


def test_rights_words_and_others_views_outlive_other_columns(here: Settings) -> None:
    build(here, 1, ROWS)
    publish(here, plan(), "run")
    role = f"reader_{os.getpid()}_{random.randrange(1 << 30)}"
    do(
        here,
        f"create role {role}; grant {role} to current_user",
        f"grant usage on schema published to {role}",
        f"grant select on published.orders, published.totals to {role}",
        "create view public.own as select position from published.totals",
        "alter table marts.orders drop column position",
        "alter table marts.totals drop column position",
    )
    [totals] = publish(here, plan(), "run").stale
    assert totals.name == "totals" and "others build on its view" in totals.reason
    do(here, "drop view public.own", "alter table marts.totals add column seats int default 3")
    assert not publish(here, plan(), "run").stale
    with reader(here) as consumer:
        consumer.execute(f"set role {role}".encode())
        assert consumer.execute("select count(*) from published.orders").fetchone() == (ROWS,)
        assert consumer.execute("select max(seats) from published.totals").fetchone() == (3,)
        consumer.execute("reset role")
        said = "select obj_description('published.orders'::regclass, 'pg_class'),"
        said += " col_description('published.orders'::regclass, 1)"
        assert consumer.execute(said.encode()).fetchone() == (
            "The company's orders.",
            "Which build it was.",
        )
        consumer.execute(f"drop owned by {role}; drop role {role}".encode())


def test_what_is_not_public_any_more_goes_and_comes_back(here: Settings) -> None:
    build(here, 1, ROWS)
    first = publish(here, plan(), "run")
    with reader(here) as slow:
        slow.execute("select count(*) from published.totals")
        assert [each.name for each in publish(here, plan()[:2], "run").stale] == ["totals"]
    second = publish(here, plan()[:2], "run")
    assert set(markers(here)) == {"orders", "customers"} and len(second.tables) == 2
    assert set(markers(here, first.snapshot_id)) == set(NAMES)
    removed = {each.name: each for each in differences(here, first.snapshot_id, second.snapshot_id)}
    assert removed["totals"].rows_after is None and removed["orders"].same_content
    assert set(markers(here, publish(here, plan(), "run").snapshot_id)) == set(NAMES)


DAY = date(2026, 1, 1)
EVENTS = PublicTable("events", "marts.events", True, partition_by="day_on", build="run-1")


@pytest.fixture
def touched(here: Settings) -> Settings:
    do(
        here,
        """create schema marts; create schema platform;
           create table platform.touches (model varchar, build_id bigint, partition_on date);
           create table marts.events as select i as event_id, 'first' as said,
               date '2026-01-01' + i / 10 as day_on from generate_series(0, 999) i;
           insert into platform.touches select distinct 'events', 1, day_on from marts.events;""",
    )
    return here


def places(here: Settings) -> dict[int, str]:
    """Where each published event lies, and since which publish."""
    with closing(workshop.connect(here)) as connection:
        [[place]] = connection.execute(
            "select relname from pg_class where relname ~ '^events__[0-9]+$' order by oid desc"
        ).fetchall()
        found = connection.execute(
            f"select event_id, concat(ctid, xmin, _from) from snapshots.{place}"
        ).fetchall()
    return dict(found)


def test_rows_that_did_not_change_lie_where_they_lay(touched: Settings) -> None:
    here = touched
    publish(here, [EVENTS], "run-1")
    before = places(here)
    publish(here, [EVENTS], "run-1")
    assert places(here) == before
    do(
        here,
        "delete from marts.events where day_on = '2026-01-03' and event_id % 2 = 0",
        "update marts.events set said = 'again' where day_on = '2026-01-04' and event_id = 31",
        "insert into marts.events values (5000, 'new', '2027-05-05')",
        # No book names this day: of a table with touched days nobody looks at the others.
        "update platform.touches set build_id = 2"
        " where partition_on in ('2026-01-03', '2026-01-04')",
        "insert into platform.touches values ('events', 2, '2027-05-05')",
    )
    publish(here, [replace(EVENTS, build="run-2")], "run-2")
    after = places(here)
    changed = {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}
    assert changed == {20, 22, 24, 26, 28, 31, 5000}
    event = next(iter(platform_log.read_newest_first(here, "publishes")))
    assert [(each["written"], each["row_count"]) for each in event["tables"]] == [("days", 996)]
    do(here, "update platform.touches set build_id = 3", "delete from marts.events")
    assert publish(here, [replace(EVENTS, build="run-3")], "run-3").tables[0].row_count == 0
    assert places(here) == {}


def test_tables_have_the_indexes_that_their_tests_and_words_ask_for(touched: Settings) -> None:
    asked = replace(EVENTS, key=("event_id",), indexes=(("said", "day_on"), ("not_there",)))
    publish(touched, [EVENTS], "run-1")
    publish(touched, [asked], "run-1")
    with closing(workshop.connect(touched)) as connection:
        found = connection.execute(
            "select substring(indexdef from '[(](.*)[)]') from pg_indexes"
            " where schemaname = 'snapshots' and tablename ~ '^events__[0-9]+$'"
        ).fetchall()
        assert sorted(columns for (columns,) in found) == [
            "_from", "day_on", "event_id", "said, day_on",
        ]  # fmt: skip
        [statistics] = connection.execute(
            "select count(*) from pg_stats where schemaname = 'snapshots'"
            " and tablename ~ '^events__' and attname = 'day_on'"
        ).fetchone()
    assert statistics == 1


KINDS = (
    "small int, amount numeric(10, 2), word text, packed json, many int[], at timestamptz,"
    " flags bit(2)"
)


def test_any_bag_of_rows_becomes_the_next_and_every_kept_one_stays(here: Settings) -> None:
    """Duplicates, nulls, types without equality: compared with what was in the workshop then."""
    dice = random.Random(7)

    def row() -> tuple[str, ...]:
        if dice.random() < 0.3:
            return ("1", "1.00", "'a,b'", """'{"a": 2, "b": 1}'""", "null", "null", "null")
        return (
            dice.choice(["null", "1", "2"]),
            dice.choice(["null", "1.00", "1.5"]),
            dice.choice(["null", "''", "'a,b'", "'(\"'"]),
            dice.choice(["null", """'{"b": 1, "a": 2}'""", """'{"a": 2, "b": 1}'"""]),
            dice.choice(["null", "'{}'", "'{1,null}'"]),
            dice.choice(["null", "'infinity'", "'2026-01-01 00:00+02'"]),
            dice.choice(["null", "'00'", "'01'"]),
        )

    def bag(connection: Any, relation: str) -> Counter[str]:
        rows = connection.execute(f"select t::text from {relation} as t").fetchall()
        return Counter(text for (text,) in rows)

    table = [PublicTable("t", "marts.t", True)]
    do(here, f"create schema marts; create table marts.t ({KINDS})")
    kept: dict[str, Counter[str]] = {}
    for round_ in range(14):
        if round_ % 5 == 4:
            back = dice.choice(snapshots.ids(here))
            roll_back(here, back)
            expected = kept[back]
        else:
            rows = [f"({', '.join(row())})" for _ in range(dice.choice([0, 3, 40, 400]))]
            fill = f"insert into marts.t values {', '.join(rows)}" if rows else "select 1"
            do(here, f"delete from marts.t where random() < {dice.choice([0.1, 0.5, 0.9])}", fill)
            made = publish(here, table, "run")
            with closing(workshop.connect(here)) as connection:
                expected = kept[made.snapshot_id] = bag(connection, "marts.t")
            assert made.tables[0].row_count == expected.total()
        with closing(snapshots.open_published(here)) as session:
            assert bag(session, "published.t") == expected
        for snapshot_id in snapshots.ids(here):
            with closing(snapshots.open_published(here, snapshot_id)) as session:
                assert bag(session, "published.t") == kept[snapshot_id], snapshot_id


def test_what_no_kept_snapshot_shows_is_dropped(here: Settings) -> None:
    for marker in range(3):
        build(here, marker, ROWS)
        publish(here, plan(), "run")
    do(here, "alter table marts.orders drop column position")
    for marker in range(3, 8):
        do(here, *(f"update marts.{name} set marker = {marker}" for name in NAMES))
        publish(here, plan(), "run")
    with closing(workshop.connect(here)) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'snapshots'"
            " and tablename !~ '^_' order by 1"
        ).fetchall()
        counts = {
            name: connection.execute(f"select count(*) from snapshots.{name}").fetchone()[0]
            for (name,) in tables
        }
        numbers = connection.execute("select count(*) from snapshots._snapshots").fetchone()
    assert numbers == (3,)
    # The shown rows, and those that the two snapshots before show: of one shape of each table.
    assert sorted(counts.values()) == [ROWS] * 3 + [2 * ROWS] * 3


def forked(action: Callable[[], object], **environment: str) -> int:
    """Do it in a process of its own; what signal ended it."""
    child = os.fork()
    if child == 0:
        try:
            os.environ.update(environment)
            action()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


BEFORE = ("publish.begun", "publish.tables_written")
AFTER = ("pointer.switched", "publish.pruned", "publish.logged")


def test_a_publish_that_is_killed_anywhere_has_happened_or_not(here: Settings) -> None:
    build(here, 0, ROWS)
    publish(here, plan(), "run")
    shown = 0
    for marker, point in enumerate((*BEFORE, *AFTER), start=1):
        build(here, marker, ROWS)
        assert forked(lambda: publish(here, plan(), "run"), **{CRASH_AT: point}) == signal.SIGKILL
        shown = marker if point in AFTER else shown
        assert set(markers(here).values()) == {shown}, point
        for snapshot_id in snapshots.ids(here):
            assert len(set(markers(here, snapshot_id).values())) == 1, point
    build(here, 9, ROWS)
    last = publish(here, plan(), "run")
    assert set(markers(here).values()) == {9} and len(snapshots.ids(here)) == 3
    events = list(platform_log.read_newest_first(here, "publishes"))
    assert events[0]["snapshot_id"] == last.snapshot_id
    # Those that could not tell of themselves were told by the next.
    assert [each.get("was_interrupted", False) for each in events] == [
        False, False, True, True, False,
    ]  # fmt: skip


def test_a_roll_back_that_is_killed_anywhere_has_happened_or_not(here: Settings) -> None:
    ids = []
    for marker in range(2):
        build(here, marker, ROWS)
        ids.append(publish(here, plan(), "run").snapshot_id)
    for point, shown in (("rollback.begun", 1), ("pointer.made", 1), ("pointer.switched", 0)):
        assert forked(lambda: roll_back(here, ids[0]), **{CRASH_AT: point}) == signal.SIGKILL
        assert set(markers(here).values()) == {shown}, point
    assert roll_back(here, ids[1]).is_current
    events = [each["event"] for each in platform_log.read_newest_first(here, "publishes")]
    assert events == ["rolled_back", "rolled_back", "published", "published"]


def test_one_publish_at_a_time(here: Settings) -> None:
    build(here, 1, ROWS)
    with (
        books.alone(here, "publish"),
        pytest.raises(LockedError, match="Another process is publishing to this PostgreSQL"),
    ):
        publish(here, plan(), "run")
    assert len(publish(here, plan(), "run").tables) == len(NAMES)


def test_a_lost_connection_publishes_nothing_and_is_told(here: Settings) -> None:
    build(here, 1, ROWS)
    publish(here, plan(), "run")
    do(here, *(f"update marts.{name} set marker = 2" for name in NAMES))
    told: list[BaseException] = []

    def try_to_publish() -> None:
        try:
            publish(here, plan(), "run")
        except PublishError as error:
            told.append(error)

    with reader(here) as holder, reader(here, autocommit=True) as other:
        # Holds the publish in its middle.
        holder.execute("lock table marts.totals in access exclusive mode")
        thread = threading.Thread(target=try_to_publish)
        thread.start()
        end = (
            "select pg_terminate_backend(pid) from pg_stat_activity where"
            " application_name = 'sluice publish' and wait_event_type = 'Lock'"
            " and datname = current_database()"
        )
        while not other.execute(end.encode()).fetchall():
            time.sleep(0.02)
        thread.join()
    [error] = told
    assert "was lost: nothing was published, the previous snapshot is still served" in str(error)
    assert set(markers(here).values()) == {1}
    publish(here, plan(), "run")
    assert set(markers(here).values()) == {2}


def test_a_role_without_rights_is_told_which(here: Settings, server: PostgresServer) -> None:
    build(here, 1, ROWS)
    role = f"weak_{os.getpid()}_{random.randrange(1 << 30)}"
    do(here, f"create role {role} {server.login}")
    weak = here.model_copy(update={"postgres": type(here.postgres)(replace(server, user=role).dsn)})
    with pytest.raises(PublishError, match=rf"The role {role} may not do this, nothing was pub"):
        publish(weak, plan(), "run")
    do(here, f"drop role {role}")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("select 1 from published.orders", "select 1 from pg_temp.orders"),
        ('select "published".orders.x from "published".orders',
         "select pg_temp.orders.x from pg_temp.orders"),
        ("select 'published.o' -- published.x", "select 'published.o' -- published.x"),
        ("select PUBLISHED . orders", "select pg_temp . orders"),
        ("select unpublished.x, 'ä', published.x", "select unpublished.x, 'ä', pg_temp.x"),
        ("select $$ published.x $$, 'broken", "select $$ published.x $$, 'broken"),
    ],
)  # fmt: skip
def test_a_session_of_the_past_reads_the_past_under_the_usual_name(asked: str, meant: str) -> None:
    assert reading.moved(asked, reading.TEMPORARY) == meant


def test_the_log_tells_the_same_as_on_duckdb(here: Settings, tmp_path: Path) -> None:
    other = Settings(data_dir=tmp_path / "duckdb")
    told = []
    for each in (here, other):
        build(each, 1, ROWS)
        publish(each, plan(), "run")
        build(each, 2, ROWS)
        made = publish(each, plan("totals"), "run")
        roll_back(each, made.snapshot_id)
        events = list(platform_log.read_newest_first(each, "publishes"))
        told.append(json.dumps([{key: sorted(event) for key in event} for event in events]))
    assert told[0] == told[1]
