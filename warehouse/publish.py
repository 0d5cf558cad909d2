"""Publish: a new whole snapshot beside the old one, then one atomic switch.

Consumers see the previous snapshot until the rename and the new one after it; a kill, a full
disk or an error at any point before leaves them where they were.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from warehouse import platform_log, snapshots, workshop
from warehouse.clock import as_of, wall_clock
from warehouse.errors import PublishError, SluiceError
from warehouse.settings import Settings
from warehouse.snapshots import PublicColumn, PublishedTable, Snapshot

AREA = "publishing"
PREVIOUS = "previous"
DISK_FULL = ("no space left", "file too large", "disk quota")


@dataclass(frozen=True)
class PublicTable:
    """A public dataset as the gates leave it: from the workshop if fresh, else as it was."""

    name: str
    relation: str
    fresh: bool
    reason: str = ""
    since: datetime | None = None
    owner: str = ""
    tier: int = 3
    classification: str = "internal"
    description: str = ""
    columns: tuple[PublicColumn, ...] = ()


def publish(settings: Settings, tables: Sequence[PublicTable], run_id: str) -> Snapshot:
    """Make and switch to a new snapshot. Call it as the workshop's one writer."""
    started = time.perf_counter()
    with snapshots.exclusive(settings):
        snapshots.remove_leftovers(settings)
        now = wall_clock()
        snapshot_id = f"{now:%Y%m%d-%H%M%S-%f}"
        aside = snapshots.folder(settings) / f".{snapshot_id}.tmp"
        previous = snapshots.current(settings)
        try:
            _build(settings, aside, tables, previous, snapshot_id, now, run_id)
            snapshots.sync(aside)
            aside.rename(snapshots.snapshot_path(settings, snapshot_id))
            snapshots.sync(snapshots.folder(settings))
            snapshots.point_to(settings, snapshot_id)
        except (duckdb.Error, OSError) as error:
            snapshots.remove_leftovers(settings)
            raise _explained(settings, error) from error
        except BaseException:
            snapshots.remove_leftovers(settings)
            raise
        gone = snapshots.prune(settings)
        snapshot = snapshots.show(settings, snapshot_id)
    platform_log.append(
        settings,
        snapshots.KIND,
        [
            {
                "event": "published",
                "snapshot_id": snapshot_id,
                "run_id": run_id,
                "as_of": snapshot.as_of.isoformat(),
                "seconds": round(time.perf_counter() - started, 3),
                "size_bytes": snapshot.size_bytes,
                "removed": list(gone),
                "tables": [
                    {
                        "name": table.name,
                        "state": table.state,
                        "shows_snapshot": table.shows_snapshot,
                        "row_count": table.row_count,
                        "reason": table.reason,
                    }
                    for table in snapshot.tables
                ],
            }
        ],
    )
    return snapshot


def _build(
    settings: Settings,
    aside: Path,
    tables: Sequence[PublicTable],
    previous: Snapshot | None,
    snapshot_id: str,
    now: datetime,
    run_id: str,
) -> None:
    connection = workshop.connect(settings)
    try:
        connection.execute(f"attach '{_quoted(str(aside))}' as {AREA}")
        try:
            if previous is not None:
                old = _quoted(str(previous.path.resolve()))
                connection.execute(f"attach '{old}' as {PREVIOUS} (read_only)")
            # One transaction: all tables are copied from the same state of the workshop.
            connection.execute("begin transaction")
            connection.execute(f"create schema {AREA}.published")
            made = [_copy(connection, each, previous, snapshot_id, now) for each in tables]
            _describe(connection, made, snapshot_id, now, as_of(settings), run_id)
            connection.execute("commit")
            connection.execute(f"checkpoint {AREA}")
        except BaseException:
            _quietly(connection, "rollback")
            raise
        finally:
            _quietly(connection, f"detach {PREVIOUS}")
            _quietly(connection, f"detach {AREA}")
    finally:
        connection.close()


