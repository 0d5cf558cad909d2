"""A shop's database whose changes are captured, and what a reader makes of what landed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from postgres_server import PostgresServer, running
from quay import Quay, table


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    settings = {
        "wal_level": "logical", "max_replication_slots": "20", "max_wal_senders": "10",
        "synchronous_commit": "on", "max_slot_wal_keep_size": "2GB", "checkpoint_timeout": "30s",
        "deadlock_timeout": "20ms",
    }  # fmt: skip
    with running(settings) as server:
        yield server


@pytest.fixture
def source(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """An empty database; afterwards no slot of it is left."""
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute("drop database if exists shop with (force)")
        admin.execute("create database shop")
    connection = psycopg.connect(url_of(server), autocommit=True)
    connection.execute("set timezone = 'UTC'")
    yield connection
    connection.close()
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where active"
        )
        admin.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def url_of(server: PostgresServer) -> str:
    return f"host={server.host} port={server.port} user={server.user} dbname=shop"


def declare(quay: Quay, server: PostgresServer, *entities: str, **more: Any) -> None:
    columns = {"change_id": "varchar", "op": "varchar", "changed_at": "timestamptz",
               "id": "bigint"}  # fmt: skip
    quay.declare(
        {"kind": "postgres", "url": url_of(server), **more},
        *(
            table(name, columns, key=["id"], required=tuple(columns)[:3],
                  connector={"table": f"public.{name}"})
            for name in entities
        ),
    )  # fmt: skip


def changes(quay: Quay, entity: str) -> list[dict[str, Any]]:
    paths = [path for path in quay.landed() if path.startswith(f"{entity}/")]
    rows = [json.loads(line) for path in paths for line in quay.content(path).splitlines()]
    ids = [row["change_id"] for row in rows]
    assert len(ids) == len(set(ids)), "a change landed twice"
    return sorted(rows, key=lambda row: str(row["change_id"]))


def replica(quay: Quay, entity: str, key: str = "id") -> dict[Any, dict[str, Any]]:
    """What a reader of the landed rows makes of them."""
    found: dict[Any, dict[str, Any]] = {}
    for row in changes(quay, entity):
        op = row.pop("op")
        assert row.pop("changed_at") and row.pop("change_id")
        if op == "truncate":
            found.clear()
        elif op == "delete":
            found.pop(row[key], None)
        else:
            found[row[key]] = row
    return found


def rows_of(
    source: psycopg.Connection[Any], entity: str, key: str = "id", query: str = "select * from {}"
) -> dict[Any, dict[str, Any]]:
    rows = source.execute(
        f"select row_to_json(r)::text from ({query.format(entity)}) r".encode()
    ).fetchall()
    return {json.loads(row[0])[key]: json.loads(row[0]) for row in rows}
