"""Questions as events of the platform log: who asks what, of which snapshot, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import sqlglot
from sqlglot import exp

from warehouse import platform_log
from warehouse.settings import Settings
from warehouse.snapshots import current_id

KIND = "queries"
Interface = Literal["sql", "metrics"]


class Asked:
    """What is known of a question when it is answered."""

    row_count: int | None = None


@contextmanager
def logged(
    settings: Settings, interface: Interface, names: Sequence[str], snapshot_id: str | None
) -> Iterator[Asked]:
    asked, started, outcome = Asked(), time.monotonic(), "failed"
    try:
        yield asked
        outcome = "answered"
    finally:
        platform_log.append_if_possible(
            settings,
            KIND,
            [
                {
                    "interface": interface,
                    "asked": list(names),
                    "snapshot_id": snapshot_id or current_id(settings),
                    "seconds": round(time.monotonic() - started, 4),
                    "row_count": asked.row_count,
                    "outcome": outcome,
                }
            ],
        )


def tables_of(sql: str, dialect: str = "duckdb") -> tuple[str, ...]:
    """The tables that a query names; none of one that cannot be parsed."""
    try:
        parsed = sqlglot.parse_one(sql, dialect=dialect)
    except sqlglot.errors.SqlglotError:
        return ()
    own = {each.alias for each in parsed.find_all(exp.CTE)}
    return tuple(sorted({each.name for each in parsed.find_all(exp.Table)} - own - {""}))
