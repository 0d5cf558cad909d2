"""What a fetch came to: told to the caller and to the platform log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from warehouse.words import counted

LOG_KIND: Final = "fetches"

Report = Callable[[str], None]


@dataclass
class EntityFetch:
    """What one entity gained."""

    files: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass
class Fetched:
    """What came of one source. Problems need a person; notes are worth knowing."""

    source: str
    kind: str
    entities: dict[str, EntityFetch] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    # What a database holds back for us, where it tells.
    lag_bytes: int | None = None

    def add(self, entity: str, *, files: int = 0, rows: int = 0, size: int = 0) -> None:
        found = self.entities.setdefault(entity, EntityFetch())
        found.files += files
        found.rows += rows
        found.bytes += size

    @property
    def files(self) -> int:
        return sum(each.files for each in self.entities.values())

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.entities.values())

    def __str__(self) -> str:
        rows = f", {counted(self.rows, 'row')}" if self.rows else ""
        return f"{self.source}: {counted(self.files, 'file')}{rows} landed"


@dataclass(frozen=True)
class Standing:
    """How far a connector has read, in words, and how far it lags where that can be known."""

    source: str
    kind: str
    state: str
    cursors: Mapping[str, str] = field(default_factory=dict)
    lag: str | None = None
    last_at: datetime | None = None
    problem: str | None = None
