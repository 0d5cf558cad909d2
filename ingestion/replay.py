"""Loading again everything that a source ever landed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from datetime import datetime

from ingestion.aside import settle
from ingestion.contracts import Contract, contracts_of
from ingestion.desk import Desk, desk_before
from ingestion.inspection import Inspected, Numbered, Refusal
from ingestion.landing import Landing
from ingestion.ledger import (
    LOADED,
    SKIPPED,
    WITHDRAWN,
    Batch,
    Known,
    known_files,
    next_batch_id,
    record,
    set_aside_files,
)
from ingestion.load import Unloadable, batch_of
from ingestion.outcome import EntityLoad, LoadResult, explained, log_replay
from ingestion.raw import ensure_raw_tables
from ingestion.reparse import QuarantineReplay, replay_quarantine
from ingestion.rereading import as_before, forget_all_but, read_again
from ingestion.retention.planning import files_let_go
from ingestion.retention.removal import put_back_in_raw
from ingestion.survey import survey_again
from ingestion.taking import Taken
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.settings import Settings
from warehouse.workshop import transaction

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
    contracts = contracts_of(settings, source)
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
                forget_all_but(connection, "batches", source, staying, f"status <> '{WITHDRAWN}'")
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


def _rebuild(
    desk: Desk,
    landing: Landing,
    contracts: Mapping[str, Contract],
    files: Sequence[Inspected],
    known: Mapping[str, Known],
    now: datetime,
    staying: Set[str],
) -> list[Batch]:
    fresh = next_batch_id(desk.target)
    batches: list[Batch] = []
    for entity, contract in contracts.items():
        mine = [file for file in files if file.file.entity == entity]
        batches += read_again(
            desk, landing, contract, mine, known, fresh, now, is_whole=True, staying=staying
        )
        fresh += len(mine)
    return batches


def _repeats(
    fresh: int, repeated: Sequence[Inspected], known: Mapping[str, Known], now: datetime
) -> list[Batch]:
    batches = []
    for number, file in enumerate(repeated):
        batch = batch_of(Numbered(fresh + number, file), Taken(), now, SKIPPED)
        earlier = known.get(file.file.path)
        batches.append(as_before(batch, earlier) if earlier else batch)
    return batches
