"""Change capture: the replica equals the source row for row, whoever is killed and when."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from typing import Any

import psycopg
import pytest
from pg_shop import changes, declare, replica, rows_of, server, source, url_of
from postgres_server import PostgresServer
from quay import Quay

from ingestion.connectors.fetching import forget
from warehouse.errors import SluiceError

__all__ = ["server", "source"]

ALL_TYPES = """
    create type mood as enum ('sad', 'ok');
    create type place as (x int, y text);
    create domain cents as numeric(12, 2);
    create table kinds (
        id bigint primary key, small smallint, whole int, money_ numeric(18, 4), free numeric,
        single real, twice double precision, yes boolean, words text, padded char(5),
        short varchar(9), day date, at timestamp, at_zone timestamptz, clock time, span interval,
        raw bytea, doc json, docb jsonb, key uuid, feeling mood, amount cents, spot place,
        address inet, numbers int[], matrix int[][], texts text[], moments timestamptz[],
        spots place[], flags boolean[], bits bit(3), span_ int4range, found tsvector,
        doubled bigint generated always as (whole * 2) stored
    );
"""
ROW = r"""
    -7, 123456789, 12.5000, 1e30, 1.5, 0.1, true, E'a "quoted"\\ back\nline\ttab ü 😀 {}', 'ab',
    'short', '2026-03-01', '2026-03-01 10:00:00.25', '2026-03-01 12:00:00+02', '10:00', '1 day 2h',
    '\x00ff5c'::bytea, E'{"a" :\n 1.50, "b": "x\\ny"}', '{"b": [1, 2.50], "a": null}',
    '00000000-0000-0000-0000-000000000001', 'ok', 3.5, row(1, 'a,b'), '10.0.0.1/8', '{1,NULL,3}',
    '{{1,2},{3,4}}', '{"a,b",NULL,"NULL","q\"\\\\",""}', '{"2026-03-01 10:00:00+00",NULL}',
    array[row(1, 'x')::place], '{t,f,NULL}', '101', '[1,5)', 'a:1 b:2'
"""
NOTHING = ", ".join(["null"] * 32)
ODD = NOTHING.split(", ")
ODD[3], ODD[4], ODD[5] = "'NaN'", "'-Infinity'", "'Infinity'"
ODD[12], ODD[23] = "'infinity'", "'[0:1]={7,8}'"


PRESENT = """
    select id from (
        select *, row_number() over (partition by id order by change_id desc) as nth
        from raw_shop.{0} where op <> 'truncate'
    ) where nth = 1 and op <> 'delete'
        and change_id
            > coalesce((select max(change_id) from raw_shop.{0} where op = 'truncate'), '')
    order by id
