"""What may go, goes: marked first, then removed, then told; whoever comes after a kill goes on.

The ledger keeps its line of every file, so that one that is delivered again is known. A raw row
goes in the transaction that marks it, and seals the days that it was in: no model builds these
again (macros_lib/README.md), because only the models have its part of them now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from ingestion.contracts import read_contracts
from ingestion.landing import Landing
from ingestion.ledger import SCHEMA, ensure_ledger, registered
from ingestion.retention.planning import Item, Plan
from ingestion.retention.policy import Part
from warehouse import platform_log
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.crash_points import crash_point
from warehouse.errors import SluiceError
from warehouse.settings import Settings
from warehouse.structure import exists
from warehouse.versions import BOOKS
from warehouse.words import counted
from warehouse.workshop import transaction

LOG_KIND = "loads"


@dataclass(frozen=True)
class Removed:
    """What went of one entity."""

    part: Part
    source: str
    entity: str
    files: int
    rows: int
    size: int
    until: date
    """The day on which the youngest of it was received."""

    def __str__(self) -> str:
        of_landing = f", {self.size / 1e6:,.1f} MB" if self.part == "landing" else ""
        return (
            f"{self.part} of {self.source}.{self.entity}: {counted(self.files, 'file')}, "
            f"{counted(self.rows, 'row')}{of_landing}, received until {self.until}"
        )


def let_go(settings: Settings, connection: Connection, planned: Plan) -> tuple[Removed, ...]:
    """Remove what the plan lets go, and what an earlier removal had marked and not finished."""
    ensure_ledger(connection)
    for entity in dict.fromkeys((each.source, each.entity) for each in planned.going):
        mine = [each for each in planned.going if (each.source, each.entity) == entity]
        with transaction(connection):
            _mark(connection, mine, wall_clock())
            _remove_rows(settings, connection, *entity)
    crash_point("retention.marked")
    return _finish(settings, connection)


def forget_seal(connection: Connection, model: str) -> Mapping[str, int]:
    """Take the loss: this model may be built without the rows that only it has.

    Gives the number of days by entity.
    """
    if not exists(connection, str(BOOKS), "sealed"):
        return {}
    days = connection.execute(
        f"select input, count(*) from {BOOKS}.sealed where model = ? group by input", [model]
    ).fetchall()
    connection.execute(f"delete from {BOOKS}.sealed where model = ?", [model])
    return {str(entity): int(count) for entity, count in days}


def put_back_in_raw(connection: Connection, source: str, files: Iterable[str]) -> None:
    """A replay has loaded these anew: days of which raw has every row again are free.

    The caller holds the transaction, and has recorded the batches.
    """
    table = pa.table({"file": pa.array(sorted(files), pa.string())})
    with registered(connection, "sluice_back", table):
        connection.execute(
            f"""delete from {SCHEMA}.let_go
                where source = ? and file in (select file from sluice_back)
                    and (part = 'raw' or removed_at is not null)""",
            [source],
        )
    if exists(connection, str(BOOKS), "sealed"):
        connection.execute(
            f"""delete from {BOOKS}.sealed as sealed
                where input like ? and not exists (
                    select 1 from {BOOKS}.batch_partitions as held
                    where held.model = sealed.model and held.input = sealed.input
                        and held.partition_on = sealed.partition_on
                        and held.batch_id in ({_batches_gone()})
                )""",
            [f"{source}.%", source],
        )


def _batches_gone() -> str:
    """Of a source, the batches whose rows are gone from raw."""
    return f"""select batch_id from {SCHEMA}.batches where source = ? and file in (
        select file from {SCHEMA}.let_go where part = 'raw')"""


def _mark(connection: Connection, items: Iterable[Item], now: datetime) -> None:
    rows = [
        {
            "part": each.part,
            "source": each.source,
            "entity": each.entity,
            "file": each.file,
            "received_on": each.received_on,
            "row_count": each.rows,
            "size_bytes": each.size,
            "marked_at": now,
        }
        for each in items
    ]
    columns = ", ".join(rows[0])
    values = columns.replace("received_on", "cast(received_on as date)")
    with registered(connection, "sluice_going", pa.Table.from_pylist(rows)):
        # A file that came back, from a backup for instance, goes again.
        connection.execute(
            f"""delete from {SCHEMA}.let_go
                where (part, file) in (select part, file from sluice_going)"""
        )
        connection.execute(
            f"insert into {SCHEMA}.let_go ({columns}) select {values} from sluice_going"
        )


def _remove_rows(settings: Settings, connection: Connection, source: str, entity: str) -> None:
    contract = read_contracts(settings)[source][entity]
    rows = connection.execute(
        f"""select batch_id from {SCHEMA}.batches where source = ? and entity = ? and file in (
                select file from {SCHEMA}.let_go where part = 'raw' and removed_at is null)""",
        [source, entity],
    ).fetchall()
    if not rows:
        return
    batches = [int(batch) for (batch,) in rows]
    if exists(connection, str(BOOKS), "sealed"):
        [[position]] = connection.execute(f"select max(batch_id) from {SCHEMA}.batches").fetchall()
        connection.execute(
            f"""insert into {BOOKS}.sealed (model, input, partition_on, position)
                select distinct model, input, partition_on, ?::bigint
                from {BOOKS}.batch_partitions as held
                where input = ? and batch_id in (select unnest(?::bigint[]))
                    and not exists (
                        select 1 from {BOOKS}.sealed as sealed
                        where sealed.model = held.model and sealed.input = held.input
                            and sealed.partition_on = held.partition_on
                    )""",
            [position, contract.name, batches],
        )
    connection.execute(
        f"delete from {contract.relation} where _batch_id in (select unnest(?::bigint[]))",
        [batches],
    )


def _finish(settings: Settings, connection: Connection) -> tuple[Removed, ...]:
    """Everything that is marked and not told yet: files are removed, then the log says so."""
    rows = connection.execute(
        f"""select part, source, entity, file, received_on, row_count, size_bytes
            from {SCHEMA}.let_go where removed_at is null order by part, file"""
    ).fetchall()
    if not rows:
        return ()
    landing = Landing(settings)
    for part, _, _, file, *_ in rows:
        if part == "landing":
            try:
                landing.remove(file)
            except OSError as error:
                raise SluiceError(
                    f"{file} cannot be removed from {settings.landing_url}: {error}",
                    remedy="Let this process remove files there; `sluice retention apply` goes on.",
                ) from error
            crash_point("retention.removed")
    removed = _summed(rows)
    platform_log.append(settings, LOG_KIND, [_event(each) for each in removed])
    crash_point("retention.logged")
    connection.execute(
        f"update {SCHEMA}.let_go set removed_at = ? where removed_at is null", [wall_clock()]
    )
    return removed


def _summed(rows: Iterable[tuple[Part, str, str, str, date, int, int]]) -> tuple[Removed, ...]:
    found: dict[tuple[Part, str, str], Removed] = {}
    for part, source, entity, _, received_on, count, size in rows:
        before = found.get((part, source, entity))
        found[part, source, entity] = Removed(
            part,
            source,
            entity,
            1 + (before.files if before else 0),
            count + (before.rows if before else 0),
            size + (before.size if before else 0),
            max(received_on, before.until) if before else received_on,
        )
    return tuple(found.values())


def _event(each: Removed) -> Mapping[str, object]:
    return {
        "outcome": "let_go",
        "source": each.source,
        "entity": each.entity,
        "file_count": each.files,
        "row_count": each.rows,
        "reason": f"by its retention, from {each.part}: {each}",
    }
