"""Roll back on PostgreSQL: the rows that were shown then are shown again, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from warehouse import history, platform_log, snapshots
from warehouse.crash_points import crash_point
from warehouse.errors import LockedError
from warehouse.postgres import PostgresConnection
from warehouse.settings import Settings
from warehouse.snapshot_rows import books, rows, views
from warehouse.snapshot_rows.books import Current, Shape
from warehouse.snapshot_rows.views import Seen
from warehouse.snapshots import Snapshot


def roll_back(settings: Settings, snapshot_id: str) -> Snapshot:
    """As switching.roll_back. The next publish goes forward again."""
    with books.alone(settings, "rollback") as session:
        crash_point("rollback.begun")
        before = books.current(session)
        snapshots.show(settings, snapshot_id)
        seen = before.snapshot_id if before is not None else None
        with books.explained(settings, f"consumers still see {seen}"):
            history.catch_up(settings)
            if before is not None and seen != snapshot_id:
                with books.transaction(session, "isolation level repeatable read"):
                    _switch(session, before, snapshot_id)
                    crash_point("pointer.made")
            crash_point("pointer.switched")
        holds = f"consumers see {snapshot_id}, and the log does not say so"
        with books.explained(settings, holds):
            said = {"event": "rolled_back", "snapshot_id": snapshot_id, "from": seen}
            platform_log.append(settings, snapshots.KIND, [said])
            crash_point("rollback.logged")
        return snapshots.show(settings, snapshot_id)


def _switch(session: PostgresConnection, now: Current, snapshot_id: str) -> None:
    to, number = books.kept(session)[snapshot_id], now.number + 1
    shown, wanted = books.lives_at(session, now.number), books.lives_at(session, to)
    for shape in wanted.values():
        rows.back(session, shape, to, number)
    _show_views(session, shown, wanted, number)
    books.point_to(session, Current(number, snapshot_id))


def _show_views(
    session: PostgresConnection,
    shown: Mapping[str, Shape],
    wanted: Mapping[str, Shape],
    number: int,
) -> None:
    """Tables that had other columns then, or were not public: all of them, or no roll back.

    Whatever they were then, they are shown as today's policy says.
    """
    seen = views.shown(session)
    for table in sorted(shown.keys() | wanted.keys()):
        now, then = shown.get(table), wanted.get(table)
        if now is not None and then is not None and now.shape == then.shape:
            continue
        if then is None:
            in_the_way = views.hide(session, table)
            books.end_life(session, table, number)
        else:
            again = replace(then, since=number)
            in_the_way = views.show(session, again, seen[table][1] if table in seen else Seen())
            books.begin_life(session, again)
        if in_the_way:
            raise LockedError(
                f"Nothing was rolled back: of {table}, {in_the_way}.",
                remedy="Try again when that reader has ended, or end it: "
                "`select pg_terminate_backend(<pid>)`.",
            )
