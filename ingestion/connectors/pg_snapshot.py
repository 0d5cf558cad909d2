"""Tables as they were at one place of the log, written as JSON by the server itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import psycopg
from psycopg import sql

from ingestion.connectors.delivery import Stream
from ingestion.connectors.outcome import Fetched, Report
from ingestion.connectors.pg_source import Table, connected, lsn
from ingestion.connectors.pg_values import Types
from ingestion.connectors.words import PostgresSource
from warehouse.errors import SluiceError

_BUFFER: Final = 1 << 20


def snapshot_tables(
    stream: Stream,
    declared: PostgresSource,
    tables: list[Table],
    types: Types,
    cleared: frozenset[str],
    fetched: Fetched,
    report: Report,
) -> None:
    """Each table and, committed with its rows, from which place on its changes count.

    A table that is `cleared` was read before: a truncate comes first, since what was deleted
    meanwhile nobody told us.
    """
    with (
        _exported(declared.url, stream.source) as (name, at),
        connected(declared.url, stream.source) as connection,
        connection.transaction(),
    ):
        connection.execute("set transaction isolation level repeatable read, read only")
        connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(name)))
        for table in tables:
            _snapshot(stream, declared, connection, table, types, at, table.entity in cleared,
                      fetched)  # fmt: skip
            report(f"  {table.full_name}: {fetched.entities[table.entity].rows:,} rows")


@contextmanager
def _exported(url: str, source: str) -> Iterator[tuple[str, int]]:
    """A snapshot's name, and its place in the log; both end with the connection."""
    with connected(url, source, replication=True) as connection:
        result = connection.pgconn.exec_(
            b"CREATE_REPLICATION_SLOT sluice_snapshot_%d TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT"
            % connection.info.backend_pid
        )
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise SluiceError(
                f"The database of {source} gives no snapshot: "
                f"{result.get_error_message().strip()}.",
                remedy="It needs one more free slot while a snapshot is made "
                "(max_replication_slots, max_wal_senders), and a user with REPLICATION.",
            )
        place, name = result.get_value(0, 1).decode(), result.get_value(0, 2).decode()
        yield name, lsn(place)


def _snapshot(
    stream: Stream,
    declared: PostgresSource,
    connection: psycopg.Connection[Any],
    table: Table,
    types: Types,
    at: int,
    is_cleared: bool,
    fetched: Fetched,
) -> None:
    delivery, number, total = stream.begin(), 0, 0
    row = connection.execute("select transaction_timestamp()").fetchone()
    moment = row[0].isoformat() if row else ""
    if is_cleared:
        with delivery.batch(table.entity, "cleared", "jsonl") as into:
            into.write(
                b'{"change_id":"%016X-c","op":"truncate","changed_at":"%s"}\n'
                % (at - 1, moment.encode())
            )
    query = _query(table, types, f"{at - 1:016X}-s", moment)
    with connection.cursor().copy(query) as copied:
        rows = iter(copied)
        is_over = False
        while not is_over:
            number += 1
            with delivery.batch(table.entity, f"snapshot-{number:04d}", "jsonl") as into:
                count, size = _write(rows, into, declared.rows_a_file)
            is_over = count < declared.rows_a_file
            total += count
            fetched.add(table.entity, files=1, rows=count, size=size)
    cursor = dict(stream.cursor)
    cursor["tables"] = {
        **cursor.get("tables", {}),
        table.entity: {"table": table.full_name, "from": at, "at": moment},
    }
    stream.commit(delivery, cursor)


def _write(rows: Iterator[Any], into: BinaryIO, at_most: int) -> tuple[int, int]:
    parts: list[bytes] = []
    count = size = held = 0
    for row in rows:
        line = _plain(bytes(row))
        parts.append(line)
        count, held = count + 1, held + len(line)
        if held > _BUFFER:
            into.write(b"".join(parts))
            size, held = size + held, 0
            parts.clear()
        if count == at_most:
            break
    into.write(b"".join(parts))
    return count, size + held


def _plain(row: bytes) -> bytes:
    """Without COPY's escapes; a line break stands only between the values of a json column."""
    if b"\\" not in row:
        return row
    return (
        row.replace(b"\\\\", b"\x00")
        .replace(b"\\n", b" ")
        .replace(b"\\r", b" ")
        .replace(b"\\t", b" ")
        .replace(b"\x00", b"\\")
    )


def _query(table: Table, types: Types, prefix: str, moment: str) -> sql.Composed:
    """The same values as a change would bring: row_to_json takes apart what a change does not."""
    columns = [
        sql.SQL("{}::text as {}").format(sql.Identifier(name), sql.Identifier(name))
        if types[oid].is_structured
        else sql.Identifier(name)
        for name, oid in table.columns.items()
    ]
    return sql.SQL(
        """copy (select row_to_json(r) from (
            select {prefix} || lpad((row_number() over ())::text, 12, '0') as change_id,
                'insert' as op, {moment} as changed_at, {columns}
            from {table}
        ) r) to stdout"""
    ).format(
        prefix=sql.Literal(prefix),
        moment=sql.Literal(moment),
        columns=sql.SQL(", ").join(columns),
        table=table.identifier,
    )
