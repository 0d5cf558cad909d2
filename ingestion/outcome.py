"""What a load came to: told to the caller and to the platform log."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import duckdb

from ingestion.inspection import Refusal
from ingestion.ledger import LOADED, REPLAYED, SKIPPED, Batch
from warehouse import platform_log, troubles
from warehouse.connection import EngineError
from warehouse.errors import SluiceError
from warehouse.settings import Settings
from warehouse.words import counted

LOG_KIND: Final = "loads"


@dataclass(frozen=True)
class EntityLoad:
    """What one entity gained."""

    files: int = 0
    rows: int = 0
    quarantined: int = 0
    repeated: int = 0
    # Columns that the contract does not have, or has under another name.
    drift: tuple[str, ...] = ()
    # Files of no bytes: a quiet day, or an accident.
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadResult:
    """What came of one source. A refusal means that nothing more of it was loaded."""

    source: str
    entities: Mapping[str, EntityLoad]
    refused: tuple[Refusal, ...] = ()
    uncontracted: tuple[str, ...] = ()
    seconds: float = 0.0
    staying: int = 0
    """Files that a replay left as they are in raw, because landing has let them go."""

    def __str__(self) -> str:
        if self.refused:
            first = self.refused[0]
            return f"{self.source}: refused {first.file}: {first.reason}"
        return (
            f"{self.source}: {counted(self.files, 'file')}, {counted(self.rows, 'row')}, "
            f"{self.quarantined:,} quarantined"
        )

    @property
    def rows(self) -> int:
        return sum(entity.rows for entity in self.entities.values())

    @property
    def quarantined(self) -> int:
        return sum(entity.quarantined for entity in self.entities.values())

    @property
    def files(self) -> int:
        return sum(entity.files for entity in self.entities.values())

    @property
    def empty(self) -> tuple[str, ...]:
        return tuple(file for entity in self.entities.values() for file in entity.empty)


@dataclass
class Progress:
    """What has been committed so far."""

    source: str
    now: datetime
    entities: dict[str, EntityLoad] = field(default_factory=dict)
    events: list[dict[str, object]] = field(default_factory=list)

    def add(self, batches: Sequence[Batch], reported: dict[str, set[str]]) -> None:
        for batch in batches:
            old = self.entities.get(batch.entity, EntityLoad())
            loaded = batch.status != SKIPPED
            drift = dict.fromkeys((*old.drift, *batch.drift.added, *batch.drift.renamed))
            is_empty = loaded and not batch.size
            self.entities[batch.entity] = EntityLoad(
                old.files + loaded,
                old.rows + batch.rows,
                old.quarantined + batch.quarantined,
                old.repeated + (not loaded),
                tuple(drift),
                (*old.empty, batch.file) if is_empty else old.empty,
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


def log(settings: Settings, result: LoadResult, progress: Progress) -> None:
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


def log_replay(settings: Settings, source: str, entities: Sequence[tuple[str, int, int]]) -> None:
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


_NO_SPACE = ("No space left", "File too large", "max_temp_directory_size", "Disk quota")


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """A full disk, a full memory or a server's refusal in plain words."""
    try:
        yield
    except EngineError as error:
        raise troubles.explained(error) from error
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
