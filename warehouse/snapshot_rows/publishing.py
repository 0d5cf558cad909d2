"""Publish on PostgreSQL: one transaction that writes the rows that differ.

Consumers see the previous snapshot until the commit and the new one after it, statement by
statement or, in a `repeatable read` transaction, when that ends. Whatever ends the transaction
earlier, a kill, a lost connection, a full disk, leaves nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from warehouse import history, masks, platform_log, retention, snapshots, versions
from warehouse.clock import as_of, wall_clock
from warehouse.crash_points import crash_point
from warehouse.postgres import PostgresConnection
from warehouse.publish import STILL_SERVED, Made, PublicTable, event, never_built, told_of
from warehouse.settings import Settings
from warehouse.snapshot_rows import books, granting, rights, rows, views
from warehouse.snapshot_rows.books import Current, Shape
from warehouse.snapshot_rows.views import Seen
from warehouse.snapshots import PublishedTable, Snapshot
from warehouse.versions import Relation, Version

# With less than this, comparing a table of a million rows goes through the disk.
WORK_MEMORY: Final = "64MB"


@dataclass(frozen=True)
class Base:
    """What consumers see before the publish; nothing before the first one."""

    number: int = 0
    snapshot: Snapshot | None = None
    versions: Mapping[str, Version] | None = None
    shapes: Mapping[str, Shape] | None = None

    def shape(self, table: str) -> Shape | None:
        return (self.shapes or {}).get(table)

    def version(self, table: str) -> Version:
        return (self.versions or {}).get(table, Version())

    def table(self, name: str) -> PublishedTable | None:
        return self.snapshot.table(name) if self.snapshot is not None else None


@dataclass(frozen=True)
class Done:
    """What became of a table: its rows, their version, and who was in the way, if anybody was."""

    table: PublicTable
    action: versions.Action = "kept"
    shape: Shape | None = None
    version: Version = field(default_factory=Version)
    row_count: int | None = None
    in_the_way: str = ""


def publish(settings: Settings, tables: Sequence[PublicTable], run_id: str) -> Snapshot:
    """As warehouse.publish.publish. Call it as the workshop's one writer."""
    started = time.perf_counter()
    with books.explained(settings, STILL_SERVED), books.alone(settings, "publish") as session:
        history.catch_up(settings)
        crash_point("publish.begun")
        now = wall_clock()
        snapshot_id = f"{now:%Y%m%d-%H%M%S-%f}"
        session.execute(f"set work_mem = '{WORK_MEMORY}'")
        with books.transaction(session, "isolation level repeatable read"):
            done, made = _write(settings, session, tables, snapshot_id, now, run_id)
            crash_point("publish.tables_written")
        crash_point("pointer.switched")
        holds = f"snapshot {snapshot_id} is published, and not yet in the log"
        with books.explained(settings, holds):
            for each in done:
                if each.shape is not None and each.action != "kept":
                    session.execute(f"analyze {each.shape.rows}")
            gone = retention.prune(settings, now)
            crash_point("publish.pruned")
            snapshot = snapshots.show(settings, snapshot_id)
            seconds = time.perf_counter() - started
            platform_log.append(
                settings, snapshots.KIND, [event(snapshot, tables, made, gone, seconds)]
            )
            crash_point("publish.logged")
            granting.collect(settings, session)
    return snapshot


def _write(
    settings: Settings,
    session: PostgresConnection,
    tables: Sequence[PublicTable],
    snapshot_id: str,
    now: datetime,
    run_id: str,
) -> tuple[list[Done], list[Made]]:
    base = _base(session)
    number = base.number + 1
    is_descendant = base.snapshot is not None and versions.workshop_knows(
        session, base.snapshot.snapshot_id
    )
    versions.leave_mark(session, snapshot_id)
    signatures = _signatures(settings, session, tables)
    here = versions.relations(session)
    touches = versions.last_touches(session)
    done: list[Done] = []
    for table in tables:
        now_there = Version(table.build, touches.get(table.name), "", snapshot_id)
        masks_of = signatures.get(table.name, "")
        done.append(_rows(session, table, here, base, now_there, number, is_descendant, masks_of))
    # From here on a reader of a table whose columns change has to wait; the end is near.
    known = views.shown(session)
    done = [_shown(session, each, base, known.get(each.table.name)) for each in done]
    made = [Made(_told(each, base, snapshot_id, now), each.action) for each in done]
    wanted = {each.name for each in tables}
    made += [Made(each) for each in _withdrawn(session, base, wanted, number, now)]
    views.comment(session, [_words(each.table) for each in done if each.shape is not None])
    states = tuple(each.table for each in made)
    versions_now = [
        (each.table.name, replace(each.version, masks=each.shape.masks))
        for each in done
        if each.shape is not None
    ]
    size = _size(session, number)
    entry = Snapshot(snapshot_id, None, now, as_of(settings), run_id, states, True, size)
    books.enter(session, number, entry, versions_now)
    books.point_to(session, Current(number, snapshot_id))
    return done, made


