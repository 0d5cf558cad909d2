"""What changed between two kept snapshots on PostgreSQL, table by table."""

from __future__ import annotations

from collections.abc import Mapping

from warehouse import versions
from warehouse.connection import Connection
from warehouse.differences import TableDifference
from warehouse.settings import Settings
from warehouse.snapshot_rows import books, reading, rows
from warehouse.snapshot_rows.books import Shape
from warehouse.snapshots import gone
from warehouse.versions import Relation, Version

Side = tuple[int, Mapping[str, Shape], Mapping[str, Version]]


def differences(settings: Settings, before: str, after: str) -> tuple[TableDifference, ...]:
    """As differences.differences: both snapshots read in one transaction."""
    how = "isolation level repeatable read"
    with reading.session(settings) as session, books.transaction(session, how):
        old, new = _side(session, before), _side(session, after)
        names = sorted(old[1].keys() | new[1].keys())
        return tuple(_difference(session, name, old, new) for name in names)


def _side(session: Connection, snapshot_id: str) -> Side:
    known = books.kept(session)
    if snapshot_id not in known:
        raise gone(snapshot_id, known)
    number = known[snapshot_id]
    return number, books.lives_at(session, number), books.versions_of(session, number)


def _difference(session: Connection, name: str, old: Side, new: Side) -> TableDifference:
    was, now = old[1].get(name), new[1].get(name)
    written = [side[2].get(name, Version()).written_in for side in (old, new)]
    # The same publish wrote their rows: they need not be read to be called the same.
    is_one = was is not None and now is not None and written[0] == written[1] != ""
    after = _content(session, now, new[0], is_one)
    before = after if is_one else _content(session, was, old[0], is_one)
    columns_before = [column for column, _ in was.columns] if was is not None else []
    columns_after = [column for column, _ in now.columns] if now is not None else []
    return TableDifference(
        name,
        before[0] if before else None,
        after[0] if after else None,
        tuple(each for each in columns_after if each not in columns_before),
        tuple(each for each in columns_before if each not in columns_after),
        columns_before == columns_after and before == after,
    )


def _content(
    session: Connection, shape: Shape | None, number: int, is_counted: bool
) -> tuple[int, str] | None:
    """Row count and a fingerprint of the rows, unless it is enough that they are counted."""
    if shape is None:
        return None
    shown = f"({rows.as_of(shape, number)}) as shown"
    [count] = session.execute(f"select count(*) from {shown}").fetchone()
    if is_counted:
        return int(count), ""
    return int(count), versions.fingerprint(session, Relation(shown, shape.columns))
