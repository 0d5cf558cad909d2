"""Is what a publish would show already what consumers see? Asked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warehouse import masks, snapshot_file, snapshots, versions
from warehouse.publish import PublicTable
from warehouse.settings import Settings
from warehouse.snapshots import PublishedTable
from warehouse.targets import on_postgres
from warehouse.versions import Version

CATALOG = "snapshot"

Said = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Shown:
    """What a snapshot knows of its tables: their states, which rows they hold, the words about
    their columns."""

    tables: tuple[PublishedTable, ...]
    versions: Mapping[str, Version]
    said: Said


def shows_already(settings: Settings, tables: Sequence[PublicTable]) -> bool:
    """Of every table the same build, the same reason why it stays, the same words about it."""
    snapshot_id = snapshots.current_id(settings)
    if snapshot_id is None:
        return False
    now = shown(settings, snapshot_id)
    key = masks.mask_key(settings) if any(each.masked for each in tables) else ""
    if any(
        now.versions[each.name].masks != versions.signature(each.masked, key)
        for each in tables
        if each.name in now.versions
    ):
        return False
    by_name = {each.name: each for each in now.tables}
    return by_name.keys() == {each.name for each in tables} and all(
        _is_shown(each, by_name[each.name], now.versions.get(each.name, Version()), now.said)
        for each in tables
    )


@on_postgres("warehouse.snapshot_rows.reading:shown")
def shown(settings: Settings, snapshot_id: str) -> Shown:
    """In one look."""
    with snapshots.reading(settings, snapshot_id) as connection:
        said = connection.execute(
            "select table_name, column_name, coalesce(comment, '') from duckdb_columns()"
            " where database_name = ?",
            [CATALOG],
        ).fetchall()
        return Shown(
            snapshots.read(settings, connection, snapshot_id).tables,
            snapshot_file.known_versions(connection, CATALOG),
            {(table, column): comment for table, column, comment in said},
        )


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
