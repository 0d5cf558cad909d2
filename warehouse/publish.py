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

from warehouse import (
    clear_tables,
    history,
    masks,
    platform_log,
    remasking,
    retention,
    snapshot_file,
    snapshot_tables,
    snapshots,
    versions,
    workshop,
)
from warehouse.audiences import Audience
from warehouse.clear_tables import ClearTable
from warehouse.clock import as_of, wall_clock
from warehouse.crash_points import crash_point
from warehouse.disk import sync
from warehouse.errors import PublishError
from warehouse.settings import Settings
from warehouse.snapshot_file import AREA, Base
from warehouse.snapshots import PublicColumn, PublishedTable, Snapshot
from warehouse.switching import exclusive, explained, point_to, remove_leftovers
from warehouse.targets import on_postgres
from warehouse.versions import Change, Relation, Version

__all__ = ["PublicTable", "publish"]

STILL_SERVED = "nothing was published, the previous snapshot is still served"


@dataclass(frozen=True)
class PublicTable:
    """A public dataset as the gates leave it: from the workshop if fresh, else as it was.

    `build` names the run that built and judged it: the same name, the same rows. Empty where
    nobody knows; then the rows are compared. `partition_by` is the day of a table of which a run
    rebuilds only the touched days. `key` and `indexes` are columns by which consumers look rows up;
    only PostgreSQL has indexes. `masked` are its personal columns: hashes in what everybody
    reads, clear beside it. `audiences` is what each role sees: only PostgreSQL has roles.
    `is_about_platform` is what is derived from the platform's own log.
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
    masked: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    audiences: tuple[Audience, ...] = ()
    is_about_platform: bool = False


@dataclass(frozen=True)
class Planned:
    """A public table and what is to be done with it; no change where nothing of it ever passed."""

    table: PublicTable
    change: Change | None
    origin: Relation | None
    before: PublishedTable | None
    is_copied: bool
    clear: Relation | None = None
    """Its rows without any mask, where it has one."""

    @property
    def stays_in_place(self) -> bool:
        """The copied file holds it already, wholly or but for some days."""
        return self.is_copied and self.change is not None and self.change.action != "whole"


@dataclass(frozen=True)
class Made:
    """A table of the new snapshot: what it shows, and what had to be written for it."""

    table: PublishedTable
    action: versions.Action = "kept"


@on_postgres("warehouse.snapshot_rows.publishing:publish")
def publish(settings: Settings, tables: Sequence[PublicTable], run_id: str) -> Snapshot:
    """Make and switch to a new snapshot. Call it as the workshop's one writer."""
    started = time.perf_counter()
    with exclusive(settings):
        remove_leftovers(settings)
        with explained(settings, STILL_SERVED):
            history.catch_up(settings)
        now = wall_clock()
        snapshot_id = f"{now:%Y%m%d-%H%M%S-%f}"
        aside = snapshots.folder(settings) / f".{snapshot_id}.tmp"
        clear_aside = clear_tables.aside_of(settings, snapshot_id)
        try:
            with explained(settings, STILL_SERVED):
                made = _build(settings, aside, clear_aside, tables, snapshot_id, now, run_id)
                crash_point("publish.checkpointed")
                sync(aside)
                crash_point("publish.synced")
                if clear_aside.exists():
                    clear_tables.keep(settings, clear_aside, snapshot_id)
                crash_point("publish.clear_kept")
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
            remasking.remask_kept(settings, {each.name: each.masked for each in tables})
            snapshot = snapshots.show(settings, snapshot_id)
            seconds = time.perf_counter() - started
            platform_log.append(
                settings, snapshots.KIND, [event(snapshot, tables, made, gone, seconds)]
            )
            crash_point("publish.logged")
    return snapshot


def event(
    snapshot: Snapshot,
    tables: Sequence[PublicTable],
    made: Sequence[Made],
    gone: Sequence[str],
    seconds: float,
) -> dict[str, object]:
    about_platform = {each.name: each.is_about_platform for each in tables}
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
                "is_about_platform": about_platform.get(each.table.name, False),
            }
            for each in made
        ],
    }


