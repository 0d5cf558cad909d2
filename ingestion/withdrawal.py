"""Rows of a file that was loaded and is set aside since: out of raw, and models are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.ledger import (
    LOADED,
    SCHEMA,
    SKIPPED,
    WITHDRAWN,
    Batch,
    Drift,
    known_files,
    next_batch_id,
    record,
    registered,
)
from warehouse import structure
from warehouse.connection import Connection
from warehouse.versions import BOOKS

# The books of macros_lib's touched_partitions: which batches of a source hold which days.
_BOOK: Final = "batch_partitions"


def withdraw(connection: Connection, contract: Contract, path: str, now: datetime) -> int:
    """The caller holds the transaction. Gives the number of rows that left raw.

    The ledger keeps a batch without rows, under a new number. Its name stays taken, and the days
    that the file had touched count as touched by it: models rebuild exactly these.
    """
    known = known_files(connection, contract.source).get(path)
    if known is None or known.status != LOADED:
        return 0
    fresh = next_batch_id(connection)
    its_rows = f"""from {contract.relation} where _source_file = ? and _batch_id in (
        select batch_id from {SCHEMA}.batches where file = ?
    )"""
    [[count]] = connection.execute(f"select count(*) {its_rows}", [path, path]).fetchall()
    connection.execute(f"delete {its_rows}", [path, path])
    touch_again(connection, contract, {path: fresh})
    for table in ("quarantine", "batches"):
        connection.execute(f"delete from {SCHEMA}.{table} where file = ?", [path])
    record(connection, [
        Batch(
            batch_id=fresh, source=contract.source, entity=contract.entity, file=path,
            content_hash=known.content_hash, size=known.size, stamp=known.stamp, rows=0,
            quarantined=0, drift=Drift(), status=WITHDRAWN, loaded_at=now,
        )
    ])  # fmt: skip
    return int(count)


def repetitions(connection: Connection, path: str) -> list[str]:
    """The same batch, delivered again and therefore passed by: a rebuild would take it instead."""
    source, name = path.split("/")[0], path.rsplit("/", 1)[-1]
    known = known_files(connection, source)
    first = known.get(path)
    if first is None or first.status != LOADED:
        return []
    return [
        other
        for other, file in known.items()
        if file.status == SKIPPED
        and (file.entity, file.content_hash) == (first.entity, first.content_hash)
        and other.rsplit("/", 1)[-1] == name
    ]


def touch_again(connection: Connection, contract: Contract, batches: Mapping[str, int]) -> None:
    """By file, the new batch that its days count as touched by: those that its old rows lay in."""
    if not batches or not structure.exists(connection, str(BOOKS), _BOOK):
        return
    files = pa.table({"file": list(batches), "fresh": pa.array(batches.values(), pa.int64())})
    with registered(connection, "sluice_moved", files):
        connection.execute(
            f"""update {BOOKS}.{_BOOK} set batch_id = moved.fresh
                from (
                    select batches.batch_id, sluice_moved.fresh
                    from sluice_moved join {SCHEMA}.batches using (file)
                ) as moved
                where input = ? and {_BOOK}.batch_id = moved.batch_id""",
            [contract.name],
        )
