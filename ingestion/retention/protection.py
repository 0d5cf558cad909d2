"""Why something that is old enough stays: somebody needs it, and says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from ingestion.ledger import SCHEMA
from warehouse.connection import Connection
from warehouse.structure import exists
from warehouse.versions import BOOKS


@dataclass(frozen=True)
class Protection:
    """These batches stay; what is left open (None) stands for all."""

    because: str
    entities: Set[str] | None = None
    """As contracts call them: `billing.payments`."""
    batches: Set[int] | None = None
    loaded_until: datetime | None = None

    def holds(self, entity: str, batches: Iterable[int], loaded_at: datetime) -> bool:
        return (
            (self.entities is None or entity in self.entities)
            and (self.batches is None or not self.batches.isdisjoint(batches))
            and (self.loaded_until is None or loaded_at <= self.loaded_until)
        )


@dataclass(frozen=True)
class Reader:
    """A model that reads a raw table; `is_touched` if it rebuilds only what new batches touch."""

    name: str
    is_touched: bool


def waiting_lines(connection: Connection, source: str) -> Mapping[str, int]:
    """By file, the quarantined lines that a replay may still take in."""
    rows = connection.execute(
        f"""select file, count(*) from {SCHEMA}.quarantine
            where source = ? and replayed_at is null group by file""",
        [source],
    ).fetchall()
    return {str(file): int(count) for file, count in rows}


def late_batches(connection: Connection, entity: str) -> frozenset[int]:
    """Batches with rows of sealed days, which came after these were sealed: no model has them."""
    if not exists(connection, str(BOOKS), "sealed"):
        return frozenset()
    rows = connection.execute(
        f"""select distinct late.batch_id
            from {BOOKS}.batch_partitions as late
            join {BOOKS}.sealed as sealed using (model, input, partition_on)
            where late.input = ? and late.batch_id > sealed.position""",
        [entity],
    ).fetchall()
    return frozenset(int(batch) for (batch,) in rows)


def why_raw_stays(connection: Connection, entity: str, readers: Iterable[Reader]) -> str:
    """What the models that read a raw table say against any of its rows going; or nothing."""
    whole = sorted(each.name for each in readers if not each.is_touched)
    touched = sorted(each.name for each in readers if each.is_touched)
    if whole:
        return f"{', '.join(whole)} is built anew from all of it each time"
    if not touched:
        return ""
    if not exists(connection, str(BOOKS), "sealed"):
        return f"{touched[0]} has to be built once more first"
    read = dict(
        connection.execute(
            f"select model, position from {BOOKS}.progress where input = ?", [entity]
        ).fetchall()
    )
    source, _, name = entity.partition(".")
    [[newest]] = connection.execute(
        f"""select coalesce(max(batch_id), 0) from {SCHEMA}.batches
            where source = ? and entity = ? and row_count > 0""",
        [source, name],
    ).fetchall()
    for model in touched:
        if model not in read:
            return f"{model} does not say which of its days a batch touches, or was never built"
        if read[model] < newest:
            return f"{model} has batches to take in first"
    return ""
