"""What changed between two kept snapshots, table by table."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from warehouse.settings import Settings
from warehouse.snapshots import reading


@dataclass(frozen=True)
class TableDifference:
    name: str
    rows_before: int | None
    rows_after: int | None
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    same_content: bool


def differences(settings: Settings, before: str, after: str) -> tuple[TableDifference, ...]:
    """What changed between two kept snapshots, table by table."""
    with reading(settings, before) as first, reading(settings, after) as second:
        old, new = _structure(first), _structure(second)
        found: list[TableDifference] = []
        for name in sorted(old.keys() | new.keys()):
            was, now = old.get(name), new.get(name)
            old_content = _content(first, name, was)
            new_content = _content(second, name, now)
            found.append(
                TableDifference(
                    name,
                    old_content[0] if old_content else None,
                    new_content[0] if new_content else None,
                    tuple(column for column in now or () if column not in (was or ())),
                    tuple(column for column in was or () if column not in (now or ())),
                    was == now and old_content == new_content,
                )
            )
    return tuple(found)


def _structure(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
    rows = connection.execute(
        "select table_name, list(column_name order by column_index) from duckdb_columns()"
        " where schema_name = 'published' and table_name not like '\\_%' escape '\\' group by all"
    ).fetchall()
    return {name: tuple(columns) for name, columns in rows}


def _content(
    connection: duckdb.DuckDBPyConnection, name: str, columns: tuple[str, ...] | None
) -> tuple[int, int | None] | None:
    """Row count and a hash of the rows as a bag."""
    if columns is None:
        return None
    row = connection.execute(
        f'select count(*), sum(hash(t)::hugeint) from published."{name}" as t'
    ).fetchone()
    return (int(row[0]), row[1]) if row else None
