"""What was received and not understood: counted, kept, replayable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ingestion.ledger import SCHEMA
from ingestion.survey import has_ledger


@dataclass(frozen=True)
class Quarantined:
    """The rows of one entity that wait for a replay."""

    source: str
    entity: str
    rows: int
    files: int
    since: datetime
    reasons: Mapping[str, int]


def summary(connection: duckdb.DuckDBPyConnection) -> list[Quarantined]:
    """By entity, the rows that have not been replayed."""
    if not has_ledger(connection):
        return []
    rows = connection.execute(
        f"""
        with reasons as (
            select source, entity, reason, count(*) as row_count, min(quarantined_at) as since
            from {SCHEMA}.quarantine where replayed_at is null group by source, entity, reason
        ),
        files as (
            select source, entity, count(distinct file) as file_count
            from {SCHEMA}.quarantine where replayed_at is null group by source, entity
        )
        select source, entity, sum(row_count)::bigint, any_value(file_count), min(since),
            list(reason order by row_count desc, reason),
            list(row_count order by row_count desc, reason)
        from reasons join files using (source, entity)
        group by source, entity order by source, entity
        """
    ).fetchall()
    return [
        Quarantined(source, entity, count, files, since, dict(zip(reasons, counts, strict=True)))
        for source, entity, count, files, since, reasons, counts in rows
    ]
