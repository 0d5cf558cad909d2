"""What would go by policy, delivery by delivery, and what stays although it is old enough."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final

from ingestion.contracts import Contract, read_contracts
from ingestion.landing import LandedFile, Landing
from ingestion.ledger import LOADED, REPLAYED, SCHEMA, ensure_ledger, set_aside_files
from ingestion.retention.policy import Part
from ingestion.retention.protection import (
    Protection,
    Reader,
    late_batches,
    waiting_lines,
    why_raw_stays,
)
from warehouse.clock import as_of, wall_clock
from warehouse.connection import Connection
from warehouse.settings import Settings

Readers = Mapping[str, Sequence[Reader]]
"""By entity as contracts call it, the models that read its raw table."""
_HOLDS_ROWS: Final = (LOADED, REPLAYED)


@dataclass(frozen=True)
class Item:
    """One received file, in landing or in raw; `because` says why it stays."""

    part: Part
    source: str
    entity: str
    file: str
    received_on: date
    batches: tuple[int, ...]
    rows: int
    size: int
    because: str = ""

    @property
    def dataset(self) -> str:
        return f"{self.source}.{self.entity}"


@dataclass(frozen=True)
class Plan:
    going: tuple[Item, ...]
    staying: tuple[Item, ...]


@dataclass
class _Delivery:
    """What the ledger says of one file."""

    entity: str
    loaded_at: datetime
    size: int
    stamp: str
    batches: list[int] = field(default_factory=list)
    rows: int = 0


def has_policy(settings: Settings) -> bool:
    """Is anything ever to go?"""
    return any(each.retention for each in _contracts(settings))


def plan(
    settings: Settings,
    connection: Connection,
    readers: Readers,
    protections: Collection[Protection],
) -> Plan:
    """Nothing is changed; what has been marked already is not in it."""
    ensure_ledger(connection)
    found: list[Item] = []
    with_policy = [each for each in _contracts(settings) if each.retention]
    for source in dict.fromkeys(each.source for each in with_policy):
        mine = {each.entity: each for each in with_policy if each.source == source}
        known = _deliveries(connection, source)
        found += _Looking(settings, connection, source, mine, known, protections).items(readers)
    return Plan(
        tuple(each for each in found if not each.because),
        tuple(each for each in found if each.because),
    )


@dataclass
class _Looking:
    settings: Settings
    connection: Connection
    source: str
    contracts: Mapping[str, Contract]
    known: Mapping[str, _Delivery]
    protections: Collection[Protection]

    def __post_init__(self) -> None:
        self.now = as_of(self.settings), wall_clock()
        self.waiting = waiting_lines(self.connection, self.source)
        self.late = {
            entity: late_batches(self.connection, each.name)
            for entity, each in self.contracts.items()
        }

    def items(self, readers: Readers) -> Iterator[Item]:
        for item, contract in (*self._in_landing(), *self._in_raw(readers)):
            first_day = contract.retention.first_day(item.part, *self.now)
            if first_day is not None and item.received_on < first_day:
                yield replace(item, because=item.because or self._needed(item))

    def _in_landing(self) -> Iterator[tuple[Item, Contract]]:
        if all(each.retention.landing_days is None for each in self.contracts.values()):
            return
        aside = set_aside_files(self.connection)
        marked = files_let_go(self.connection, self.source, "landing", "removed_at is null")
        for file in sorted(Landing(self.settings).files(self.source), key=lambda f: f.path):
            # What is marked and still there: the next removal goes on with it.
            if file.entity in self.contracts and file.path not in marked:
                known = self.known.get(file.path)
                because = "" if file.path in aside else _not_as_loaded(file, known)
                yield (
                    self._item("landing", file.path, known, file, because),
                    self.contracts[file.entity],
                )

    def _in_raw(self, readers: Readers) -> Iterator[tuple[Item, Contract]]:
        gone = files_let_go(self.connection, self.source, "raw")
        why = {
            entity: why_raw_stays(self.connection, each.name, readers.get(each.name, ()))
            for entity, each in self.contracts.items()
            if each.retention.raw_days is not None
        }
        for path, known in self.known.items():
            if known.entity in why and known.rows and path not in gone:
                item = self._item("raw", path, known, None, why[known.entity])
                yield item, self.contracts[known.entity]

    def _item(
        self,
        part: Part,
        path: str,
        known: _Delivery | None,
        file: LandedFile | None,
        because: str,
    ) -> Item:
        entity, received = [*path.split("/"), "", ""][1:3]
        return Item(
            part=part,
            source=self.source,
            entity=entity,
            file=path,
            received_on=_day(received, known.loaded_at if known else wall_clock()),
            batches=tuple(known.batches) if known else (),
            rows=known.rows if known else 0,
            size=file.size if file else 0,
            because=because,
        )

    def _needed(self, item: Item) -> str:
        lines = self.waiting.get(item.file, 0)
        if lines:
            return f"{lines:,} of its lines wait in quarantine for a replay"
        if not self.late[item.entity].isdisjoint(item.batches):
            return "it came too late for days that are sealed, and no model has its rows"
        known = self.known.get(item.file)
        at = known.loaded_at if known else wall_clock()
        held = (p.because for p in self.protections if p.holds(item.dataset, item.batches, at))
        return next(held, "")


def files_let_go(
    connection: Connection, source: str, part: Part, which: str = "true"
) -> frozenset[str]:
    rows = connection.execute(
        f"select file from {SCHEMA}.let_go where source = ? and part = ? and {which}",
        [source, part],
    ).fetchall()
    return frozenset(str(file) for (file,) in rows)


def _contracts(settings: Settings) -> Iterator[Contract]:
    return (each for held in read_contracts(settings).values() for each in held.values())


def _deliveries(connection: Connection, source: str) -> Mapping[str, _Delivery]:
    rows = connection.execute(
        f"""select file, entity, loaded_at, size_bytes, file_stamp, batch_id, row_count, status
            from {SCHEMA}.batches where source = ? order by batch_id""",
        [source],
    ).fetchall()
    found: dict[str, _Delivery] = {}
    for file, entity, loaded_at, size, stamp, batch, count, status in rows:
        mine = found.setdefault(file, _Delivery(entity, loaded_at, size, stamp))
        if status in _HOLDS_ROWS:
            mine.batches.append(batch)
            mine.rows += count
    return found


def _not_as_loaded(file: LandedFile, known: _Delivery | None) -> str:
    if known is None:
        return "it was never loaded"
    if (file.size, file.stamp) != (known.size, known.stamp):
        return "it is not what was loaded: the next load looks at it"
    return ""


def _day(received: str, loaded_at: datetime) -> date:
    try:
        return date.fromisoformat(received)
    except ValueError:
        return loaded_at.date()
