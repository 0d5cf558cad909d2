"""The load ledger: which file became which batch, in the same transaction as its rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import pyarrow as pa

from warehouse.connection import Connection, as_duckdb
from warehouse.copying import placed
from warehouse.postgres import PostgresConnection
from warehouse.schemas import Schema

SCHEMA = Schema("raw_ledger")
LOADED, REPLAYED, SKIPPED, WITHDRAWN = "loaded", "replayed", "skipped", "withdrawn"
"""`skipped`: the same content had been loaded before; the file brought nothing.
`withdrawn`: it was loaded and is set aside since; its rows are gone."""

_TABLES = (
    "create schema if not exists {schema}",
    """create table if not exists {schema}.batches (
        batch_id bigint, source varchar, entity varchar, file varchar, content_hash varchar,
        size_bytes bigint, row_count bigint, quarantined_count bigint, drift json,
        status varchar, loaded_at timestamptz, file_stamp varchar
    )""",
    """create table if not exists {schema}.quarantine (
        batch_id bigint, source varchar, entity varchar, file varchar, row_number bigint,
        reason varchar, column_name varchar, content varchar, quarantined_at timestamptz,
        replayed_at timestamptz
    )""",
    """create table if not exists {schema}.set_aside (
        file varchar, source varchar, entity varchar, because varchar, set_aside_at timestamptz
    )""",
    """create table if not exists {schema}.let_go (
        part varchar, source varchar, entity varchar, file varchar, received_on date,
        row_count bigint, size_bytes bigint, marked_at timestamptz, removed_at timestamptz
    )""",
    "create table if not exists {schema}.log_position (kind varchar, read_until timestamptz)",
)


def ensure_ledger(connection: Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement.format(schema=SCHEMA))


@contextmanager
def registered(connection: Connection, name: str, table: pa.Table) -> Iterator[None]:
    """These rows under this name, for as long as the block lasts."""
    if isinstance(connection, PostgresConnection):
        with placed(connection, name, table):
            yield
        return
    connection = as_duckdb(connection)
    connection.register(name, table)
    try:
        yield
    finally:
        # An aborted transaction takes the name with it.
        with suppress(duckdb.TransactionException):
            connection.unregister(name)


@dataclass(frozen=True)
class Drift:
    """How a file differs from its contract without breaking it."""

    added: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.renamed or self.missing)

    def as_json(self) -> str | None:
        parts = {
            "added": list(self.added),
            "renamed": dict(self.renamed),
            "missing": list(self.missing),
        }
        return json.dumps({k: v for k, v in parts.items() if v}) if self else None


@dataclass(frozen=True)
class Batch:
    """One ledger row: what came of one file."""

    batch_id: int
    source: str
    entity: str
    file: str
    content_hash: str
    size: int
    stamp: str
    rows: int
    quarantined: int
    drift: Drift
    status: str
    loaded_at: datetime


@dataclass(frozen=True)
class Known:
    """What the ledger remembers of one file."""

    batch_id: int
    entity: str
    content_hash: str
    size: int
    stamp: str
    status: str
    loaded_at: datetime


def known_files(connection: Connection, source: str) -> dict[str, Known]:
    rows = connection.execute(
        f"""select file, batch_id, entity, content_hash, size_bytes, file_stamp, status, loaded_at
            from {SCHEMA}.batches where source = ? and status <> '{REPLAYED}'""",
        [source],
    ).fetchall()
    return {row[0]: Known(*row[1:]) for row in rows}


def set_aside_files(connection: Connection) -> frozenset[str]:
    rows = connection.execute(f"select file from {SCHEMA}.set_aside").fetchall()
    return frozenset(row[0] for row in rows)


def next_batch_id(connection: Connection) -> int:
    [[number]] = connection.execute(
        f"select coalesce(max(batch_id), 0) + 1 from {SCHEMA}.batches"
    ).fetchall()
    return int(number)


def known_drift(connection: Connection, source: str, entity: str) -> set[str]:
    """The added and renamed columns that were reported before."""
    rows = connection.execute(
        f"""select distinct cast(drift as varchar)
            from {SCHEMA}.batches where source = ? and entity = ? and drift is not null""",
        [source, entity],
    ).fetchall()
    drifts = [json.loads(row[0]) for row in rows]
    return {name for drift in drifts for key in ("added", "renamed") for name in drift.get(key, ())}


def record(connection: Connection, batches: Iterable[Batch]) -> None:
    """Many files at once: row by row, the ledger would cost more than the rows."""
    rows = [
        {
            "batch_id": batch.batch_id,
            "source": batch.source,
            "entity": batch.entity,
            "file": batch.file,
            "content_hash": batch.content_hash,
            "size_bytes": batch.size,
            "row_count": batch.rows,
            "quarantined_count": batch.quarantined,
            "drift": batch.drift.as_json(),
            "status": batch.status,
            "loaded_at": batch.loaded_at,
            "file_stamp": batch.stamp,
        }
        for batch in batches
    ]
    if not rows:
        return
    columns = ", ".join(rows[0])
    with registered(connection, "sluice_batches", pa.Table.from_pylist(rows)):
        connection.execute(
            f"""insert into {SCHEMA}.batches ({columns})
                select {columns.replace("drift", "cast(drift as json)")} from sluice_batches"""
        )
