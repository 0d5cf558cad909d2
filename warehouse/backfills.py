"""What the workshop knows of backfills: which datasets one holds, and how far each has come.

The marks lie in the workshop itself, beside the rows that they speak of, and are committed with
them where that can be; one that was put back from a backup tells of its own rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from warehouse.connection import NO_SUCH_TABLE, Connection
from warehouse.schemas import Schema
from warehouse.structure import exists
from warehouse.versions import BOOKS
from warehouse.workshop import transaction

HOLDS: Final = Schema("platform.backfill_holds")
MARKS: Final = Schema("platform.backfill_marks")
DONE: Final = "done"
IN_PARTS: Final = ("rebuilds", "rebuild_progress")
"""Of models that are rebuilt in parts (macros_lib): days that are owed, and from where on."""


@dataclass(frozen=True)
class Hold:
    """A dataset that a backfill has begun to change, and nobody else is to build or publish."""

    backfill_id: str
    since: datetime

    def __str__(self) -> str:
        return f"backfill {self.backfill_id} is under way since {self.since:%Y-%m-%d %H:%M} UTC"


def held(connection: Connection, but: str = "") -> dict[str, Hold]:
    """By dataset, who holds it, leaving out one backfill's own holds."""
    try:
        rows = connection.execute(
            f"select dataset, backfill_id, held_at from {HOLDS} where backfill_id <> ?", [but]
        ).fetchall()
    except NO_SUCH_TABLE:
        return {}
    return {dataset: Hold(backfill_id, since) for dataset, backfill_id, since in rows}


def hold(connection: Connection, backfill_id: str, keys: Iterable[str], now: datetime) -> None:
    for statement in (
        f"create schema if not exists {BOOKS}",
        f"create table if not exists {HOLDS}"
        " (backfill_id varchar, dataset varchar, held_at timestamptz)",
        f"create table if not exists {MARKS} (backfill_id varchar, step integer, what varchar)",
    ):
        connection.execute(statement)
    with transaction(connection):
        connection.execute(f"delete from {HOLDS} where backfill_id = ?", [backfill_id])
        connection.execute(
            f"insert into {HOLDS} select ?::varchar, unnest(?::varchar[]), ?::timestamptz",
            [backfill_id, list(keys), now],
        )


def let_go(connection: Connection, backfill_id: str) -> None:
    if exists(connection, str(BOOKS), "backfill_holds"):
        connection.execute(f"delete from {HOLDS} where backfill_id = ?", [backfill_id])


def mark(connection: Connection, backfill_id: str, step: int, what: str) -> None:
    connection.execute(f"insert into {MARKS} values (?, ?, ?)", [backfill_id, step, what])


def marks(connection: Connection, backfill_id: str) -> frozenset[tuple[int, str]]:
    try:
        rows = connection.execute(
            f"select step, what from {MARKS} where backfill_id = ?", [backfill_id]
        ).fetchall()
    except NO_SUCH_TABLE:
        return frozenset()
    return frozenset((step, what) for step, what in rows)


def ask(connection: Connection, model: str, days: Sequence[date], *, in_parts: bool) -> None:
    """Have the model's next build write these days: in place, or into its table aside."""
    books = ["backfills"]
    if in_parts and not _has_begun(connection, model):
        books.append("rebuilds")
    for book in books:
        connection.execute(
            f"create table if not exists {BOOKS}.{book}"
            " (model varchar not null, partition_on date not null)"
        )
        connection.execute(f"delete from {BOOKS}.{book} where model = ?", [model])
        connection.execute(
            f"insert into {BOOKS}.{book} select ?::varchar, unnest(?::date[])", [model, list(days)]
        )


def asked(connection: Connection, model: str) -> bool:
    """Does the model still owe days that it was asked for?"""
    rows = connection.execute(
        f"select 1 from {BOOKS}.backfills where model = ? limit 1", [model]
    ).fetchall()
    return bool(rows)


def owed(connection: Connection, model: str) -> tuple[date, ...] | None:
    """The days that a rebuild in parts has not written yet; None where none has begun."""
    if not _has_begun(connection, model):
        return None
    rows = connection.execute(
        f"select distinct partition_on from {BOOKS}.rebuilds where model = ? order by 1", [model]
    ).fetchall()
    return tuple(day for (day,) in rows)


def forget_parts(connection: Connection, schema: str, model: str) -> None:
    """What was rebuilt aside is of no use to anybody."""
    for book in IN_PARTS:
        if exists(connection, str(BOOKS), book):
            connection.execute(f"delete from {BOOKS}.{book} where model = ?", [model])
    connection.execute(f'drop table if exists "{schema}"."{model}__aside"')


def _has_begun(connection: Connection, model: str) -> bool:
    if not exists(connection, str(BOOKS), "rebuild_progress"):
        return False
    rows = connection.execute(
        f"select 1 from {BOOKS}.rebuild_progress where model = ? limit 1", [model]
    ).fetchall()
    return bool(rows)
