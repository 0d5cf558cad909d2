"""Loading again everything that a source ever landed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Final

import pyarrow as pa

from ingestion.aside import settle
from ingestion.contracts import Contract, read_contracts
from ingestion.desk import Desk, desk_before
from ingestion.inspection import Inspected, Numbered, Refusal
from ingestion.landing import Landing
from ingestion.ledger import (
    LOADED,
    SCHEMA,
    SKIPPED,
    WITHDRAWN,
    Batch,
    Known,
    known_files,
    next_batch_id,
    record,
    registered,
    set_aside_files,
    transaction,
)
from ingestion.load import Unloadable, batch_of, load_files
from ingestion.outcome import EntityLoad, LoadResult, explained, log_replay
from ingestion.raw import ensure_raw_tables, existing_columns
from ingestion.reparse import QuarantineReplay, replay_quarantine
from ingestion.retention.planning import files_let_go
from ingestion.retention.removal import put_back_in_raw
from ingestion.retention.staying import empty_but
from ingestion.survey import survey_again
from ingestion.taking import Taken
from warehouse.clock import wall_clock
from warehouse.connection import Connection, Engine, engine, literal
from warehouse.errors import ContractError
from warehouse.settings import Settings

__all__ = ["QuarantineReplay", "replay_quarantine", "replay_source"]


def replay_source(
    settings: Settings,
    connection: Connection,
    source: str,
    *,
    now: datetime | None = None,
) -> LoadResult:
    """Rebuild a source's raw tables from landing, in one transaction.

    A file whose rows come out as they were keeps its batch, so that nothing downstream moves; one
    whose rows changed (the contract did) becomes a new batch, so that models take it in again. Rows
    of files that landing has let go by its retention stay as they are.
    """
    started, now = time.monotonic(), now or wall_clock()
    contracts = _contracts(settings, source)
    landing = Landing(settings)
    with explained(settings):
        ensure_raw_tables(connection, {})
        settle(settings, connection)
        known = known_files(connection, source)
        present = {file.path for file in landing.files(source)}
        staying = files_let_go(connection, source, "landing") - present
        aside = set_aside_files(connection)
        found = survey_again(landing, contracts, source, known, aside, staying)
        found.refused += _vanished(present | staying, known)
        if found.refused:
            return LoadResult(source, {}, tuple(found.refused), (), time.monotonic() - started)
        try:
            with desk_before(settings, connection) as desk, transaction(connection):
                fresh = next_batch_id(connection)
                batches = _rebuild(desk, landing, contracts, found.files, known, now, staying)
                batches += _repeats(fresh + len(found.files), found.repeated, known, now)
                _forget(connection, "batches", source, staying, f"status <> '{WITHDRAWN}'")
                record(connection, batches)
                put_back_in_raw(connection, source, [file.file.path for file in found.files])
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
    result = LoadResult(source, entities, (), (), time.monotonic() - started, len(staying))
    log_replay(settings, source, [(e, load.rows, load.quarantined) for e, load in entities.items()])
    return result


def _vanished(accounted: Set[str], known: Mapping[str, Known]) -> list[Refusal]:
    """Files whose rows a rebuild would lose."""
    return [
        Refusal(
            path,
            "It was loaded, and is not in the landing zone any more: a rebuild would lose it.",
            "Put it back from a backup, then replay again.",
        )
        for path, file in known.items()
        if path not in accounted and file.status != WITHDRAWN
    ]


def _forget(connection: Connection, table: str, source: str, staying: Set[str], which: str) -> None:
    """The ledger's lines of what is loaded anew."""
    files = pa.table({"file": pa.array(sorted(staying), pa.string())})
    with registered(connection, "sluice_staying_files", files):
        connection.execute(
            f"""delete from {SCHEMA}.{table} where source = ? and {which}
                and file not in (select file from sluice_staying_files)""",
            [source],
        )


def _contracts(settings: Settings, source: str) -> Mapping[str, Contract]:
    contracts = read_contracts(settings).get(source)
    if contracts is None:
        raise ContractError(
            f"There is no contract for the source {source}.",
            remedy=f"Write dbt_project/models/raw/{source}.yml; app.yml shows how.",
        )
    return contracts


def _rebuild(
    desk: Desk,
    landing: Landing,
    contracts: Mapping[str, Contract],
    files: Sequence[Inspected],
    known: Mapping[str, Known],
    now: datetime,
    staying: Set[str],
) -> list[Batch]:
    connection = desk.target
    fresh = next_batch_id(connection)
    batches: list[Batch] = []
    for entity, contract in contracts.items():
        before = _fingerprints(connection, contract)
        _forget(connection, "quarantine", contract.source, staying, f"entity = {literal(entity)}")
        empty_but(connection, contract, staying)
        # Every file starts under a new number; those that came out the same get their own back.
        mine = [file for file in files if file.file.entity == entity]
        numbered = [Numbered(fresh + n, file) for n, file in enumerate(mine)]
        fresh += len(mine)
        taken = load_files(desk, landing, contract, numbered, now)
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


_ROW_HASH: Final[Mapping[Engine, str]] = {
    "duckdb": "hash({})::hugeint",
    "postgres": "hashtextextended(row({})::text, 0)::numeric",
}


def _fingerprints(connection: Connection, contract: Contract) -> dict[str, tuple[object, ...]]:
    """What each file brought, whatever the batch; a change of a column changes everything."""
    present = existing_columns(connection).get((contract.place, contract.entity))
    if present is None:
        return {}
    columns = {n: t for n, t in present.items() if n not in {"_batch_id", "_loaded_at"}}
    listed = ", ".join(f'"{name}"' for name in columns)
    rows = connection.execute(
        f"""select _source_file, count(*), sum({_ROW_HASH[engine(connection)].format(listed)})
            from {contract.relation} group by _source_file"""
    ).fetchall()
    shape = tuple(sorted(columns.items()))
    return {file: (shape, count, total) for file, count, total in rows}


def _give_back(connection: Connection, contract: Contract, kept: Mapping[int, Known]) -> None:
    if not kept:
        return
    table = pa.table(
        {
            "fresh": pa.array(list(kept), pa.int64()),
            "earlier": pa.array([k.batch_id for k in kept.values()], pa.int64()),
            "earlier_at": pa.array([k.loaded_at for k in kept.values()], pa.timestamp("us", "UTC")),
        }
    )
    with registered(connection, "sluice_kept", table):
        connection.execute(
            f"""update {contract.relation} set _batch_id = earlier, _loaded_at = earlier_at
                from sluice_kept where _batch_id = fresh"""
        )
        connection.execute(
            f"""update {SCHEMA}.quarantine set batch_id = earlier, quarantined_at = earlier_at
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