"""


def test_a_snapshot_and_a_change_write_every_type_alike(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any]
) -> None:
    source.execute(ALL_TYPES.encode())
    values = [ROW, NOTHING, ", ".join(ODD)]
    insert = "insert into kinds values ({}, {})"
    for number, row in enumerate(values):
        source.execute(insert.format(number, row).encode())
    declare(quay, server, "kinds")
    quay.fetch()
    for number, row in enumerate(values):
        source.execute(insert.format(number + 10, row).encode())
    quay.fetch()
    found = replica(quay, "kinds")
    assert sorted(found) == [0, 1, 2, 10, 11, 12]
    for number in range(3):
        assert found[number] == found[number + 10] | {"id": number}
    # What PostgreSQL itself makes of them; composites are texts, generated columns are not sent.
    query = "select *, spot::text as spot_, spots::text as spots_ from {}"
    for number, row in rows_of(source, "kinds", query=query).items():
        row["spot"], row["spots"] = row.pop("spot_"), row.pop("spots_")
        del row["doubled"]
        assert found[number] == row
    quay.load()
    assert quay.rows("select count(*) from raw_shop.kinds") == [(6,)]


def test_every_kind_of_change_arrives(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any]
) -> None:
    big = "string_agg(md5(g::text), '')"
    source.execute("create table docs (id int primary key, n int, body text)")
    source.execute("alter table docs alter column body set storage external")
    source.execute("create table pairs (a int, b text, n int, primary key (a, b))")
    source.execute("create table full_ (id int primary key, n int, body text)")
    source.execute("alter table full_ alter column body set storage external")
    source.execute("alter table full_ replica identity full")
    for name in ("docs", "full_"):
        source.execute(
            f"insert into {name} select k, k, (select {big} from generate_series(k, k + 200) g) "
            "from generate_series(1, 20) k".encode()
        )
    declare(quay, server, "docs", "full_", "pairs", changes_a_batch=7)
    assert quay.fetch().rows == 40
    for name in ("docs", "full_"):
        # Large values that are not sent again; one row of them is gone when we ask.
        source.execute(f"update {name} set n = n + 1 where id < 12".encode())
        source.execute(f"delete from {name} where id = 3".encode())
        source.execute(f"update {name} set id = 100 where id = 4".encode())
    source.execute("insert into pairs values (1, 'x', 1), (1, 'y', 2), (2, 'x', 3)")
    source.execute("update pairs set b = 'z' where b = 'y'")
    source.execute("delete from pairs where a = 2")
    quay.fetch()
    assert replica(quay, "docs") == rows_of(source, "docs")
    assert replica(quay, "full_") == rows_of(source, "full_")
    updates = [row for row in changes(quay, "full_") if row["op"] == "update"]
    assert all(len(row["body"]) > 6000 for row in updates)
    assert set(changes(quay, "full_")[-3]) == {"change_id", "op", "changed_at", "id"}
    pairs = [row for row in changes(quay, "pairs") if row["op"] != "delete"]
    assert [(row["a"], row["b"]) for row in pairs] == [(1, "x"), (1, "y"), (2, "x"), (1, "z")]

    source.execute("alter table docs add column extra int default 5")
    source.execute("update docs set extra = 6 where id = 1")
    source.execute("alter table docs drop column n")
    source.execute("insert into docs values (200, 'later', 7)")
    with source.transaction():
        source.execute("truncate pairs, full_")
        source.execute("insert into pairs values (9, 'new', 9)")
    with source.transaction(), source.transaction(force_rollback=True):
        source.execute("insert into docs values (300, 'never', 7)")
    with source.transaction():
        source.execute("insert into full_ select g, g, 'large' from generate_series(1, 5000) g")
        source.execute("update full_ set n = -n")
    quay.fetch()
    found = replica(quay, "docs")
    assert found[200] == {"id": 200, "body": "later", "extra": 7} and found[1]["extra"] == 6
    assert 300 not in found and replica(quay, "full_") == rows_of(source, "full_")
    assert [row["op"] for row in changes(quay, "pairs")[-2:]] == ["truncate", "insert"]
    # Nothing happened: nothing lands, and the slot still moves on.
    before = len(quay.landed())
    source.execute("create table noise as select generate_series(1, 1000)")
    assert quay.fetch().files == 0 and len(quay.landed()) == before
    lag = source.execute(
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) from "
        "pg_replication_slots where slot_name = 'sluice_shop'"
    ).fetchone()
    assert lag is not None and lag[0] < 10_000
    assert "extra" in quay.load().entities["docs"].drift
    # What docs/guides/sources.md says of the present state of a table.
    for name in ("docs", "full_"):
        assert quay.rows(PRESENT.format(name)) == [(key,) for key in sorted(replica(quay, name))]


def _work(server: PostgresServer, stop: threading.Event, seed: int) -> None:
    """Transactions of every kind until told to stop, whatever happens to the server."""
    chance = random.Random(seed)
    while not stop.is_set():
        try:
            with psycopg.connect(url_of(server), autocommit=True) as connection:
                while not stop.is_set():
                    with connection.transaction():
                        name = chance.choice(["docs", "more"]).encode()
                        for _ in range(chance.choice([1, 1, 3, 40])):
                            _change(connection, name, chance)
        except psycopg.Error:
            time.sleep(0.02)


def _change(connection: psycopg.Connection[Any], name: bytes, chance: random.Random) -> None:
    key, kind = chance.randrange(300), chance.random()
    if kind < 0.5:
        connection.execute(
            b"insert into %s values (%%s, %%s, repeat(md5(random()::text), %%s)) "
            b"on conflict (id) do update set n = excluded.n" % name,
            [key, chance.randrange(9), chance.choice([1, 300])],
        )
    elif kind < 0.75:
        connection.execute(b"update %s set n = n + 1 where id = %%s" % name, [key])
    elif kind < 0.97:
        connection.execute(b"delete from %s where id = %%s" % name, [key])
    elif kind < 0.985:
        connection.execute(
            b"update %s set id = id + 1000 where id = %%s and not exists "
            b"(select 1 from %s where id = %%s)" % (name, name),
            [key, key + 1000],
        )
    elif kind < 0.99:
        connection.execute(b"truncate %s" % name)


def test_kills_of_either_side_at_any_time_lose_and_repeat_nothing(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any]
) -> None:
    for name in ("docs", "more"):
        source.execute(f"create table {name} (id int primary key, n int, body text)".encode())
        source.execute(
            f"insert into {name} select g, g, 'b' from generate_series(1, 300) g".encode()
        )
    declare(quay, server, "docs", "more", changes_a_batch=200, rows_a_file=100)
    stop, chance = threading.Event(), random.Random(5)
    workers = [threading.Thread(target=_work, args=(server, stop, seed)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    outcomes = []
    try:
        for turn in range(14):
            child = os.fork()
            if child == 0:
                try:
                    quay.fetch()
                except SluiceError:
                    os._exit(3)
                finally:
                    os._exit(0)
            time.sleep(chance.uniform(0.005, 0.12))
            if turn in (5, 9):
                server.kill()
                server.start()
            elif turn % 4 != 3:
                os.kill(child, signal.SIGKILL)
            outcomes.append(os.waitpid(child, 0)[1])
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert any(os.WIFSIGNALED(each) for each in outcomes)
    _fetch_the_rest(quay)
    with psycopg.connect(url_of(server), autocommit=True) as connection:
        for name in ("docs", "more"):
            assert replica(quay, name) == rows_of(connection, name)
    assert len(changes(quay, "docs")) > 500


def _fetch_the_rest(quay: Quay) -> None:
    """A server that was killed may, rarely, come up with a log that it cannot decode itself: then
    the fetch must say so, and what it says must help.
    """
    try:
        quay.fetch()
    except SluiceError as error:
        assert "the server cannot read its own log" in str(error)
        assert "--forget" in error.remedy
        forget(quay.dock.settings, "shop")
        quay.fetch()


def test_what_is_read_twice_lands_once(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Changes before a snapshot that the slot tells of as well; and a kill before it moves on."""
    from ingestion.connectors import pg_source, postgres

    source.execute("create table one (id int primary key, n int)")
    declare(quay, server, "one")
    real = postgres.snapshot_tables

    def busy(*arguments: Any) -> None:
        source.execute("insert into one values (1, 1), (2, 2); update one set n = 5 where id = 1")
        real(*arguments)

    monkeypatch.setattr(postgres, "snapshot_tables", busy)
    quay.fetch()
    assert len(changes(quay, "one")) == 2

    def dying(*_: Any) -> None:
        raise KeyboardInterrupt

    source.execute("insert into one values (3, 3)")
    monkeypatch.setattr(pg_source, "advance", dying)
    with pytest.raises(KeyboardInterrupt):
        quay.fetch()
    monkeypatch.undo()
    source.execute("delete from one where id = 2")
    quay.fetch()
    assert [row["op"] for row in changes(quay, "one")] == ["insert"] * 3 + ["delete"]
    assert replica(quay, "one") == rows_of(source, "one")


def test_a_table_that_is_added_later_begins_with_its_own_snapshot(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any]
) -> None:
    for name in ("one", "two"):
        source.execute(f"create table {name} (id int primary key, n int)".encode())
        source.execute(f"insert into {name} values (1, 1), (2, 2)".encode())
    declare(quay, server, "one")
    quay.fetch()
    source.execute("update two set n = 5 where id = 1; update one set n = 5 where id = 1")
    declare(quay, server, "one", "two")
    quay.fetch()
    source.execute("delete from two where id = 2")
    quay.fetch()
    assert replica(quay, "one") == rows_of(source, "one")
    assert replica(quay, "two") == rows_of(source, "two") == {1: {"id": 1, "n": 5}}
