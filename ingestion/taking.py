"""Parsed rows into raw and quarantine, with the count of each batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from ingestion.contracts import Contract
from ingestion.ledger import SCHEMA, registered
from ingestion.validation import PARSED, faults_table


@dataclass
class Taken:
    """By batch: rows loaded and quarantined, names that were unknown, names that are aliases."""

    counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    added: dict[int, set[str]] = field(default_factory=dict)
    renamed: dict[int, set[str]] = field(default_factory=dict)


def take(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    now: datetime,
    taken: Taken,
    *,
    quarantine: bool = True,
) -> None:
    """Move the parsed rows where they belong and add them to what was taken."""
    insert_good(connection, contract, now)
    counts = connection.execute(
        f"""select batch_id, count(*) filter (fault = 0), count(*) filter (fault > 0)
            from {PARSED} group by batch_id"""
    ).fetchall()
    for batch_id, good, bad in counts:
        before = taken.counts.get(batch_id, (0, 0))
        taken.counts[batch_id] = (before[0] + good, before[1] + bad)
    if quarantine and any(bad for _, _, bad in counts):
        insert_faulty(connection, contract, now)
    for name, found in (("unknown", taken.added), ("renamed", taken.renamed)):
        rows = connection.execute(
            f"select batch_id, unnest({name}) from (select distinct batch_id, {name} from {PARSED})"
        ).fetchall()
        for batch_id, value in rows:
            found.setdefault(batch_id, set()).add(value)


def insert_good(connection: duckdb.DuckDBPyConnection, contract: Contract, now: datetime) -> None:
    names = ", ".join(f'"{column.name}"' for column in contract.columns)
    values = ", ".join(f"c{n}" for n in range(len(contract.columns)))
    connection.execute(
        f"""insert into {contract.relation}
                ({names}, _extra, _batch_id, _source_file, _row_number, _loaded_at)
            select {values}, extra, batch_id, file, row_number, $now::timestamptz
            from {PARSED} where fault = 0""",
        {"now": now},
    )


def insert_faulty(connection: duckdb.DuckDBPyConnection, contract: Contract, now: datetime) -> None:
    with registered(connection, "sluice_faults", faults_table(contract)):
        connection.execute(
            f"""insert into {SCHEMA}.quarantine
                    (batch_id, source, entity, file, row_number, reason, column_name, content,
                     quarantined_at, replayed_at)
                select batch_id, $source, $entity, file, row_number, reason, column_name, content,
                    $now::timestamptz, null
                from {PARSED} join sluice_faults on code = fault
                order by batch_id, row_number""",
            {"source": contract.source, "entity": contract.entity, "now": now},
        )
