"""Is what a publish would show already what consumers see? Asked before a file is made for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from warehouse import snapshots
from warehouse.publish import PublicTable
from warehouse.settings import Settings
from warehouse.snapshot_file import versions_in
from warehouse.snapshots import PublishedTable
from warehouse.versions import Version

CATALOG = "snapshot"


def shows_already(settings: Settings, tables: Sequence[PublicTable]) -> bool:
    """Of every table the same build, the same reason why it stays, the same words about it."""
    snapshot_id = snapshots.current_id(settings)
    if snapshot_id is None or not snapshots.snapshot_path(settings, snapshot_id).exists():
        return False
    with snapshots.reading(settings, snapshot_id) as connection:
        shown = {
            each.name: each for each in snapshots.read(settings, connection, snapshot_id).tables
        }
        known = versions_in(connection, CATALOG)
        said = _said_of_columns(connection)
    return shown.keys() == {each.name for each in tables} and all(
        _is_shown(each, shown[each.name], known.get(each.name, Version()), said) for each in tables
    )


def _is_shown(
    table: PublicTable,
    shown: PublishedTable,
    version: Version,
    said: Mapping[tuple[str, str], str],
) -> bool:
    # Without a build nobody knows whether the rows are the same.
    state = (
        shown.state == "fresh" and version.build == table.build != ""
        if table.fresh
        else shown.state != "fresh"
        and (shown.reason, shown.stale_since) == (table.reason, table.since)
    )
    words = ("owner", "tier", "classification", "description")
    return (
        state
        and all(getattr(table, each) == getattr(shown, each) for each in words)
        and all(
            said.get((table.name, each.name), each.description) == each.description
            for each in table.columns
        )
    )


def _said_of_columns(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    rows = connection.execute(
        "select table_name, column_name, coalesce(comment, '') from duckdb_columns()"
        " where database_name = ?",
        [CATALOG],
    ).fetchall()
    return {(table, column): comment for table, column, comment in rows}
