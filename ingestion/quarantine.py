"""What was received and not understood: counted, kept, replayable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingestion.ledger import SCHEMA
from ingestion.survey import has_ledger
from warehouse.connection import Connection


@dataclass(frozen=True)
class Quarantined:
    """The rows of one entity that wait for a replay."""

    source: str
    entity: str
    rows: int
    files: int
    since: datetime
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Sought:
    """Which rows are asked for: of a source or an entity, set aside since, for such a reason."""

    source: str | None = None
    entity: str | None = None
    since: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Cause:
    """The rows of one entity that wait for one reason."""

    source: str
    entity: str
    column: str | None
    reason: str
    rows: int
    files: int
    since: datetime
    until: datetime


@dataclass(frozen=True)
class QuarantinedRow:
    """One row as it came, and where from; a landed file's line has its number."""

    source: str
    entity: str
    file: str
    row_number: int
    column: str | None
    reason: str
    content: str | None
    quarantined_at: datetime


def summary(connection: Connection) -> list[Quarantined]:
    """By entity, the rows that have not been replayed."""
    if not has_ledger(connection):
        return []
    waiting = f"from {SCHEMA}.quarantine where replayed_at is null"
    rows = connection.execute(
        f"""select source, entity, reason, count(*), min(quarantined_at) {waiting}
            group by source, entity, reason
            order by source, entity, count(*) desc, reason"""
    ).fetchall()
    files = connection.execute(
        f"""select source, entity, count(distinct file) {waiting}
            group by source, entity order by source, entity"""
    ).fetchall()
    return [
        Quarantined(
            source,
            entity,
            sum(row[3] for row in mine),
            file_count,
            min(row[4] for row in mine),
            {row[2]: row[3] for row in mine},
        )
        for source, entity, file_count in files
        for mine in [[row for row in rows if row[:2] == (source, entity)]]
    ]


def causes(connection: Connection, sought: Sought) -> list[Cause]:
    """By entity, column and reason, how many rows wait."""
    if not has_ledger(connection):
        return []
    where, parameters = _waiting(sought)
    found = connection.execute(
        f"""select source, entity, column_name, reason, count(*), count(distinct file),
                min(quarantined_at), max(quarantined_at)
            from {SCHEMA}.quarantine where {where}
            group by source, entity, column_name, reason
            order by source, entity, count(*) desc, reason""",
        parameters,
    ).fetchall()
    return [Cause(*row) for row in found]


def waiting_rows(connection: Connection, sought: Sought, limit: int) -> list[QuarantinedRow]:
    """The rows themselves, the newest first."""
    if not has_ledger(connection):
        return []
    where, parameters = _waiting(sought)
    found = connection.execute(
        f"""select source, entity, file, row_number, column_name, reason, content, quarantined_at
            from {SCHEMA}.quarantine where {where}
            order by quarantined_at desc, source, entity, file desc, row_number limit {limit:d}""",
        parameters,
    ).fetchall()
    return [QuarantinedRow(*row) for row in found]


def _waiting(sought: Sought) -> tuple[str, list[Any]]:
    asked = {
        "source = ?": sought.source,
        "entity = ?": sought.entity,
        "quarantined_at >= ?": sought.since,
        "position(lower(?) in lower(reason)) > 0": sought.reason or None,
    }
    said = {condition: value for condition, value in asked.items() if value is not None}
    return " and ".join(["replayed_at is null", *said]), list(said.values())
