"""Loading again: what was quarantined, or everything that a source ever landed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb
import pyarrow as pa

from ingestion.contracts import Contract, read_contracts
from ingestion.csv_records import csv_header, split_records
from ingestion.inspection import Inspected, Refusal
from ingestion.landing import Landing
from ingestion.ledger import (
    LOADED,
    REPLAYED,
    SCHEMA,
    SKIPPED,
    Batch,
    Drift,
    Known,
    known_files,
    next_batch_id,
    record,
    registered,
    set_aside_files,
    transaction,
)
from ingestion.load import (
    LOG_KIND,
    EntityLoad,
    LoadResult,
    Unloadable,
    batch_of,
    explained,
    load_files,
)
from ingestion.parsing import Numbered, Piece, parse_csv_records, parse_json_lines
from ingestion.raw import create_raw_table, ensure_raw_tables, existing_columns
from ingestion.survey import survey_again
from ingestion.taking import Taken, insert_good
from ingestion.validation import PARSED
from warehouse import platform_log
from warehouse.clock import wall_clock
from warehouse.errors import ContractError
from warehouse.settings import Settings


@dataclass(frozen=True)
class QuarantineReplay:
    """What became of the quarantined rows of one entity."""

    source: str
    entity: str
    accepted: int
    still_bad: int


def replay_source(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    source: str,
    *,
    now: datetime | None = None,
) -> LoadResult:
    """Rebuild a source's raw tables from landing, in one transaction.

    A file whose rows come out as they were keeps its batch, so that nothing downstream moves; one
    whose rows changed (the contract did) becomes a new batch, so that models take it in again.
    """
    started, now = time.monotonic(), now or wall_clock()
    contracts = _contracts(settings, source)
    landing = Landing(settings)
    with explained(settings):
        ensure_raw_tables(connection, {})
        known = known_files(connection, source)
        found = survey_again(landing, contracts, source, known, set_aside_files(connection))
        found.refused += _vanished(landing, source, known)
        if found.refused:
            return LoadResult(source, {}, tuple(found.refused), (), time.monotonic() - started)
        try:
            with transaction(connection):
                fresh = next_batch_id(connection)
                batches = _rebuild(connection, landing, contracts, found.files, known, now)
                batches += _repeats(fresh + len(found.files), found.repeated, known, now)
                connection.execute(f"delete from {SCHEMA}.batches where source = ?", [source])
                record(connection, batches)
        except Unloadable as unloadable:
            refused = (unloadable.refusal,)
            return LoadResult(source, {}, refused, (), time.monotonic() - started)
    entities = {
        entity: EntityLoad(
            files=sum(b.entity == entity and b.status == LOADED for b in batches),
            rows=sum(b.rows for b in batches if b.entity == entity),
            quarantined=sum(b.quarantined for b in batches if b.entity == entity),
            repeated=sum(b.entity == entity and b.status == SKIPPED for b in batches),
        )
        for entity in contracts
    }
    result = LoadResult(source, entities, (), (), time.monotonic() - started)
    _log(settings, source, [(e, load.rows, load.quarantined) for e, load in entities.items()])
    return result


def _vanished(landing: Landing, source: str, known: Mapping[str, Known]) -> list[Refusal]:
    """Files whose rows a rebuild would lose."""
    present = {file.path for file in landing.files(source)}
    return [
        Refusal(
            path,
            "It was loaded, and is not in the landing zone any more: a rebuild would lose its rows.",
            "Put it back from a backup, then replay again.",
        )
        for path in known
        if path not in present
    ]


def _contracts(settings: Settings, source: str) -> Mapping[str, Contract]:
    contracts = read_contracts(settings).get(source)
    if contracts is None:
        raise ContractError(
            f"There is no contract for the source {source}.",
            remedy=f"Write dbt_project/models/raw/{source}.yml; app.yml shows how.",
        )
    return contracts


def _rebuild(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contracts: Mapping[str, Contract],
    files: Sequence[Inspected],
    known: Mapping[str, Known],
    now: datetime,
) -> list[Batch]:
    fresh = next_batch_id(connection)
    batches: list[Batch] = []
    for entity, contract in contracts.items():
        before = _fingerprints(connection, contract)
        connection.execute(f"drop table if exists {contract.relation}")
        connection.execute(
            f"delete from {SCHEMA}.quarantine where source = ? and entity = ?",
            [contract.source, entity],
        )
        create_raw_table(connection, contract)
        # Every file starts under a new number; those that came out the same get their own back.
        mine = [file for file in files if file.file.entity == entity]
        numbered = [Numbered(fresh + n, file) for n, file in enumerate(mine)]
        fresh += len(mine)
        taken = load_files(connection, landing, contract, numbered, now)
        after = _fingerprints(connection, contract)
        kept = {
            file.batch_id: known[file.path]
            for file in numbered
            if file.path in known and before.get(file.path, ()) == after.get(file.path, ())
        }
        _give_back(connection, contract, kept)
        for file in numbered:
            batch = batch_of(file, taken, now)
            earlier = kept.get(file.batch_id)
            batches.append(_as_before(batch, earlier) if earlier else batch)
    return batches


def _fingerprints(
    connection: duckdb.DuckDBPyConnection, contract: Contract
) -> dict[str, tuple[object, ...]]:
    """What each file brought, whatever the batch; a change of a column changes everything."""
    present = existing_columns(connection).get((contract.schema, contract.entity))
    if present is None:
        return {}
    columns = {n: t for n, t in present.items() if n not in {"_batch_id", "_loaded_at"}}
    listed = ", ".join(f'"{name}"' for name in columns)
    rows = connection.execute(
        f"""select _source_file, count(*), sum(hash({listed})::hugeint)
            from {contract.relation} group by _source_file"""
    ).fetchall()
    shape = tuple(sorted(columns.items()))
    return {file: (shape, count, total) for file, count, total in rows}


def _give_back(
    connection: duckdb.DuckDBPyConnection, contract: Contract, kept: Mapping[int, Known]
) -> None:
    if not kept:
        return
    table = pa.table(
        {
            "fresh": pa.array(list(kept), pa.int64()),
            "earlier": pa.array([k.batch_id for k in kept.values()], pa.int64()),
            "at": pa.array([k.loaded_at for k in kept.values()], pa.timestamp("us", "UTC")),
        }
    )
    with registered(connection, "sluice_kept", table):
        connection.execute(
            f"""update {contract.relation} set _batch_id = earlier, _loaded_at = at
                from sluice_kept where _batch_id = fresh"""
        )
        connection.execute(
            f"""update {SCHEMA}.quarantine set batch_id = earlier, quarantined_at = at
                from sluice_kept where batch_id = fresh"""
        )


def _as_before(batch: Batch, earlier: Known) -> Batch:
    return replace(batch, batch_id=earlier.batch_id, loaded_at=earlier.loaded_at)


def _repeats(
    fresh: int, repeated: Sequence[Inspected], known: Mapping[str, Known], now: datetime
) -> list[Batch]:
    batches = []
    for number, file in enumerate(repeated):
        batch = batch_of(Numbered(fresh + number, file), Taken(), now, SKIPPED)
        earlier = known.get(file.file.path)
        batches.append(_as_before(batch, earlier) if earlier else batch)
    return batches


def replay_quarantine(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    source: str | None = None,
    *,
    now: datetime | None = None,
) -> list[QuarantineReplay]:
    """Hold quarantined rows against the present contracts; those that fit now are loaded."""
    now, results = now or wall_clock(), []
    all_contracts = read_contracts(settings)
    landing = Landing(settings)
    with explained(settings):
        ensure_raw_tables(connection, all_contracts)
        for name, contracts in all_contracts.items():
            for contract in contracts.values() if source in (None, name) else ():
                with transaction(connection):
                    results += _replay_entity(connection, landing, contract, now)
    for result in results:
        _log(settings, result.source, [(result.entity, result.accepted, result.still_bad)])
    return results


@dataclass(frozen=True)
class _Row:
    batch_id: int
    file: str
    number: int
    content: str


def _replay_entity(
    connection: duckdb.DuckDBPyConnection, landing: Landing, contract: Contract, now: datetime
) -> list[QuarantineReplay]:
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
    fresh = next_batch_id(connection)
    batch_ids = {file: fresh + n for n, file in enumerate(dict.fromkeys(r.file for r in rows))}
    accepted: dict[str, int] = {}
    if contract.format == "csv":
        for file, batch_id in batch_ids.items():
            _parse_csv_again(connection, landing, contract, file, batch_id, rows)
            _accept(connection, contract, now, accepted)
    else:
        pieces = [
            Piece(batch_ids[row.file], row.file, row.number, row.content.encode()) for row in rows
        ]
        parse_json_lines(connection, contract, pieces)
        _accept(connection, contract, now, accepted)
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
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: Contract,
    file: str,
    batch_id: int,
    rows: Sequence[_Row],
) -> None:
    header = csv_header(landing, contract, file)
    records = [
        record
        for row in rows
        if row.file == file
        for record in split_records(
            [(row.number, row.content)], len(header), contract.delimiter, contract.max_line_bytes
        )
    ]
    parse_csv_records(connection, contract, header, batch_id, file, records)


def _accept(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    now: datetime,
    accepted: dict[str, int],
) -> None:
    counts = connection.execute(
        f"select file, count(*) from {PARSED} where fault = 0 group by file order by file"
    ).fetchall()
    if not counts:
        return
    accepted.update(counts)
    insert_good(connection, contract, now)
    connection.execute(
        f"""update {SCHEMA}.quarantine as q set replayed_at = $now::timestamptz
            from {PARSED} as p
            where p.fault = 0 and q.file = p.file and q.row_number = p.row_number
                and q.source = $source and q.replayed_at is null""",
        {"now": now, "source": contract.source},
    )


def _log(settings: Settings, source: str, entities: Sequence[tuple[str, int, int]]) -> None:
    platform_log.append(
        settings,
        LOG_KIND,
        [
            {
                "outcome": REPLAYED,
                "source": source,
                "entity": entity,
                "row_count": rows,
                "quarantined_count": bad,
            }
            for entity, rows, bad in entities
        ],
    )
