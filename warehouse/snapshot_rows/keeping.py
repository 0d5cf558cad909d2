"""Which snapshots stay on PostgreSQL: pins in a book, and rows that no kept snapshot shows go."""

from __future__ import annotations

from datetime import datetime

from warehouse import retention
from warehouse.connection import Connection, NoSuchTableError
from warehouse.retention import Pin
from warehouse.settings import Settings
from warehouse.snapshot_rows import books, reading, rows, views
from warehouse.snapshot_rows.books import SCHEMA, Shape


def prune(settings: Settings, now: datetime) -> tuple[str, ...]:
    """As retention.prune: in one transaction, so that a snapshot is kept whole or not at all."""
    stay = retention.kept_because(settings, now)
    gone = tuple(each for each in reading.ids(settings) if each not in stay)
    if not gone:
        return ()
    with reading.session(settings) as session, books.transaction(session):
        for book in ("_states", "_versions", "_snapshots"):
            session.execute(
                f"delete from {SCHEMA}.{book} where number in"
                f" (select number from {SCHEMA}._snapshots where snapshot_id = any(?))",
                [list(gone)],
            )
        session.execute(f"delete from {SCHEMA}._pins where snapshot_id = any(?)", [list(gone)])
        seen = books.current(session)
        numbers = [*books.kept(session).values(), *([seen.number] if seen is not None else [])]
        for shape, is_needed in _shapes(session, numbers):
            if is_needed:
                rows.forget(session, shape, numbers)
            else:
                _drop(session, shape)
    return gone


def _shapes(session: Connection, numbers: list[int]) -> list[tuple[Shape, bool]]:
    """Every shape, and whether one of these numbers shows it."""
    kept = ", ".join(map(str, numbers))
    found = session.execute(
        f"""select {books.SHAPE}, min(from_number),
                bool_or(exists (
                    select 1 from unnest(array[{kept}]::bigint[]) as kept(number)
                    where from_number <= number and (number < to_number or to_number is null)
                ))
            from {SCHEMA}._shapes inner join {SCHEMA}._lives using (shape) group by shape"""
    ).fetchall()
    return [(books.shape_of(row), bool(row[-1])) for row in found]


def _drop(session: Connection, shape: Shape) -> None:
    """Or at a later time, if a reader of an old snapshot still holds it."""
    gone = f"drop table {shape.rows}, {shape.past}"
    if not views.attempt(session, shape.table, gone):
        for book in ("_lives", "_shapes"):
            session.execute(f"delete from {SCHEMA}.{book} where shape = {shape.shape}")


def pins(settings: Settings) -> dict[str, Pin]:
    with reading.session(settings) as session:
        try:
            found = session.execute(
                "select snapshot_id, reason, pinned_by, pinned_at, until"
                f" from {SCHEMA}._pins order by snapshot_id"
            ).fetchall()
        except NoSuchTableError:
            return {}
    return {row[0]: Pin(*row) for row in found}


def write(settings: Settings, made: Pin) -> None:
    with reading.session(settings) as session:
        session.execute(
            f"insert into {SCHEMA}._pins values (?, ?, ?, ?, ?) on conflict (snapshot_id) do update"
            " set reason = excluded.reason, pinned_by = excluded.pinned_by,"
            " pinned_at = excluded.pinned_at, until = excluded.until",
            [made.snapshot_id, made.reason, made.by, made.pinned_at, made.until],
        )


def remove(settings: Settings, snapshot_id: str) -> None:
    with reading.session(settings) as session:
        session.execute(f"delete from {SCHEMA}._pins where snapshot_id = ?", [snapshot_id])
