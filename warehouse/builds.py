"""What the workshop holds of each dataset: from which definition it was made, when, for which day.

The book lies in the workshop itself: one that was put back from a backup, or was made anew, tells
of its own rows and not of those that the platform log remembers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from warehouse.connection import NO_SUCH_TABLE, Connection
from warehouse.schemas import Schema

TABLE = Schema("platform.builds")


@dataclass(frozen=True)
class Build:
    """`last_day` is the company's last whole day at that time, for those that read the clock."""

    definition: str
    last_day: date
    built_at: datetime


def read(connection: Connection) -> dict[str, Build]:
    try:
        rows = connection.execute(
            f"select dataset, definition, last_day, built_at from {TABLE}"
        ).fetchall()
    except NO_SUCH_TABLE:
        return {}
    return {dataset: Build(*build) for dataset, *build in rows}


def note(connection: Connection, built: Mapping[str, Build]) -> None:
    """Remember what was just built in place of what was known of it before."""
    if not built:
        return
    connection.execute("begin")
    try:
        connection.execute(f"create schema if not exists {Schema('platform')}")
        connection.execute(
            f"create table if not exists {TABLE} (dataset varchar, definition varchar,"
            " last_day date, built_at timestamptz)"
        )
        connection.execute(
            f"delete from {TABLE} where dataset in (select unnest(?::varchar[]))", [list(built)]
        )
        connection.execute(
            f"insert into {TABLE} values {', '.join(['(?, ?, ?, ?)'] * len(built))}",
            [
                value
                for key, each in built.items()
                for value in (key, each.definition, each.last_day, each.built_at)
            ],
        )
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")
