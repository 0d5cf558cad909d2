"""How far back landing and raw still reach, where retention has let something go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ingestion.ledger import SCHEMA
from ingestion.retention.policy import Part
from ingestion.retention.protection import late_batches
from warehouse.connection import Connection
from warehouse.structure import exists
from warehouse.words import counted


@dataclass(frozen=True)
class Horizon:
    """What is gone of one entity, and what came too late for it."""

    entity: str
    part: Part
    until: date
    files: int
    rows: int
    unfinished: int
    late: int

    def __str__(self) -> str:
        late = f"; {self.late} batches came too late for days that are sealed" if self.late else ""
        begun = f"; {self.unfinished} files are marked and still there" if self.unfinished else ""
        return (
            f"{self.part} of {self.entity} is gone until {self.until} "
            f"({counted(self.files, 'file')}, {counted(self.rows, 'row')}){begun}{late}"
        )


def horizons(connection: Connection) -> tuple[Horizon, ...]:
    if not exists(connection, str(SCHEMA), "let_go"):
        return ()
    rows = connection.execute(
        f"""select source || '.' || entity, part, max(received_on), count(*),
                sum(row_count)::bigint, count(*) filter (where removed_at is null)
            from {SCHEMA}.let_go group by 1, 2 order by 1, 2"""
    ).fetchall()
    return tuple(
        Horizon(entity, part, until, files, count, unfinished, _late(connection, part, entity))
        for entity, part, until, files, count, unfinished in rows
    )


def _late(connection: Connection, part: Part, entity: str) -> int:
    return len(late_batches(connection, entity)) if part == "raw" else 0