def _copy(
    connection: duckdb.DuckDBPyConnection,
    table: PublicTable,
    previous: Snapshot | None,
    snapshot_id: str,
    now: datetime,
) -> PublishedTable:
    target = f'{AREA}.published."{table.name}"'
    before = previous.table(table.name) if previous is not None else None
    if table.fresh:
        # Named in full: the workshop's catalog is the one this connection opened.
        try:
            connection.execute(f"create table {target} as select * from {table.relation}")
        except duckdb.CatalogException as error:
            raise PublishError(
                f"{table.relation} cannot be published: {str(error).splitlines()[0]}",
                remedy=f"Build it first: `sluice run --select {table.name}`.",
            ) from error
        shows, since = snapshot_id, now
    elif before is None or before.state == "absent":
        return _row(table, "absent", None, None, None)
    else:
        connection.execute(
            f'create table {target} as select * from {PREVIOUS}.published."{table.name}"'
        )
        shows, since = str(before.shows_snapshot), before.shows_since or now
    _comment(connection, target, table)
    count = connection.execute(f"select count(*) from {target}").fetchone()
    state: snapshots.TableState = "fresh" if table.fresh else "stale"
    return _row(table, state, shows, since, int(count[0]) if count else 0)


def _row(
    table: PublicTable,
    state: snapshots.TableState,
    shows: str | None,
    since: datetime | None,
    rows: int | None,
) -> PublishedTable:
    fresh = state == "fresh"
    return PublishedTable(
        table.name,
        state,
        shows,
        since,
        None if fresh else table.since,
        "" if fresh else table.reason,
        rows,
        table.owner,
        table.tier,
        table.classification,
        table.description,
    )


def _comment(connection: duckdb.DuckDBPyConnection, target: str, table: PublicTable) -> None:
    if table.description:
        connection.execute(f"comment on table {target} is '{_quoted(table.description)}'")
    present = {row[0] for row in connection.execute(f"describe {target}").fetchall()}
    for column in table.columns:
        if column.description and column.name in present:
            text = _quoted(column.description)
            connection.execute(f"comment on column {target}.\"{column.name}\" is '{text}'")


def _describe(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[PublishedTable],
    snapshot_id: str,
    now: datetime,
    data_as_of: datetime,
    run_id: str,
) -> None:
    connection.execute(
        f"create table {AREA}.published._publish as select ?::varchar as snapshot_id,"
        " ?::timestamptz as published_at, ?::timestamptz as as_of, ?::varchar as run_id",
        [snapshot_id, now, data_as_of, run_id],
    )
    connection.execute(
        f"create table {AREA}.{snapshots.STATES_TABLE} (table_name varchar primary key,"
        " state varchar not null, shows_snapshot varchar, shows_since timestamptz,"
        " stale_since timestamptz, reason varchar, row_count bigint, owner varchar, tier integer,"
        " classification varchar, description varchar)"
    )
    if tables:
        connection.executemany(
            f"insert into {AREA}.{snapshots.STATES_TABLE} values (?,?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    each.name,
                    each.state,
                    each.shows_snapshot,
                    each.shows_since,
                    each.stale_since,
                    each.reason,
                    each.row_count,
                    each.owner,
                    each.tier,
                    each.classification,
                    each.description,
                )
                for each in tables
            ],
        )


def _explained(settings: Settings, error: Exception) -> SluiceError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if full or any(sign in str(error).lower() for sign in DISK_FULL):
        return PublishError(
            f"The disk that holds {settings.published_dir} is full: nothing was published, the "
            "previous snapshot is still served.",
            remedy="Free space, or lower SLUICE_KEEP_SNAPSHOTS, then run again.",
        )
    return PublishError(
        f"Publishing failed, the previous snapshot is still served: {text}",
        remedy="Run again; if it repeats, rebuild the table that the message names.",
    )


def _quietly(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Tidy up on the way out: the error already under way is the one to tell."""
    try:
        connection.execute(statement)
    except duckdb.Error:
        return


def _quoted(text: str) -> str:
    return text.replace("'", "''")
