"""The slot of a change capture: lost, lagging, abandoned; and what is refused from the start."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from pg_shop import declare, replica, rows_of, server, source, url_of
from postgres_server import PostgresServer
from quay import Quay, table

from ingestion.connectors.fetching import forget
from warehouse.errors import ContractError, SettingsError, SluiceError

__all__ = ["server", "source"]


@pytest.mark.parametrize("policy", ["stop", "snapshot", "forget"])
def test_a_lost_slot_is_never_passed_over(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any], policy: str
) -> None:
    source.execute("create table one (id int primary key, n int)")
    source.execute("insert into one values (1, 1), (2, 2)")
    declare(quay, server, "one", lost_slot="snapshot" if policy == "snapshot" else "stop")
    quay.fetch()
    source.execute("select pg_drop_replication_slot('sluice_shop')")
    source.execute("delete from one where id = 1; insert into one values (3, 3)")
    if policy == "snapshot":
        assert "every table is read anew" in quay.fetch().problems[0]
    else:
        with pytest.raises(SluiceError, match=r"are lost: its slot sluice_shop is gone"):
            quay.fetch()
        if policy == "stop":
            return
        forget(quay.dock.settings, "shop")
        quay.fetch()
    assert replica(quay, "one") == rows_of(source, "one")


def test_a_slot_that_the_server_gave_up_is_noticed(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any]
) -> None:
    """It held back more than max_slot_wal_keep_size: the disk is safe, the changes are gone."""
    source.execute("create table one (id int primary key, n int)")
    declare(quay, server, "one", lost_slot="snapshot")
    quay.fetch()
    source.execute("insert into one values (1, 1)")
    source.execute("alter system set max_slot_wal_keep_size = '1MB'")
    source.execute("select pg_reload_conf()")
    while source.execute(
        "select count(*) from pg_replication_slots where wal_status <> 'lost'"
    ).fetchone() != (0,):
        source.execute("create table filler (n int); drop table filler")
        source.execute("select pg_switch_wal()")
        source.execute("checkpoint")
    source.execute("alter system reset max_slot_wal_keep_size")
    source.execute("select pg_reload_conf()")
    [problem] = quay.fetch().problems
    assert "was given up by the server" in problem
    assert replica(quay, "one") == rows_of(source, "one") == {1: {"id": 1, "n": 1}}
    assert not quay.fetch().problems


def test_a_slot_that_somebody_else_reads_or_that_lags_is_said(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any]
) -> None:
    source.execute("create table one (id int primary key, n int)")
    declare(quay, server, "one", alarm_bytes=100_000)
    quay.fetch()
    source.execute("insert into one select g, g from generate_series(1, 3000) g")
    fetched = quay.fetch()
    assert "held back" in fetched.problems[0] and quay.log("problem")
    assert quay.log("fetched")[0]["lag_bytes"] is not None
    source.execute("insert into one values (-1, 1)")
    source.execute("select count(*) from pg_logical_slot_get_binary_changes('sluice_shop', null, "
                   "null, 'proto_version', '1', 'publication_names', 'sluice_shop')")  # fmt: skip
    with pytest.raises(SluiceError, match="somebody else has read on"):
        quay.fetch()


def test_an_abandoned_slot_is_dropped_when_landing_cannot_go_on(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from ingestion.connectors.delivery import Stream

    source.execute("create table one (id int primary key, n int)")
    declare(quay, server, "one", drop_slot_bytes=100_000)
    quay.fetch()
    source.execute("insert into one select g, g from generate_series(1, 3000) g")

    def full(self: Stream, *_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Stream, "commit", full)
    with pytest.raises(SluiceError, match="No space left"):
        quay.fetch()
    left = source.execute("select count(*) from pg_replication_slots").fetchone()
    assert left == (0,)


def test_what_would_break_the_source_or_cannot_work_is_refused(
    quay: Quay, server: PostgresServer, source: psycopg.Connection[Any]
) -> None:
    source.execute("create table keyless (id int, n int)")
    source.execute("create table taken (id int primary key, op text)")
    source.execute("create role reader login; create table one (id int primary key)")
    source.execute("grant select on one to reader")
    for entity, says in (
        ("keyless", "has no primary key"),
        ("taken", "has a column op"),
        ("nowhere", "has no table public.nowhere"),
    ):
        declare(quay, server, entity)
        with pytest.raises(SettingsError, match=says):
            quay.fetch()
    assert source.execute("select count(*) from pg_publication").fetchone() == (0,)
    declare(quay, server, "one", url=url_of(server).replace("user=postgres", "user=reader"))
    with pytest.raises(SettingsError, match="does not let us"):
        quay.fetch()
    declare(quay, server, "one", url="host=127.0.0.1 port=1 password=a-secret-of-ours")
    with pytest.raises(SluiceError, match="cannot be reached"):
        quay.fetch()
    quay.declare({"kind": "postgres", "url": url_of(server)},
                 table("one", {"id": "bigint"}, connector={"table": "one"}))  # fmt: skip
    with pytest.raises(ContractError, match="change_id, op, changed_at"):
        quay.fetch()


def test_a_url_with_a_password_is_not_shown(
    quay: Quay, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DB", "postgresql://me:a-secret-of-ours@127.0.0.1:1/nowhere")
    declare(quay, server, "one", url="${env:SHOP_DB}")
    with pytest.raises(SluiceError) as caught:
        quay.fetch()
    assert "a-secret-of-ours" not in str(caught.value) + json.dumps(quay.log("failed"))
