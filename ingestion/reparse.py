"""Quarantined rows, held against the contracts of today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ingestion.contracts import Contract, read_contracts
from ingestion.csv_files import parse_csv_records
from ingestion.csv_records import csv_header, split_records
from ingestion.desk import Desk, desk_before
from ingestion.json_lines import parse_json_lines
from ingestion.landing import Landing
from ingestion.ledger import (
    REPLAYED,
    SCHEMA,
    Batch,
    Drift,
    known_files,
    next_batch_id,
    record,
    registered,
)
from ingestion.line_chunks import chunks_of
from ingestion.outcome import explained, log_replay
from ingestion.raw import ensure_raw_tables
from ingestion.taking import Reading, Scope, insert_good, look_at
from ingestion.validation import PARSED
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.settings import Settings
from warehouse.workshop import transaction


@dataclass(frozen=True)
class QuarantineReplay:
    """What became of the quarantined rows of one entity."""

    source: str
    entity: str
    accepted: int
    still_bad: int


def replay_quarantine(
    settings: Settings,
    connection: Connection,
    source: str | None = None,
    *,
    entity: str | None = None,
    now: datetime | None = None,
) -> list[QuarantineReplay]:
    """Hold quarantined rows against the present contracts; those that fit now are loaded."""
    now, results = now or wall_clock(), []
    chosen = {
        name: {each: held for each, held in contracts.items() if entity in (None, each)}
        for name, contracts in read_contracts(settings).items()
        if source in (None, name)
    }
    landing = Landing(settings)
    with explained(settings):
        ensure_raw_tables(connection, chosen)
        with desk_before(settings, connection) as desk:
            for contract in (each for held in chosen.values() for each in held.values()):
                with transaction(connection):
                    results += _replay_entity(desk, landing, contract, now)
    for result in results:
        log_replay(settings, result.source, [(result.entity, result.accepted, result.still_bad)])
    return results


@dataclass(frozen=True)
class _Row:
    batch_id: int
    file: str
    number: int
    content: str


def _replay_entity(
    desk: Desk, landing: Landing, contract: Contract, now: datetime
) -> list[QuarantineReplay]:
    connection = desk.target
    rows = [
        _Row(*row)
        for row in connection.execute(
            f"""select batch_id, file, row_number, content from {SCHEMA}.quarantine
                where source = ? and entity = ? and replayed_at is null and content is not null
                order by batch_id, row_number""",
            [contract.source, contract.entity],
        ).fetchall()
    ]
    if not rows:
        return []
    desk.clear(contract)
    sight, fresh = _Sight(desk.connection, contract), next_batch_id(connection)
    batch_ids = {file: fresh + n for n, file in enumerate(dict.fromkeys(r.file for r in rows))}
    accepted: Counter[str] = Counter()
    if contract.format == "csv":
        for file, batch_id in batch_ids.items():
            _parse_csv_again(sight, landing, file, batch_id, rows)
            _accept(desk, contract, now, accepted)
    else:
        lines = [(batch_ids[row.file], row.file, row.number, row.content) for row in rows]
        for chunk in chunks_of(lines):
            parse_json_lines(sight, chunk)
            _accept(desk, contract, now, accepted)
    known = known_files(connection, contract.source)
    record(connection, [
        Batch(
            batch_id=batch_ids[file], source=contract.source, entity=contract.entity, file=file,
            content_hash=known[file].content_hash, size=known[file].size,
            stamp=known[file].stamp, rows=count, quarantined=0, drift=Drift(), status=REPLAYED,
            loaded_at=now,
        )
        for file, count in accepted.items()
    ])  # fmt: skip
    good = sum(accepted.values())
    return [QuarantineReplay(contract.source, contract.entity, good, len(rows) - good)]


def _parse_csv_again(
    sight: _Sight, landing: Landing, file: str, batch_id: int, rows: Sequence[_Row]
) -> None:
    contract = sight.contract
    header = csv_header(landing, contract, file)
    records = [
        record
        for row in rows
        if row.file == file
        for record in split_records(
            [(row.number, row.content)], len(header), contract.delimiter, contract.max_line_bytes
        )
    ]
    parse_csv_records(sight, header, batch_id, file, records)


class _Sight:
    """Rows that are looked at before they are loaded."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
        self.connection, self.contract = connection, contract

    def take(self, reading: Reading) -> None:
        look_at(self.connection, self.contract, reading, Scope())

    def note_renamed(self, query: str) -> None:
        """The first load has reported it."""


def _accept(desk: Desk, contract: Contract, now: datetime, accepted: Counter[str]) -> None:
    counts = desk.connection.execute(
        f"select file, count(*) from {PARSED} where fault = 0 group by file order by file"
    ).fetchall()
    if not counts:
        return
    accepted.update(dict(counts))
    insert_good(desk.connection, contract, now, PARSED)
    desk.deliver(contract)
    fit = desk.connection.sql(f"select file, row_number from {PARSED} where fault = 0")
    with registered(desk.target, "sluice_fit", fit.to_arrow_table()):
        desk.target.execute(
            f"""update {SCHEMA}.quarantine as q set replayed_at = $now::timestamptz
                from sluice_fit as f
                where q.file = f.file and q.row_number = f.row_number
                    and q.source = $source and q.replayed_at is null""",
            {"now": now, "source": contract.source},
        )
