"""Landing → raw: each received file is loaded once, whole or not at all."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import duckdb

from ingestion.contracts import Contract, read_contracts
from ingestion.inspection import Inspected, Refusal
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
    transaction,
)
from ingestion.parsing import Numbered, parse
from ingestion.raw import ensure_raw_tables
from ingestion.survey import Survey, newest_landed, pending, survey
from ingestion.taking import Taken, take
from warehouse import platform_log
from warehouse.clock import wall_clock
from warehouse.errors import ContractError, SluiceError
from warehouse.settings import Settings

__all__ = [
    "EntityLoad",
    "LoadResult",
    "Refusal",
    "ensure_raw_tables",
    "load_all",
    "load_source",
    "newest_landed",
    "pending",
]

LOG_KIND: Final = "loads"
# Bounds what a crash costs and what a transaction holds; one larger file is still one batch.
TRANSACTION_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True)
class EntityLoad:
    """What one entity gained."""

    files: int = 0
    rows: int = 0
    quarantined: int = 0
    repeated: int = 0
    # Columns that the contract does not have, or has under another name.
    drift: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadResult:
    """What came of one source. A refusal means that nothing more of it was loaded."""

    source: str
    entities: Mapping[str, EntityLoad]
    refused: tuple[Refusal, ...] = ()
    uncontracted: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        return sum(entity.rows for entity in self.entities.values())

    @property
    def quarantined(self) -> int:
        return sum(entity.quarantined for entity in self.entities.values())

    @property
    def files(self) -> int:
        return sum(entity.files for entity in self.entities.values())


def load_all(
    settings: Settings, connection: duckdb.DuckDBPyConnection, *, now: datetime | None = None
) -> list[LoadResult]:
    """Every contracted source, each for itself: one that is refused stops no other."""
    return [
        load_source(settings, connection, source, now=now) for source in read_contracts(settings)
    ]


def load_source(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    source: str,
    *,
    now: datetime | None = None,
) -> LoadResult:
    """Load what a source landed since the last time; bad data is in the result, never raised."""
    started = time.monotonic()
    contracts = read_contracts(settings).get(source)
    if contracts is None:
        raise ContractError(
            f"There is no contract for the source {source}.",
            remedy=f"Write dbt_project/models/raw/{source}.yml; app.yml shows how.",
        )
    with explained(settings):
        ensure_raw_tables(connection, {source: contracts})
        landing = Landing(settings)
        found = survey(connection, landing, contracts, source)
        progress = Progress(settings, source, now or wall_clock())
        if found.refused:
            refused = tuple(found.refused)
        else:
            refused = _load(connection, landing, contracts, found, progress)
        result = LoadResult(
            source,
            progress.entities,
            refused,
            tuple(sorted(found.uncontracted)),
            time.monotonic() - started,
        )
        _log(settings, result, progress)
    return result


@dataclass
class Progress:
    """What has been committed so far."""

    settings: Settings
    source: str
    now: datetime
    entities: dict[str, EntityLoad] = field(default_factory=dict)
    events: list[dict[str, object]] = field(default_factory=list)

    def add(self, batches: Sequence[Batch], reported: dict[str, set[str]]) -> None:
        for batch in batches:
            old = self.entities.get(batch.entity, EntityLoad())
            loaded = batch.status != SKIPPED
            drift = dict.fromkeys((*old.drift, *batch.drift.added, *batch.drift.renamed))
            self.entities[batch.entity] = EntityLoad(
                old.files + loaded,
                old.rows + batch.rows,
                old.quarantined + batch.quarantined,
                old.repeated + (not loaded),
                tuple(drift),
            )
            self._report(batch, reported.setdefault(batch.entity, set()))

    def _report(self, batch: Batch, reported: set[str]) -> None:
        """The first file that brings a change says so in the platform log."""
        news = [n for n in (*batch.drift.added, *batch.drift.renamed) if n not in reported]
        if not news:
            return
        reported.update(news)
        self.events.append(
            {
                "outcome": "drift",
                "source": batch.source,
                "entity": batch.entity,
                "file": batch.file,
                "added": [name for name in batch.drift.added if name in news],
                "renamed": {k: v for k, v in batch.drift.renamed.items() if k in news},
            }
        )


class Unloadable(Exception):
    """A file turned out in the middle of a load to be unreadable."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.reason)


def _load(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contracts: Mapping[str, Contract],
    found: Survey,
    progress: Progress,
) -> tuple[Refusal, ...]:
    reported = {entity: known_drift(connection, progress.source, entity) for entity in contracts}
    groups = _groups(found.files)
    for group in groups or [[]]:
        is_last = not groups or group is groups[-1]
        try:
            with transaction(connection):
                batches = _load_group(connection, landing, contracts, group, progress.now)
                if is_last:
                    batches += _skipped(connection, found, progress.now, len(batches))
                    _restamp(connection, found)
                record(connection, batches)
        except Unloadable as unloadable:
            return (unloadable.refusal,)
        progress.add(batches, reported)
    return ()


