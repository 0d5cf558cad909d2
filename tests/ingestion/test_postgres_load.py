"""What may happen to the server, or to us, in mid-load: nothing half-loaded stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dock import Dock, House, json_lines, order
from postgres_server import PostgresServer
from pydantic import SecretStr

from ingestion.replay import replay_source
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT
from warehouse.workshop import connect, writing

LOADER = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from dock import House
from ingestion.load import load_source
from warehouse.workshop import connect
settings = House(data_dir=Path({data!r}), landing="", target="postgres", postgres={url!r})
load_source(settings, connect(settings), "shop")
"""

on_postgres = pytest.mark.parametrize("dock", ["postgres"], indirect=True)


@contextmanager
def blocked(database: PostgresServer) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """COPY into raw_shop.orders begins and does not end; a session to look at that."""
    with (
        psycopg.connect(database.dsn) as holder,
        psycopg.connect(database.dsn, autocommit=True) as session,
    ):
        holder.execute("lock table raw_shop.orders in share mode")
        yield session
        holder.rollback()


def waiting_copy(session: psycopg.Connection[tuple[Any, ...]]) -> int:
    """The process on the server that waits there, once it does."""
    for _ in range(600):
        found = session.execute(
            """select pid from pg_stat_activity where wait_event_type = 'Lock'
               and query like 'copy%' and datname = current_database()"""
        ).fetchone()
        if found:
            return int(found[0])
        time.sleep(0.05)
    raise AssertionError("no COPY began")


def assert_nothing_came_and_the_next_load_carries_on(dock: Dock) -> None:
    counts = (
        "select (select count(*) from raw_shop.orders), (select count(*) from raw_ledger.batches)"
    )
    assert dock.query(counts) == [(1, 1)]
    assert dock.query("select count(*) from raw_ledger.quarantine") == [(0,)]
    result = dock.load()
    assert (result.rows, result.quarantined) == (4_000, 1)
    assert dock.query(counts) == [(4_001, 3)]


@pytest.fixture
def half_loaded(dock: Dock) -> Dock:
    dock.land_orders("a", order("o"))
    dock.load()
    dock.land_orders("b", *(order(f"b{n}") for n in range(2_000)), "no json")
    dock.land_orders("c", *(order(f"c{n}") for n in range(2_000)))
    return dock


@on_postgres
@pytest.mark.parametrize("ended", ["our connection", "the writer's lock"])
def test_a_connection_that_is_ended_in_mid_copy_leaves_nothing(
    half_loaded: Dock, dock_database: PostgresServer, ended: str
) -> None:
    failures: list[SluiceError] = []

    def load() -> None:
        try:
            half_loaded.load()
        except SluiceError as error:
            failures.append(error)

    loader = threading.Thread(target=load)
    with writing(half_loaded.settings, "a load"):
        with blocked(dock_database) as session:
            loader.start()
            copying = waiting_copy(session)
            [[locking]] = session.execute(
                "select pid from pg_stat_activity where application_name like 'sluice writer%'"
                " and datname = current_database()"
            ).fetchall()
            pid = copying if ended == "our connection" else locking
            session.execute("select pg_terminate_backend(%s, 10000)", [pid])
        loader.join(timeout=60)
    [failure] = failures
    assert "connection" in failure.what
    assert "Run again" in failure.remedy
    assert_nothing_came_and_the_next_load_carries_on(half_loaded)


@on_postgres
@pytest.mark.parametrize("crash_at", ["", "load.rows_written"])
def test_a_process_that_is_killed_in_mid_copy_or_before_the_commit_leaves_nothing(
    half_loaded: Dock, dock_database: PostgresServer, crash_at: str
) -> None:
    script = LOADER.format(
        tests=str(Path(__file__).parent), root=str(PROJECT_ROOT),
        data=str(half_loaded.settings.data_dir), url=dock_database.url,
    )  # fmt: skip
    environment = os.environ | ({"SLUICE_CRASH_AT": crash_at} if crash_at else {})
    with nullcontext() if crash_at else blocked(dock_database) as session:
        loader = subprocess.Popen([sys.executable, "-c", script], env=environment)
        if session is not None:
            waiting_copy(session)
            loader.kill()
        assert loader.wait(timeout=60) == -signal.SIGKILL
    assert_nothing_came_and_the_next_load_carries_on(half_loaded)


FULL = """
create function raw_shop.is_full() returns trigger language plpgsql as $$ begin
    raise exception 'could not extend file "base/1/2": No space left on device'
    using errcode = 'disk_full';
end $$;
create trigger full_disk after insert on raw_shop.orders for each row
execute function raw_shop.is_full()
"""


@on_postgres
def test_a_full_disk_of_the_server_leaves_nothing(half_loaded: Dock) -> None:
    connection = connect(half_loaded.settings)
    connection.execute(FULL)
    with pytest.raises(SluiceError, match="disk of the PostgreSQL server is full"):
        half_loaded.load()
    connection.execute("drop trigger full_disk on raw_shop.orders")
    connection.close()
    assert_nothing_came_and_the_next_load_carries_on(half_loaded)


@on_postgres
@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("role=who_may_nothing", "does not permit"),
        ("default_transaction_read_only=on", "takes no writes"),
    ],
)
def test_a_server_that_does_not_let_us_write_says_what_to_do(
    dock: Dock, dock_database: PostgresServer, option: str, told: str
) -> None:
    with psycopg.connect(dock_database.dsn, autocommit=True) as session:
        if not session.execute(
            "select 1 from pg_roles where rolname = 'who_may_nothing'"
        ).fetchone():
            session.execute("create role who_may_nothing")
            session.execute("grant who_may_nothing to current_user")
    url = f"{dock_database.url}&options=-c%20{option.replace('=', '%3D')}"
    house = House(
        data_dir=dock.settings.data_dir, landing="", target="postgres", postgres=SecretStr(url)
    )
    dock.land_orders("a", order("o"))
    with pytest.raises(SluiceError, match=told) as refused:
        Dock(house).load()
    assert "SLUICE_POSTGRES" in refused.value.remedy
    assert dock.load().rows == 1


@on_postgres
def test_new_batches_are_found_without_reading_the_old_ones(
    dock: Dock, dock_database: PostgresServer
) -> None:
    for n in range(10):
        dock.land_orders(f"n{n}", *(order(f"o{n}-{row}") for row in range(3_000)))
    dock.load()
    dock.land_orders("z", order("new"))
    dock.load()
    plan = (
        "explain (analyze, buffers, format json) select * from raw_shop.orders where _batch_id > 10"
    )
    with psycopg.connect(dock_database.dsn) as session:
        [[[found]]] = session.execute(plan).fetchall()
        [[pages]] = session.execute("select pg_relation_size('raw_shop.orders') / 8192").fetchall()
    assert found["Plan"]["Actual Rows"] == 1
    assert found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"] < pages / 4


@on_postgres
def test_a_rebuild_keeps_the_views_on_a_table_whose_columns_stay(dock: Dock) -> None:
    dock.land("shop/orders/2025-03-01/a.jsonl", json_lines(order("o1")))
    dock.load()
    connection = connect(dock.settings)
    connection.execute("create view raw_shop.a_model as select order_id from raw_shop.orders")
    assert replay_source(dock.settings, connection, "shop").rows == 1
    assert connection.execute("select * from raw_shop.a_model").fetchall() == [("o1",)]
    connection.close()
