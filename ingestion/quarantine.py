"""What was received and not understood: counted, kept, replayable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

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
