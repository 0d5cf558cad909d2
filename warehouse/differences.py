"""What changed between two kept snapshots, table by table."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from warehouse import versions
from warehouse.connection import Connection
from warehouse.settings import Settings
from warehouse.snapshots import reading
from warehouse.targets import on_postgres


@dataclass(frozen=True)
class TableDifference:
    name: str
    rows_before: int | None
    rows_after: int | None
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    same_content: bool


@on_postgres("warehouse.snapshot_rows.comparing:differences")
def differences(settings: Settings, before: str, after: str) -> tuple[TableDifference, ...]:
    """What changed between two kept snapshots, table by table."""
    with reading(settings, before) as first, reading(settings, after) as second:
        old, new = _structure(first), _structure(second)
        same = _written_once(first, second)
        found: list[TableDifference] = []
        for name in sorted(old.keys() | new.keys()):
            was, now = old.get(name), new.get(name)
            new_content = _content(second, name, now, counted=name in same)
            old_content = new_content if name in same else _content(first, name, was)
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


def _structure(connection: Connection) -> dict[str, tuple[str, ...]]:
    rows = connection.execute(
        "select table_name, list(column_name order by column_index) from duckdb_columns()"
        " where schema_name = 'published' and table_name not like '\\_%' escape '\\' group by all"
    ).fetchall()
    return {name: tuple(columns) for name, columns in rows}


def _content(
    connection: Connection,
    name: str,
    columns: tuple[str, ...] | None,
    *,
    counted: bool = False,
) -> tuple[int, int | None] | None:
    """Row count and a hash of the rows as a bag, unless it is enough that they are counted."""
    if columns is None:
        return None
    total = "null" if counted else "sum(hash(t)::hugeint)"
    row = connection.execute(f'select count(*), {total} from published."{name}" as t').fetchone()
    return (int(row[0]), row[1]) if row else None


def _written_once(*snapshots: Connection) -> set[str]:
    """Tables whose rows the same publish wrote: they need not be read to be called the same."""
    found = [_origins(each) for each in snapshots]
    return {name for name, _ in set.intersection(*found)}


def _origins(connection: Connection) -> set[tuple[str, str]]:
    try:
        rows = connection.execute(
            f"select table_name, written_in from {versions.TABLE} where written_in <> ''"
        ).fetchall()
    except duckdb.CatalogException:
        return set()
    return set(rows)
