"""The clear copies of tables whose default ones are masked: a file beside each snapshot.

It lies in a folder that only the platform's own user may enter, bears the snapshot's id and is
there before the snapshot is, so that the one pointer switches both: nobody sees one snapshot's
masked tables with another's clear ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from warehouse import snapshot_file, snapshot_tables, snapshots, versions
from warehouse.connection import literal
from warehouse.disk import sync
from warehouse.settings import Settings
from warehouse.versions import Change, Relation

AREA: Final = "clear"
BEFORE: Final = "clear_before"
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600


@dataclass(frozen=True)
class ClearTable:
    """What is to be done with one table; `origin` has its rows in clear."""

    name: str
    change: Change
    origin: Relation
    is_fresh: bool
    partition_by: str


def before(
    connection: duckdb.DuckDBPyConnection, settings: Settings, base: str | None
) -> Mapping[str, Relation]:
    """By table, what the file beside an earlier snapshot holds."""
    path = snapshots.clear_path(settings, base) if base is not None else None
    if path is None or not path.exists():
        return {}
    connection.execute(f"attach {literal(str(path))} as {BEFORE} (read_only)")
    return _tables(connection, BEFORE)


def write(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    base: str | None,
    aside: Path,
    tables: Sequence[ClearTable],
) -> None:
    """Make the new file: the one before it with what has changed. What is not asked for leaves."""
    _begin(connection, settings, base, aside)
    there = _tables(connection, AREA)
    stay = {each.name for each in tables if _stays(each, there)}
    for name in there.keys() - stay:
        connection.execute(f"drop table {snapshot_tables.in_area(name, AREA)}")
    connection.execute(f"checkpoint {AREA}")
    connection.execute("begin transaction")
    connection.execute(f"create schema if not exists {AREA}.published")
    for each in tables:
        is_there = each.name in stay
        if is_there and (each.change.action == "kept" or not each.is_fresh):
            continue
        change = each.change if is_there else Change("whole", each.change.version)
        day = each.partition_by
        snapshot_tables.write(connection, each.name, each.origin, change, day, AREA)
    connection.execute("commit")
    connection.execute(f"checkpoint {AREA}")
    connection.execute(f"detach {AREA}")


def keep(settings: Settings, aside: Path, snapshot_id: str) -> None:
    """Give the file its name, before there is a snapshot of that name."""
    sync(aside)
    aside.replace(snapshots.clear_path(settings, snapshot_id))
    sync(snapshots.clear_folder(settings))


def aside_of(settings: Settings, snapshot_id: str) -> Path:
    return snapshots.clear_folder(settings) / f".{snapshot_id}.tmp"


def _begin(
    connection: duckdb.DuckDBPyConnection, settings: Settings, base: str | None, aside: Path
) -> None:
    folder = snapshots.clear_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    # Whatever somebody has set since.
    folder.chmod(FOLDER_MODE)
    attach = f"attach {literal(str(aside))} as {AREA}"
    previous = snapshots.clear_path(settings, base) if base is not None else None
    if previous is not None and previous.exists():
        snapshot_file.copy(previous, aside)
    connection.execute(attach)
    if not snapshot_file.is_mostly_used(connection, AREA):
        connection.execute(f"detach {AREA}")
        aside.unlink()
        connection.execute(attach)
    aside.chmod(FILE_MODE)


def _tables(connection: duckdb.DuckDBPyConnection, catalog: str) -> Mapping[str, Relation]:
    found = versions.relations(connection, catalog)
    return {key.partition(".")[2]: each for key, each in found.items()}


def _stays(table: ClearTable, there: Mapping[str, Relation]) -> bool:
    """As it is, or all but some days of it."""
    if table.name not in there:
        return False
    is_same = there[table.name].columns == table.origin.columns
    return not table.is_fresh or (is_same and table.change.action != "whole")
