"""Landing → raw: each received file is loaded once, whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import duckdb

from ingestion.aside import set_aside, settle
from ingestion.contracts import Contract, contracts_of, read_contracts
from ingestion.desk import Desk, desk_before
from ingestion.inspection import Inspected, Numbered, Refusal, passing_by
from ingestion.landing import Landing
from ingestion.ledger import (
    LOADED,
    SCHEMA,
    SKIPPED,
    Batch,
    Drift,
    known_drift,
    next_batch_id,
    record,
)
from ingestion.outcome import EntityLoad, LoadResult, Progress, explained, log
from ingestion.parsing import parse
from ingestion.raw import ensure_raw_tables, tidy
from ingestion.survey import Survey, newest_landed, pending, survey
from ingestion.taking import Taken
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.crash_points import crash_point
from warehouse.settings import Settings
from warehouse.workshop import transaction

__all__ = [
    "EntityLoad",
    "LoadResult",
    "Refusal",
    "ensure_raw_tables",
    "load_all",
    "load_source",
    "newest_landed",
    "pending",
    "set_aside",
]

# Bounds what a crash costs and what a transaction holds; one larger file is still one batch.
TRANSACTION_BYTES: Final = 256 * 1024 * 1024


def load_all(
    settings: Settings, connection: Connection, *, now: datetime | None = None
) -> list[LoadResult]:
    """Every contracted source, each for itself: one that is refused stops no other."""
    return [
        load_source(settings, connection, source, now=now) for source in read_contracts(settings)
    ]


def load_source(
    settings: Settings,
    connection: Connection,
    source: str,
    *,
    now: datetime | None = None,
) -> LoadResult:
    """Load what a source landed since the last time; bad data is in the result, never raised."""
    started = time.monotonic()
    contracts = contracts_of(settings, source)
    with explained(settings):
        ensure_raw_tables(connection, {source: contracts})
        settle(settings, connection)
        landing = Landing(settings)
        found = survey(connection, landing, contracts, source)
        progress = Progress(source, now or wall_clock())
        crash_point("load.begun")
        if found.refused:
            refused = tuple(found.refused)
        else:
            with desk_before(settings, connection) as desk:
                refused = _load(desk, landing, contracts, found, progress)
            tidy(connection, contracts, {e: load.rows for e, load in progress.entities.items()})
        result = LoadResult(
            source,
            progress.entities,
            refused,
            tuple(sorted(found.uncontracted)),
            time.monotonic() - started,
        )
        log(settings, result, progress)
        crash_point("load.logged")
    return result


class Unloadable(Exception):
    """A file turned out in the middle of a load to be unreadable."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.reason)


def _load(
    desk: Desk,
    landing: Landing,
    contracts: Mapping[str, Contract],
    found: Survey,
    progress: Progress,
) -> tuple[Refusal, ...]:
    target = desk.target
    reported = {entity: known_drift(target, progress.source, entity) for entity in contracts}
    groups = _groups(found.files)
    for group in groups or [[]]:
        is_last = not groups or group is groups[-1]
        try:
            with transaction(target):
                batches = _load_group(desk, landing, contracts, group, progress.now)
                if is_last:
                    batches += _skipped(target, found, progress.now, len(batches))
                    _restamp(target, found)
                record(target, batches)
                crash_point("load.rows_written")
            crash_point("load.committed")
        except Unloadable as unloadable:
            return (unloadable.refusal,)
        progress.add(batches, reported)
    return ()


def _groups(files: Sequence[Inspected]) -> list[list[Inspected]]:
    """Entity by entity, in landing order, and no more in one transaction than is bearable."""
    groups: list[list[Inspected]] = []
    size = 0
    for file in sorted(files, key=lambda f: (f.file.entity, f.file.landing_order)):
        size += file.file.size
        if not groups or size > TRANSACTION_BYTES:
            groups.append([])
            size = file.file.size
        groups[-1].append(file)
    return groups


def _load_group(
    desk: Desk,
    landing: Landing,
    contracts: Mapping[str, Contract],
    group: Sequence[Inspected],
    now: datetime,
) -> list[Batch]:
    first = next_batch_id(desk.target)
    numbered = [Numbered(first + n, file) for n, file in enumerate(group)]
    batches: list[Batch] = []
    for entity in dict.fromkeys(file.file.entity for file in group):
        files = [file for file in numbered if file.inspected.file.entity == entity]
        taken = load_files(desk, landing, contracts[entity], files, now)
        batches += [batch_of(file, taken, now) for file in files]
    return batches


def load_files(
    desk: Desk,
    landing: Landing,
    contract: Contract,
    files: Sequence[Numbered],
    now: datetime,
) -> Taken:
    """Rows into raw and quarantine; the caller holds the transaction."""
    intake = desk.intake(contract, files, now)
    try:
        parse(intake, landing, files)
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        path = next((f.path for f in files if f.path in str(error)), files[0].path)
        reason = f"DuckDB cannot read it: {str(error).splitlines()[0]}"
        remedy = f"Look at the file; set it aside: {passing_by(path, reason)}"
        raise Unloadable(Refusal(path, reason, remedy)) from error
    return intake.close()


def batch_of(file: Numbered, taken: Taken, now: datetime, status: str = LOADED) -> Batch:
    landed, contract = file.inspected.file, file.inspected.contract
    header = file.inspected.header
    missing = tuple(
        c.name for c in contract.columns if header and not set(c.names).intersection(header)
    )
    aliases = contract.aliases
    renamed = taken.renamed.get(file.batch_id, set()) | {n for n in aliases if n in header}
    rows, quarantined = taken.counts.get(file.batch_id, (0, 0))
    return Batch(
        batch_id=file.batch_id,
        source=landed.source,
        entity=landed.entity,
        file=landed.path,
        content_hash=file.inspected.content_hash,
        size=landed.size,
        stamp=landed.stamp,
        rows=rows,
        quarantined=quarantined,
        drift=Drift(
            added=tuple(sorted(taken.added.get(file.batch_id, ()))),
            renamed={name: aliases[name] for name in sorted(renamed)},
            missing=missing,
        ),
        status=status,
        loaded_at=now,
    )


def _skipped(connection: Connection, found: Survey, now: datetime, ahead: int) -> list[Batch]:
    """Content that came before is remembered, so that it is not looked at again."""
    first = next_batch_id(connection) + ahead
    return [
        batch_of(Numbered(first + n, file), Taken(), now, SKIPPED)
        for n, file in enumerate(found.repeated)
    ]


def _restamp(connection: Connection, found: Survey) -> None:
    for file in found.rewritten:
        connection.execute(
            f"update {SCHEMA}.batches set file_stamp = ? where file = ?", [file.stamp, file.path]
        )
