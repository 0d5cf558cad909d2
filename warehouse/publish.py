"""Publish: a new whole snapshot beside the old one, then one atomic switch.

The new file starts as a copy of the previous one, made by the kernel; only what changed since is
written. Consumers see the previous snapshot until the rename and the new one after it; a kill, a
full disk or an error at any point before leaves them where they were.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from warehouse import platform_log, retention, snapshot_file, snapshots, versions, workshop
from warehouse.clock import as_of, wall_clock
from warehouse.crash_points import crash_point
from warehouse.errors import PublishError
from warehouse.settings import Settings
from warehouse.snapshot_file import AREA, Base, relation_of
from warehouse.snapshots import PublicColumn, PublishedTable, Snapshot
from warehouse.switching import exclusive, explained, point_to, remove_leftovers, sync
from warehouse.versions import Version

__all__ = ["PublicTable", "publish"]

STILL_SERVED = "nothing was published, the previous snapshot is still served"


@dataclass(frozen=True)
class PublicTable:
    """A public dataset as the gates leave it: from the workshop if fresh, else as it was.

    `build` names the run that built and judged it: the same name, the same rows. Empty where
    nobody knows; then the rows are compared. `partition_by` is the day of a table of which a run
    rebuilds only the touched days.
    """

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
    build: str = ""
    partition_by: str = ""


@dataclass(frozen=True)
class Made:
    """A table of the new snapshot: what it shows, what it holds, what had to be written."""

    table: PublishedTable
    version: Version | None = None
    action: versions.Action = "kept"


def publish(settings: Settings, tables: Sequence[PublicTable], run_id: str) -> Snapshot:
    """Make and switch to a new snapshot. Call it as the workshop's one writer."""
    started = time.perf_counter()
    with exclusive(settings):
        remove_leftovers(settings)
        now = wall_clock()
        snapshot_id = f"{now:%Y%m%d-%H%M%S-%f}"
        aside = snapshots.folder(settings) / f".{snapshot_id}.tmp"
        previous = snapshots.current(settings)
        try:
            with explained(settings, STILL_SERVED):
                base = snapshot_file.base(settings, previous)
                made = _build(settings, aside, tables, base, snapshot_id, now, run_id)
                crash_point("publish.checkpointed")
                sync(aside)
                crash_point("publish.synced")
                aside.rename(snapshots.snapshot_path(settings, snapshot_id))
                sync(snapshots.folder(settings))
                crash_point("publish.renamed")
                point_to(settings, snapshot_id)
        except BaseException:
            remove_leftovers(settings)
            raise
        with explained(settings, f"snapshot {snapshot_id} is published, and not yet in the log"):
            gone = retention.prune(settings, now)
            crash_point("publish.pruned")
            snapshot = snapshots.show(settings, snapshot_id)
            seconds = time.perf_counter() - started
            platform_log.append(settings, snapshots.KIND, [_event(snapshot, made, gone, seconds)])
            crash_point("publish.logged")
    return snapshot


def _event(
    snapshot: Snapshot, made: Sequence[Made], gone: Sequence[str], seconds: float
) -> dict[str, object]:
    return {
        "event": "published",
        "snapshot_id": snapshot.snapshot_id,
        "run_id": snapshot.run_id,
        "as_of": snapshot.as_of.isoformat(),
        "seconds": round(seconds, 3),
        "size_bytes": snapshot.size_bytes,
        "removed": list(gone),
        "tables": [
            {
                "name": each.table.name,
                "state": each.table.state,
                "shows_snapshot": each.table.shows_snapshot,
                "row_count": each.table.row_count,
                "reason": each.table.reason,
                "written": each.action,
            }
            for each in made
        ],
    }


