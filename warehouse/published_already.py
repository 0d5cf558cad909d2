"""Is what a publish would show already what consumers see? Asked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from warehouse import masks, snapshot_file, snapshots, versions
from warehouse.publish import PublicTable
from warehouse.settings import Settings
from warehouse.snapshots import PublishedTable
from warehouse.targets import on_postgres
from warehouse.versions import Version

CATALOG = "snapshot"

Said = Mapping[tuple[str, str], str]


def shows_already(settings: Settings, tables: Sequence[PublicTable]) -> bool:
    """Of every table the same build, the same reason why it stays, the same words about it."""
    snapshot_id = snapshots.current_id(settings)
    if snapshot_id is None:
        return False
    shown = {each.name: each for each in snapshots.show(settings, snapshot_id).tables}
    known, said = versions_of(settings, snapshot_id), said_of_columns(settings, snapshot_id)
    key = masks.mask_key(settings) if any(each.masked for each in tables) else ""
    if any(
        known[each.name].masks != versions.signature(each.masked, key)
        for each in tables
        if each.name in known
    ):
        return False
    return shown.keys() == {each.name for each in tables} and all(
        _is_shown(each, shown[each.name], known.get(each.name, Version()), said) for each in tables
    )


@on_postgres("warehouse.snapshot_rows.reading:versions_of")
def versions_of(settings: Settings, snapshot_id: str) -> dict[str, Version]:
    """By table, which rows a snapshot shows."""
    with snapshots.reading(settings, snapshot_id) as connection:
        return snapshot_file.known_versions(connection, CATALOG)


@on_postgres("warehouse.snapshot_rows.reading:said_of_columns")
def said_of_columns(settings: Settings, snapshot_id: str) -> dict[tuple[str, str], str]:
    """By table and column, the words about it."""
    with snapshots.reading(settings, snapshot_id) as connection:
        rows = connection.execute(
            "select table_name, column_name, coalesce(comment, '') from duckdb_columns()"
            " where database_name = ?",
            [CATALOG],
        ).fetchall()
    return {(table, column): comment for table, column, comment in rows}


def _is_shown(table: PublicTable, shown: PublishedTable, version: Version, said: Said) -> bool:
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
