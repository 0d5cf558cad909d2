"""What is in a snapshot's file: the public tables with their comments, and its own three tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime

import duckdb

from warehouse import versions
from warehouse.connection import literal
from warehouse.snapshot_file import AREA
from warehouse.snapshots import STATES_TABLE, PublicColumn, PublishedTable
from warehouse.versions import Change, Relation, Version

OWN = ("_publish", "_snapshot", "_versions")


def in_area(name: str, area: str = AREA) -> str:
    return f'{area}.published."{name}"'


def write(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    origin: Relation,
    change: Change,
    day: str,
    area: str = AREA,
) -> None:
    """Bring a table to what its origin holds: only the changed days of it, or all."""
    target, selected = in_area(name, area), ", ".join(origin.expressions)
    if change.action == "days":
        days = ", ".join(f"date '{each}'" for each in change.days)
        among = f'"{day}" in ({days})'
        connection.execute(f"delete from {target} where {among}")
        connection.execute(
            f"insert into {target} select {selected} from {origin.name} where {among}"
            " order by rowid"
        )
        if count(connection, target) == count(connection, origin.name):
            return
        # Whatever made them differ: the rows of the workshop are the ones that passed.
        connection.execute(f"drop table {target}")
    connection.execute(f"create table {target} as select {selected} from {origin.name}")


def count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    [[found]] = connection.execute(f"select count(*) from {relation}").fetchall()
    return int(found)


def comment(
    connection: duckdb.DuckDBPyConnection,
    tables: Iterable[tuple[str, str, Sequence[PublicColumn]]],
) -> None:
    """Say what tables and columns are, where the file does not say so already."""
    of_tables = dict(
        connection.execute(
            "select table_name, comment from duckdb_tables() where database_name = ?", [AREA]
        ).fetchall()
    )
    of_columns = {
        (table, column): said
        for table, column, said in connection.execute(
            "select table_name, column_name, comment from duckdb_columns() where database_name = ?",
            [AREA],
        ).fetchall()
    }
    for name, description, columns in tables:
        if (of_tables[name] or "") != description:
            connection.execute(f"comment on table {in_area(name)} is {literal(description)}")
        for column in columns:
            said = of_columns.get((name, column.name), column.description) or ""
            if said != column.description:
                connection.execute(
                    f'comment on column {in_area(name)}."{column.name}"'
                    f" is {literal(column.description)}"
                )


def describe(
    connection: duckdb.DuckDBPyConnection,
    snapshot_id: str,
    published_at: datetime,
    as_of: datetime,
    run_id: str,
    tables: Sequence[PublishedTable],
    known: Mapping[str, Version],
) -> None:
    """Which snapshot this is, each table's state, each table's version."""
    connection.execute(
        f"create table {AREA}.published._publish as select ?::varchar as snapshot_id,"
        " ?::timestamptz as published_at, ?::timestamptz as as_of, ?::varchar as run_id",
        [snapshot_id, published_at, as_of, run_id],
    )
    connection.execute(
        f"create table {AREA}.{STATES_TABLE} (table_name varchar primary key,"
        " state varchar not null, shows_snapshot varchar, shows_since timestamptz,"
        " stale_since timestamptz, reason varchar, row_count bigint, owner varchar, tier integer,"
        " classification varchar, description varchar)"
    )
    _insert(connection, STATES_TABLE, [astuple(each) for each in tables])
    connection.execute(
        f"create table {AREA}.{versions.TABLE} (table_name varchar, build varchar,"
        " touches bigint, content varchar, written_in varchar, masks varchar)"
    )
    _insert(
        connection, versions.TABLE, [(name, *astuple(each)) for name, each in sorted(known.items())]
    )


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]
) -> None:
    """In one statement: row by row, these few rows would cost more than the changed tables."""
    if rows:
        places = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in rows)
        connection.execute(
            f"insert into {AREA}.{table} values {places}", [each for row in rows for each in row]
        )