def _build(
    settings: Settings,
    aside: Path,
    tables: Sequence[PublicTable],
    base: Base | None,
    snapshot_id: str,
    now: datetime,
    run_id: str,
) -> list[Made]:
    connection = workshop.connect(settings)
    try:
        is_descendant = base is not None and versions.workshop_knows(
            connection, base.snapshot.snapshot_id
        )
        versions.leave_mark(connection, snapshot_id)
        crash_point("publish.begun")
        try:
            old = snapshot_file.attach(connection, aside, base)
            # One transaction: all tables are copied from the same state of the workshop.
            connection.execute("begin transaction")
            touches = versions.last_touches(connection)
            writing = _Writing(connection, snapshot_id, now, base, old, is_descendant, touches)
            connection.execute(f"create schema if not exists {AREA}.published")
            made = [writing.make(each) for each in tables]
            snapshot_file.drop_all_but(
                connection, {each.table.name for each in made if each.version is not None}
            )
            snapshot_file.describe(
                connection,
                snapshot_id,
                now,
                as_of(settings),
                run_id,
                [each.table for each in made],
                {each.table.name: each.version for each in made if each.version is not None},
            )
            crash_point("publish.tables_written")
            connection.execute("commit")
            crash_point("publish.committed")
            connection.execute(f"checkpoint {AREA}")
        except BaseException:
            _quietly(connection, "rollback")
            raise
        finally:
            _quietly(connection, f"detach {snapshot_file.PREVIOUS}")
            _quietly(connection, f"detach {AREA}")
    finally:
        connection.close()
    return made


@dataclass(frozen=True)
class _Writing:
    """One snapshot under way."""

    connection: duckdb.DuckDBPyConnection
    snapshot_id: str
    now: datetime
    base: Base | None
    old: str
    """The catalog that holds the previous tables: the new file itself if it is a copy."""
    is_descendant: bool
    touches: Mapping[str, int]

    def make(self, table: PublicTable) -> Made:
        before = self.base.snapshot.table(table.name) if self.base is not None else None
        if before is not None and before.state == "absent":
            before = None
        if table.fresh:
            version, action = self._fresh(table, before)
            shows, since = self.snapshot_id, self.now
        elif before is None:
            return Made(_row(table, "absent", None, None, None))
        else:
            version, action = self._kept(table.name, self._version(table.name)), "kept"
            shows, since = str(before.shows_snapshot), before.shows_since or self.now
        target = relation_of(AREA, table.name)
        snapshot_file.comment(self.connection, table.name, table.description, table.columns)
        rows = snapshot_file.count(self.connection, target)
        state: snapshots.TableState = "fresh" if table.fresh else "stale"
        return Made(_row(table, state, shows, since, rows), version, action)

    def _fresh(
        self, table: PublicTable, before: PublishedTable | None
    ) -> tuple[Version, versions.Action]:
        now = Version(table.build, self.touches.get(table.name), "", self.snapshot_id)
        known = self._version(table.name) if before is not None else None
        try:
            change = versions.change(
                self.connection,
                table.relation,
                relation_of(self.old, table.name),
                now,
                known,
                partition_by=table.partition_by,
                is_descendant=self.is_descendant,
            )
        except duckdb.CatalogException as error:
            raise PublishError(
                f"{table.relation} cannot be published: {str(error).splitlines()[0]}",
                remedy=f"Build it first: `sluice run --select {table.name}`.",
            ) from error
        if change.action == "kept":
            return self._kept(table.name, change.version), "kept"
        if change.action == "days" and self.old != AREA:
            change = replace(change, action="whole")
        snapshot_file.write(self.connection, table.name, table.relation, change, table.partition_by)
        return change.version, change.action

    def _kept(self, name: str, version: Version) -> Version:
        if self.old != AREA:
            self.connection.execute(
                f"create table {relation_of(AREA, name)} as"
                f" select * from {relation_of(self.old, name)}"
            )
        return version

    def _version(self, name: str) -> Version:
        known = self.base.versions.get(name) if self.base is not None else None
        return known if known is not None else Version()


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


def _quietly(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Tidy up on the way out: the error already under way is the one to tell."""
    try:
        connection.execute(statement)
    except duckdb.Error:
        return