def _build(
    settings: Settings,
    aside: Path,
    clear_aside: Path,
    tables: Sequence[PublicTable],
    snapshot_id: str,
    now: datetime,
    run_id: str,
) -> list[Made]:
    connection = workshop.connect_file(settings)
    try:
        versions.leave_mark(connection, snapshot_id)
        crash_point("publish.begun")
        try:
            signatures = _signatures(connection, settings, tables)
            base = snapshot_file.begin(connection, settings, aside, signatures)
            crash_point("publish.file_made")
            base_id = base.snapshot.snapshot_id if base is not None else None
            clear = clear_tables.before(connection, settings, base_id)
            planned = _plan(connection, tables, base, snapshot_id, signatures, clear)
            to_clear = [found for each in planned if (found := _clear_table(each)) is not None]
            if to_clear:
                clear_tables.write(connection, settings, base_id, clear_aside, to_clear)
            crash_point("publish.clear_written")
            if base is not None and base.is_copied:
                stay = {each.table.name for each in planned if each.stays_in_place}
                there = {key.partition(".")[2] for key in versions.relations(connection, AREA)}
                snapshot_file.free_room(connection, there - stay)
            # One transaction: all tables are copied from the same state of the workshop.
            connection.execute("begin transaction")
            connection.execute(f"create schema if not exists {AREA}.published")
            made = [_make(connection, each, snapshot_id, now) for each in planned]
            present = [each for each in planned if each.change is not None]
            snapshot_tables.comment(
                connection,
                [(each.table.name, each.table.description, each.table.columns) for each in present],
            )
            snapshot_tables.describe(
                connection,
                snapshot_id,
                now,
                as_of(settings),
                run_id,
                [each.table for each in made],
                {each.table.name: each.change.version for each in planned if each.change},
            )
            crash_point("publish.tables_written")
            connection.execute("commit")
            crash_point("publish.committed")
            connection.execute(f"checkpoint {AREA}")
        except BaseException:
            _quietly(connection, "rollback")
            raise
        finally:
            for each in (snapshot_file.PREVIOUS, clear_tables.BEFORE, clear_tables.AREA, AREA):
                _quietly(connection, f"detach {each}")
    finally:
        connection.close()
    return made


def _plan(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[PublicTable],
    base: Base | None,
    snapshot_id: str,
    signatures: Mapping[str, str],
    clear: Mapping[str, Relation],
) -> list[Planned]:
    """What is to be done with each table. Nobody else writes the workshop meanwhile."""
    here = versions.relations(connection)
    published = versions.relations(connection, base.catalog) if base is not None else {}
    touches = versions.last_touches(connection)
    known = base.versions if base is not None else {}
    is_copied = base is not None and base.is_copied
    is_descendant = base is not None and versions.workshop_knows(
        connection, base.snapshot.snapshot_id
    )
    planned: list[Planned] = []
    for table in tables:
        before = base.snapshot.table(table.name) if base is not None else None
        previous = published.get(f"published.{table.name}")
        version, signature = known.get(table.name, Version()), signatures[table.name]
        if not table.fresh:
            unmasked = clear.get(table.name) or (None if version.masks else previous)
            if version.masks != signature:
                previous = unmasked.with_masks(table.masked) if unmasked else None
            version = replace(version, masks=signature)
            change = Change("kept", version) if previous and before else None
            planned.append(Planned(table, change, previous, before, is_copied, unmasked))
            continue
        built = here.get(table.relation)
        if built is None:
            raise never_built(table)
        relation = built.with_masks(table.masked)
        change = versions.change(
            connection,
            relation,
            previous,
            Version(table.build, touches.get(table.name), "", snapshot_id, signature),
            version,
            partition_by=table.partition_by,
            is_descendant=is_descendant,
        )
        if change.action == "days" and not is_copied:
            change = replace(change, action="whole")
        origin = previous if change.action == "kept" else relation
        planned.append(Planned(table, change, origin, before, is_copied, built))
    return planned


def _signatures(
    connection: duckdb.DuckDBPyConnection, settings: Settings, tables: Sequence[PublicTable]
) -> dict[str, str]:
    """How each table is masked; the connection learns the key, if any of them is."""
    if not any(each.masked for each in tables):
        return dict.fromkeys((each.name for each in tables), "")
    key = masks.give_key(connection, settings)
    return {each.name: versions.signature(each.masked, key) for each in tables}


def _clear_table(planned: Planned) -> ClearTable | None:
    table, change, clear = planned.table, planned.change, planned.clear
    if not table.masked or change is None or clear is None:
        return None
    return ClearTable(table.name, change, clear, table.fresh, table.partition_by)


def _make(
    connection: duckdb.DuckDBPyConnection,
    planned: Planned,
    snapshot_id: str,
    now: datetime,
) -> Made:
    table, change, before = planned.table, planned.change, planned.before
    if change is None or planned.origin is None:
        return Made(told_of(table, "absent", None, None, None))
    if change.action != "kept" or not planned.is_copied:
        snapshot_tables.write(connection, table.name, planned.origin, change, table.partition_by)
    rows = snapshot_tables.count(connection, snapshot_tables.in_area(table.name))
    if table.fresh or before is None:
        return Made(told_of(table, "fresh", snapshot_id, now, rows), change.action)
    shows, since = str(before.shows_snapshot), before.shows_since or now
    return Made(told_of(table, "stale", shows, since, rows), change.action)


def never_built(table: PublicTable) -> PublishError:
    return PublishError(
        f"{table.relation} cannot be published: the workshop has no such table.",
        remedy=f"Build it first: `sluice run --select {table.name}`.",
    )


def told_of(
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
