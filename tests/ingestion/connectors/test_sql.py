"""SQL pulls: whole tables when they changed, or what is new by a cursor, each row once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres_fixtures import new_database
from postgres_server import PostgresServer
from quay import Quay, table

from warehouse.errors import ContractError, SettingsError, SluiceError

COLUMNS = {"id": "bigint", "amount": "decimal(18,2)", "changed_at": "timestamptz"}


@pytest.fixture(scope="module")
def server_url(own_postgres: PostgresServer) -> tuple[str, str]:
    server = new_database(own_postgres)
    return server.url.replace("postgresql:", "postgresql+psycopg:"), server.dsn


def declare(quay: Quay, url: str, **entity: Any) -> None:
    quay.declare({"kind": "sql", "url": url}, table("orders", COLUMNS, connector=entity))


def totals(quay: Quay) -> list[tuple[Any, ...]]:
    quay.load()
    return quay.rows(
        """select count(*), count(distinct id), sum(amount)::varchar, max(changed_at)::varchar
           from raw_shop.orders"""
    )


@pytest.mark.parametrize("entity", [
    {"table": "public.orders", "cursor": "changed_at"},
    {"query": "select id, amount, changed_at from orders where note <> ':x';",
     "cursor": "changed_at"},
    {"table": "orders", "cursor": "changed_at", "overlap_seconds": 3600},
], ids=["table", "query", "overlap"])  # fmt: skip
def test_a_cursor_brings_each_row_once(
    quay: Quay, server_url: tuple[str, str], entity: dict[str, Any]
) -> None:
    url, dsn = server_url
    with psycopg.connect(dsn, autocommit=True) as source:
        source.execute("drop table if exists orders")
        source.execute(
            "create table orders (id int primary key, amount numeric(18,2), changed_at timestamptz,"
            " note text default '')"
        )
        source.execute(
            "insert into orders select g, g + 0.10, timestamptz '2026-03-01 00:00+00' + "
            "g / 2 * interval '1 minute' from generate_series(1, 101) g"
        )
        source.execute("insert into orders values (0, 1, null)")
        declare(quay, url, **entity)
        assert quay.fetch().rows == 101 and quay.fetch().files == 0
        # Another row at the very place that was reached, a changed one, one a little late.
        source.execute("insert into orders values (200, 5, '2026-03-01 00:50+00')")
        source.execute("update orders set amount = 7, changed_at = '2026-03-02' where id = 1")
        source.execute("insert into orders values (201, 9, '2026-03-01 00:49:30+00')")
        expected = 3 if "overlap_seconds" in entity else 2
        assert quay.fetch().rows == expected and quay.fetch().files == 0
    [(count, ids, _, last)] = totals(quay)
    assert (count, ids) == (101 + expected, 101 + expected - 1) and last.startswith("2026-03-02")


def test_a_table_without_a_cursor_lands_whole_when_it_has_changed(
    quay: Quay, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as source:
        source.execute("create table orders (id integer, amount text, changed_at text, raw blob)")
        source.execute("insert into orders values (1, '1.10', '2026-03-01T00:00:00Z', x'00ff')")
    declare(quay, f"sqlite:///{tmp_path / 'shop.db'}", table="orders")
    assert quay.fetch().rows == 1 and quay.fetch().files == 0
    with sqlite3.connect(tmp_path / "shop.db") as source:
        source.execute("insert into orders values (2, '2.20', null, null)")
    assert quay.fetch().rows == 2
    assert totals(quay)[0][:3] == (3, 2, "4.40")
    assert quay.rows("select _extra->>'raw' from raw_shop.orders limit 1") == [("\\x00ff",)]


def test_change_capture_says_what_a_server_must_be_told_first(
    quay: Quay, server_url: tuple[str, str]
) -> None:
    """This server writes its log for replicas only."""
    columns = {"change_id": "varchar", "op": "varchar", "changed_at": "timestamptz"}
    orders = table("orders", columns, connector={"table": "public.orders"})
    quay.declare({"kind": "postgres", "url": server_url[1]}, orders)
    with pytest.raises(SettingsError, match="wal_level = replica") as caught:
        quay.fetch()
    assert "Set wal_level = logical" in caught.value.remedy


FAULTS: list[tuple[str, dict[str, Any], type[SluiceError], str]] = [
    ("sqlite://", {"table": "nowhere"}, SluiceError, "no such table: nowhere"),
    ("sqlite://", {}, ContractError, "either `table` or `query`"),
    ("sqlite://", {"table": "a", "query": "b"}, ContractError, "either `table` or `query`"),
    ("sqlite://", {"tabel": "a"}, ContractError, "did you mean `table`"),
    ("nosuch://x", {"table": "a"}, SettingsError, "cannot be spoken to"),
    ("no url", {"table": "a"}, SettingsError, "cannot be spoken to"),
]


@pytest.mark.parametrize(("url", "entity", "kind", "says"), FAULTS)
def test_what_cannot_be_pulled_is_said(
    quay: Quay, url: str, entity: dict[str, Any], kind: type[SluiceError], says: str
) -> None:
    declare(quay, url, **entity)
    with pytest.raises(kind, match=says):
        quay.fetch()
    assert not quay.landed()
