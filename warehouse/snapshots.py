"""Published snapshots: whole, immutable files, and the one pointer that says which is current.

On PostgreSQL they are rows (warehouse/snapshot_rows), asked for by the same names.

A reader opens the file that the pointer names at that moment and keeps it: later publishes
neither wait for it nor change what it sees, even when its file is no longer kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb

from warehouse.connection import Connection, literal
from warehouse.errors import WRONG_USE, PublishError
from warehouse.settings import Settings
from warehouse.targets import on_postgres

KIND = "publishes"
SUFFIX = ".duckdb"
_ID = re.compile(r"\d{8}-\d{6}(-\d+)?")
TableState = Literal["fresh", "stale", "absent"]
STATES_TABLE = "published._snapshot"


@dataclass(frozen=True)
class PublicColumn:
    name: str
    description: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """One row of published._snapshot: which state of the table this snapshot shows, and why."""

    name: str
    state: TableState
    shows_snapshot: str | None
    shows_since: datetime | None
    stale_since: datetime | None
    reason: str
    row_count: int | None
    owner: str
    tier: int
    classification: str
    description: str


@dataclass(frozen=True)
class Snapshot:
    snapshot_id: str
    path: Path | None
    published_at: datetime
    as_of: datetime
    run_id: str
    tables: tuple[PublishedTable, ...]
    is_current: bool
    size_bytes: int

    @property
    def stale(self) -> tuple[PublishedTable, ...]:
        return tuple(table for table in self.tables if table.state != "fresh")

    def table(self, name: str) -> PublishedTable | None:
        return next((each for each in self.tables if each.name == name), None)


def folder(settings: Settings) -> Path:
    return settings.published_dir / "snapshots"


def snapshot_path(settings: Settings, snapshot_id: str) -> Path:
    return folder(settings) / f"{snapshot_id}{SUFFIX}"


def clear_folder(settings: Settings) -> Path:
    """Where the clear copies of masked tables lie."""
    return settings.published_dir / "privileged"


def clear_path(settings: Settings, snapshot_id: str) -> Path:
    return clear_folder(settings) / f"{snapshot_id}{SUFFIX}"


@on_postgres("warehouse.snapshot_rows.reading:ids")
def ids(settings: Settings) -> list[str]:
    """Kept snapshots, the newest first."""
    if not folder(settings).is_dir():
        return []
    found = [
        path.stem
        for path in folder(settings).iterdir()
        if path.suffix == SUFFIX and not path.name.startswith(".")
    ]
    return sorted(found, reverse=True)


@on_postgres("warehouse.snapshot_rows.reading:current_id")
def current_id(settings: Settings) -> str | None:
    try:
        return settings.published_path.readlink().stem
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PublishError(
            f"{settings.published_path} is not the link that a publish makes.",
            remedy="Move it away, then `sluice published rollback <id>` links to a snapshot again.",
        ) from error


def current(settings: Settings) -> Snapshot | None:
    """What consumers see; None before the first publish."""
    for _ in range(10):
        snapshot_id = current_id(settings)
        if snapshot_id is None:
            return None
        try:
            return show(settings, snapshot_id)
        except PublishError:
            # A publish moved the pointer on and let this one go between the two reads.
            if current_id(settings) == snapshot_id:
                raise
    raise PublishError("The published pointer keeps moving.", remedy="Try again.")


@on_postgres("warehouse.snapshot_rows.reading:kept")
def kept(settings: Settings) -> tuple[Snapshot, ...]:
    return tuple(show(settings, snapshot_id) for snapshot_id in ids(settings))


@on_postgres("warehouse.snapshot_rows.reading:show")
def show(settings: Settings, snapshot_id: str) -> Snapshot:
    with reading(settings, snapshot_id) as connection:
        return read(settings, connection, snapshot_id)


def read(
    settings: Settings, connection: Connection, snapshot_id: str, catalog: str = ""
) -> Snapshot:
    """What an attached snapshot says of itself (by `catalog`, unless it is the current one)."""
    prefix = f"{catalog}." if catalog else ""
    [[published_at, as_of, run_id]] = connection.execute(
        f"select published_at, as_of, run_id from {prefix}published._publish"
    ).fetchall()
    tables = connection.execute(
        "select table_name, state, shows_snapshot, shows_since, stale_since, reason,"
        f" row_count, owner, tier, classification, description from {prefix}{STATES_TABLE}"
        " order by table_name"
    ).fetchall()
    path = snapshot_path(settings, snapshot_id)
    return Snapshot(
        snapshot_id,
        path,
        published_at,
        as_of,
        run_id,
        tuple(PublishedTable(*row) for row in tables),
        current_id(settings) == snapshot_id,
        path.stat().st_size,
    )


@on_postgres("warehouse.snapshot_rows.reading:open_published")
def open_published(
    settings: Settings, snapshot_id: str | None = None, *, clear: bool = False
) -> Connection:
    """A locked, read-only connection to one whole snapshot, `published` being its schema.

    SQL on it can read this file and nothing else. The pointer is resolved once, so a publish
    during the connection's life changes nothing for it. `clear`: what is masked is shown as it is,
    to who may read the file beside the snapshot; whoever asks for it logs it first.
    """
    for _ in range(10):
        wanted = snapshot_id or current_id(settings)
        if wanted is None:
            raise PublishError(
                "Nothing is published yet.", remedy="Publish a first snapshot with `sluice run`."
            )
        path = snapshot_path(settings, wanted)
        if not path.exists():
            # A publish may let the file go between reading the pointer and opening it.
            if snapshot_id is None and current_id(settings) != wanted:
                continue
            raise gone(wanted, ids(settings))
        beside = clear_path(settings, wanted) if clear else None
        try:
            return _locked_down(settings, path, beside)
        except duckdb.CatalogException as error:
            raise foreign(path) from error
        except duckdb.IOException as error:
            if snapshot_id is None and current_id(settings) != wanted:
                continue
            raise PublishError(
                f"Snapshot {wanted} cannot be opened: {str(error).splitlines()[0]}",
                remedy="Go back to another one: `sluice published rollback <id>`.",
            ) from error
    raise PublishError("The published pointer keeps moving.", remedy="Try again.")


def _locked_down(settings: Settings, path: Path, beside: Path | None) -> duckdb.DuckDBPyConnection:
    # In an instance of its own: DuckDB shares one per file and process, so that locking that
    # one would lock everybody else in this process who reads the file.
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set temp_directory = {literal(str(settings.own_dir / '.tmp'))}")
        if settings.duckdb_memory_limit:
            connection.execute(f"set memory_limit = '{settings.duckdb_memory_limit}'")
        connection.execute(f"attach {literal(str(path.resolve()))} as snapshot (read_only)")
        connection.execute("use snapshot.published")
        if beside is not None:
            _with_clear_tables(connection, beside)
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _with_clear_tables(connection: duckdb.DuckDBPyConnection, beside: Path) -> None:
    """Every table under its name: clear where there is a clear copy, else as all see it."""
    found = {"snapshot": _names(connection, "snapshot")}
    if _is_there(beside):
        connection.execute(f"attach {literal(str(beside))} as clear (read_only)")
        found["clear"] = _names(connection, "clear")
    connection.execute("create schema memory.published")
    for name in found["snapshot"]:
        origin = "clear" if name in found.get("clear", ()) else "snapshot"
        connection.execute(
            f'create view memory.published."{name}" as select * from {origin}.published."{name}"'
        )
    connection.execute("use memory.published")


def _is_there(beside: Path) -> bool:
    """Where nothing is masked there is no clear copy; where nobody may look, that is an error."""
    try:
        beside.stat()
        with beside.open("rb"):
            return True
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise PublishError(
            f"Only the platform's own user may read {beside}.",
            remedy="Ask whoever runs the platform, or read the masked tables: without --audience.",
        ) from error


def _names(connection: duckdb.DuckDBPyConnection, catalog: str) -> set[str]:
    rows = connection.execute(
        "select table_name from duckdb_tables() where database_name = ?", [catalog]
    ).fetchall()
    return {name for (name,) in rows}


@contextmanager
def reading(settings: Settings, snapshot_id: str) -> Iterator[Connection]:
    connection = open_published(settings, snapshot_id)
    try:
        yield connection
    except duckdb.CatalogException as error:
        raise foreign(snapshot_path(settings, snapshot_id)) from error
    finally:
        connection.close()


def foreign(path: Path) -> PublishError:
    return PublishError(
        f"{path} is not a snapshot that Sluice made.",
        remedy="Move the file away; `sluice published list` shows the others.",
    )


def is_id(text: str) -> bool:
    return bool(_ID.fullmatch(text))


def gone(snapshot_id: str, kept: Iterable[str]) -> PublishError:
    if not is_id(snapshot_id):
        return PublishError(
            f"{snapshot_id!r} is no snapshot's id.",
            remedy="`sluice published list` shows the ids, such as 20261125-065220-567847.",
            exit_code=WRONG_USE,
        )
    return PublishError(
        f"Snapshot {snapshot_id} is not kept (kept: {', '.join(kept) or 'none'}).",
        remedy="Choose one of these, or raise SLUICE_KEEP_SNAPSHOTS to keep more.",
        exit_code=WRONG_USE,
    )