def _groups(files: Sequence[Inspected]) -> list[list[Inspected]]:
    """Entity by entity, in landing order, and no more in one transaction than is bearable."""
    groups: list[list[Inspected]] = []
    size = TRANSACTION_BYTES
    for file in sorted(files, key=lambda f: (f.file.entity, f.file.landing_order)):
        if size + file.file.size > TRANSACTION_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.file.size
    return groups


def _load_group(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contracts: Mapping[str, Contract],
    group: Sequence[Inspected],
    now: datetime,
) -> list[Batch]:
    first = next_batch_id(connection)
    numbered = [Numbered(first + n, file) for n, file in enumerate(group)]
    batches: list[Batch] = []
    for entity in dict.fromkeys(file.file.entity for file in group):
        files = [file for file in numbered if file.inspected.file.entity == entity]
        taken = load_files(connection, landing, contracts[entity], files, now)
        batches += [batch_of(file, taken, now) for file in files]
    return batches


def load_files(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    contract: Contract,
    files: Sequence[Numbered],
    now: datetime,
) -> Taken:
    """Rows into raw and quarantine; the caller holds the transaction."""
    taken = Taken()
    try:
        for _ in parse(connection, landing, contract, files):
            take(connection, contract, now, taken)
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        path = next((f.path for f in files if f.path in str(error)), files[0].path)
        raise Unloadable(
            Refusal(
                path,
                f"DuckDB cannot read it: {str(error).splitlines()[0]}",
                f"Look at the file; set it aside with `sluice set-aside {path}`.",
            )
        ) from error
    return taken


def batch_of(file: Numbered, taken: Taken, now: datetime, status: str = LOADED) -> Batch:
    landed, contract = file.inspected.file, file.inspected.contract
    header = file.inspected.header
    missing = tuple(
        c.name for c in contract.columns if header and not set(c.names).intersection(header)
    )
    aliases = contract.aliases
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
            renamed={name: aliases[name] for name in sorted(taken.renamed.get(file.batch_id, ()))},
            missing=missing,
        ),
        status=status,
        loaded_at=now,
    )


def _skipped(
    connection: duckdb.DuckDBPyConnection, found: Survey, now: datetime, ahead: int
) -> list[Batch]:
    """Content that came before is remembered, so that it is not looked at again."""
    first = next_batch_id(connection) + ahead
    return [
        batch_of(Numbered(first + n, file), Taken(), now, SKIPPED)
        for n, file in enumerate(found.repeated)
    ]


def _restamp(connection: duckdb.DuckDBPyConnection, found: Survey) -> None:
    for file in found.rewritten:
        connection.execute(
            f"update {SCHEMA}.batches set file_stamp = ? where file = ?", [file.stamp, file.path]
        )


def _log(settings: Settings, result: LoadResult, progress: Progress) -> None:
    events: list[dict[str, object]] = [
        {
            "outcome": LOADED,
            "source": result.source,
            "entity": entity,
            "file_count": load.files,
            "row_count": load.rows,
            "quarantined_count": load.quarantined,
            "repeated_count": load.repeated,
            "drift": list(load.drift),
            "seconds": round(result.seconds, 3),
        }
        for entity, load in result.entities.items()
    ]
    events += [
        {
            "outcome": "refused",
            "source": result.source,
            "entity": [*refusal.file.split("/"), ""][1],
            "file": refusal.file,
            "reason": refusal.reason,
            "remedy": refusal.remedy,
        }
        for refusal in result.refused
    ]
    platform_log.append(settings, LOG_KIND, [*events, *progress.events])


_NO_SPACE = ("No space left", "File too large", "max_temp_directory_size", "Disk quota")


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """A full disk or memory in plain words."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        text = str(error)
        is_full = isinstance(error, OSError) and error.errno in (
            errno.ENOSPC,
            errno.EFBIG,
            errno.EDQUOT,
        )
        if is_full or any(words in text for words in _NO_SPACE):
            raise SluiceError(
                f"The disk that holds {settings.data_dir} is full; nothing half-loaded stays.",
                remedy="Free space or set SLUICE_DATA_DIR to a larger disk, then run again.",
            ) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise SluiceError(
                f"Memory ran out while loading: {text.splitlines()[0]}",
                remedy="Raise SLUICE_DUCKDB_MEMORY_LIMIT, or end what else runs; then run again.",
            ) from error
        raise