def _base(session: PostgresConnection) -> Base:
    now = books.current(session)
    if now is None:
        return Base()
    number = books.kept(session)[now.snapshot_id]
    return Base(
        now.number,
        books.snapshot(session, now.snapshot_id, number),
        books.versions_of(session, number),
        books.lives_at(session, now.number),
    )


def _rows(
    session: PostgresConnection,
    table: PublicTable,
    here: Mapping[str, Relation],
    base: Base,
    now: Version,
    number: int,
    is_descendant: bool,
    masks_of: str,
) -> Done:
    """Write what differs. Consumers see none of it before the commit."""
    shape, before = base.shape(table.name), base.table(table.name)
    count = before.row_count if before is not None else None
    is_masked_otherwise = shape is not None and shape.masks != masks_of
    if not table.fresh:
        if shape is not None and is_masked_otherwise:
            as_it_is = Relation(shape.rows, shape.columns)
            shape, count = rows.create(
                session, table.name, as_it_is, number, table.masked, masks_of
            )
        return Done(table, "kept", shape, base.version(table.name), count)
    origin = here.get(table.relation)
    if origin is None:
        raise never_built(table)
    published = Relation(shape.rows, shape.columns) if shape is not None else None
    change = versions.change(
        session,
        origin,
        published,
        now,
        base.version(table.name),
        partition_by=table.partition_by,
        is_descendant=is_descendant,
    )
    if shape is None or shape.columns != origin.columns or is_masked_otherwise:
        change = replace(change, action="whole")
        shape, count = rows.create(session, table.name, origin, number, table.masked, masks_of)
    elif change.action != "kept":
        day = table.partition_by if change.action == "days" else ""
        written = rows.bring(session, shape, origin, number, day, change.days)
        count = (count or 0) + written.added - written.removed
    by_day = (table.partition_by,) if table.partition_by else ()
    rows.index(session, shape, [table.key, by_day, *table.indexes])
    return Done(table, change.action, shape, change.version, count)


def _signatures(
    settings: Settings, session: PostgresConnection, tables: Sequence[PublicTable]
) -> dict[str, str]:
    """How each table is masked; the session learns the key, if any of them is."""
    if not any(each.masked for each in tables):
        return {}
    key = masks.mask_key(settings)
    session.execute("select set_config(?, ?, true)", [masks.POSTGRES_SETTING, key])
    return {
        each.name: f"{masks.key_id(key)}:{','.join(sorted(each.masked))}"
        for each in tables
        if each.masked
    }


def _shown(
    session: PostgresConnection, done: Done, base: Base, known: tuple[str, Seen] | None
) -> Done:
    """Let consumers see the table as it is now; if a reader is in the way, it stays as it was."""
    shape, name = done.shape, done.table.name
    if shape is None:
        return done
    seen = Seen(done.table.masked, done.table.audiences)
    before = base.shape(name)
    if shape == before and known is not None and known[1] == seen and known[0]:
        return done
    in_the_way = views.show(session, shape, seen)
    if not in_the_way:
        if shape != before:
            books.begin_life(session, shape)
            for right in rights.give(session, name, [each for each, _ in shape.columns], seen):
                books.note(session, {"event": "granted", "statement": right, "by": "publish"})
        return done
    if shape == before:
        # Only the policy is another one: `sluice grants verify` says that it does not hold yet.
        return done
    rows.drop(session, shape)
    told = base.table(name)
    count = told.row_count if told is not None else None
    return Done(done.table, "kept", before, base.version(name), count, in_the_way)


def _withdrawn(
    session: PostgresConnection, base: Base, wanted: set[str], number: int, now: datetime
) -> Iterator[PublishedTable]:
    """Tables that are public no more go; one that a reader holds goes at the next publish."""
    for name in sorted((base.shapes or {}).keys() - wanted):
        in_the_way = views.hide(session, name)
        told = base.table(name)
        if not in_the_way:
            books.end_life(session, name, number)
        elif told is not None:
            yield replace(told, state="stale", stale_since=now, reason=in_the_way)


def _told(done: Done, base: Base, snapshot_id: str, now: datetime) -> PublishedTable:
    table, before = done.table, base.table(done.table.name)
    if done.shape is None:
        return told_of(table, "absent", None, None, None)
    if done.in_the_way:
        table = replace(table, fresh=False, reason=done.in_the_way, since=now)
    if table.fresh or before is None:
        return told_of(table, "fresh", snapshot_id, now, done.row_count)
    shows, since = str(before.shows_snapshot), before.shows_since or now
    return told_of(table, "stale", shows, since, done.row_count)


def _words(table: PublicTable) -> tuple[str, str, Sequence[snapshots.PublicColumn]]:
    return table.name, table.description, table.columns


def _size(session: PostgresConnection, number: int) -> int:
    """What the rows of a snapshot take on the server's disk, with their past and their indexes."""
    shapes = books.lives_at(session, number).values()
    places = ", ".join(f"('{each.rows}'), ('{each.past}')" for each in shapes)
    if not places:
        return 0
    [size] = session.execute(
        f"select sum(pg_total_relation_size(place::regclass))::bigint from (values {places})"
        " as places(place)"
    ).fetchone()
    return int(size)
