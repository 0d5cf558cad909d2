"""A source that is read anew portion by portion: so many landed files in each transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ingestion.aside import settle
from ingestion.contracting.comparing import is_widened
from ingestion.contracts import Contract, read_contracts
from ingestion.desk import desk_before
from ingestion.inspection import Inspected, Refusal, inspect
from ingestion.landing import Landing
from ingestion.ledger import (
    LOADED,
    SCHEMA,
    Batch,
    known_files,
    next_batch_id,
    record,
    set_aside_files,
)
from ingestion.load import TRANSACTION_BYTES, Unloadable
from ingestion.outcome import explained, log_replay
from ingestion.raw import ensure_raw_tables, existing_columns, rename, shed, spelled, widen
from ingestion.rereading import forget, read_again
from ingestion.retention.planning import files_let_go
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.crash_points import crash_point
from warehouse.errors import ContractError, SluiceError
from warehouse.settings import Settings
from warehouse.workshop import transaction

# What one portion holds where nobody says otherwise: some ten seconds' work.
FILES: Final = 2_000
ROWS: Final = 1_000_000


@dataclass(frozen=True)
class Portion:
    """Files that became the batches from `first` to `last`, of these entities of a source."""

    source: str
    entities: tuple[str, ...]
    first: int
    last: int
    files: int
    rows: int
    first_on: str
    last_on: str


def portions(
    settings: Settings,
    connection: Connection,
    source: str,
    entities: Collection[str],
    *,
    since: date | None = None,
    until: date | None = None,
    size: int | None = None,
) -> tuple[Portion, ...]:
    """What was loaded of these entities, received in these days, in the order of loading."""
    rows = connection.execute(
        f"""select batch_id, entity, file, row_count + quarantined_count, size_bytes
            from {SCHEMA}.batches where source = ? and status = ? order by batch_id""",
        [source, LOADED],
    ).fetchall()
    found: list[list[tuple[int, str, str, int, int]]] = []
    weight = count = 0
    present = {file.path for file in Landing(settings).files(source)}
    # What landing has let go by its retention stays in raw as it is.
    staying = files_let_go(connection, source, "landing") - present
    for row in rows:
        received = received_on(row[2])
        if row[1] not in entities or not f"{since or ''}" <= received <= f"{until or '9'}":
            continue
        if row[2] in staying:
            continue
        if row[2] not in present:
            raise SluiceError(
                f"{row[2]} was loaded, and is not in the landing zone any more.",
                remedy="Put it back from a backup, or leave its day out with --from and --to.",
            )
        weight += row[4]
        count += row[3]
        is_full = weight > TRANSACTION_BYTES or (size is None and count > ROWS)
        if not found or is_full or len(found[-1]) >= (size or FILES):
            found.append([])
            weight, count = row[4], row[3]
        found[-1].append(row)
    return tuple(_portion(source, each) for each in found)


def received_on(path: str) -> str:
    """The day under which a file lies in landing, as text."""
    return path.split("/")[2] if path.count("/") > 2 else ""


def _portion(source: str, rows: Sequence[tuple[int, str, str, int, int]]) -> Portion:
    days = sorted(received_on(row[2]) for row in rows)
    return Portion(
        source,
        tuple(sorted({row[1] for row in rows})),
        rows[0][0],
        rows[-1][0],
        len(rows),
        sum(row[3] for row in rows),
        days[0],
        days[-1],
    )


def unfit(connection: Connection, contract: Contract) -> str:
    """Why a table cannot be brought to its contract with its rows in it, or nothing."""
    present = existing_columns(connection).get((contract.place, contract.entity))
    if present is None:
        return f"{contract.relation} does not exist"
    for column in contract.columns:
        held = next((present[name] for name in column.names if name in present), None)
        if held in (None, spelled(connection, column.data_type)):
            continue
        if not is_widened(held or "", column.data_type):
            return f"{column.name} holds {held}, and its contract says {column.data_type}"
    return ""


def replay_portion(
    settings: Settings,
    connection: Connection,
    portion: Portion,
    mark: Callable[[], None],
) -> tuple[int, int]:
    """Read these files anew, in one transaction with a mark. Rows, and those in quarantine.

    Files that are new since, or set aside, are left to the ordinary loads.
    """
    now, landing = wall_clock(), Landing(settings)
    contracts = read_contracts(settings)[portion.source]
    with explained(settings):
        settle(settings, connection)
        # The loads in between hold every table of the source against its contract.
        for contract in contracts.values():
            _fit(connection, contract)
        ensure_raw_tables(connection, {portion.source: contracts})
        known, aside = known_files(connection, portion.source), set_aside_files(connection)
        wanted = {
            path: each
            for path, each in known.items()
            if portion.first <= each.batch_id <= portion.last
            and each.entity in portion.entities
            and each.status == LOADED
            and path not in aside
        }
        landed = {file.path: file for file in landing.files(portion.source) if file.path in wanted}
        batches: list[Batch] = []
        with desk_before(settings, connection) as desk, transaction(connection):
            fresh = next_batch_id(connection)
            for entity in portion.entities:
                paths = [path for path in wanted if wanted[path].entity == entity]
                paths.sort(key=lambda path: wanted[path].batch_id)
                files = [
                    _inspected(inspect(landing, contracts[entity], landed[path]))
                    if path in landed
                    else _refuse(_gone(path))
                    for path in paths
                ]
                try:
                    batches += read_again(
                        desk, landing, contracts[entity], files, known, fresh, now, is_whole=False
                    )
                except Unloadable as unloadable:
                    _refuse(unloadable.refusal)
                fresh += len(files)
            forget(connection, list(wanted))
            record(connection, batches)
            mark()
            crash_point("load.rows_written")
        crash_point("load.committed")
    counts = [
        (
            entity,
            sum(each.rows for each in batches if each.entity == entity),
            sum(each.quarantined for each in batches if each.entity == entity),
        )
        for entity in portion.entities
    ]
    log_replay(settings, portion.source, counts)
    return sum(rows for _, rows, _ in counts), sum(bad for *_, bad in counts)


def finish(settings: Settings, connection: Connection, source: str, entity: str) -> None:
    """After the last portion: the table has its contract's columns and no others."""
    shed(connection, read_contracts(settings)[source][entity])


def _fit(connection: Connection, contract: Contract) -> None:
    present = existing_columns(connection).get((contract.place, contract.entity))
    if present is None:
        return
    why_not = unfit(connection, contract)
    if why_not:
        raise ContractError(
            f"{contract.name} cannot be read anew in portions: {why_not}.",
            remedy=f"`sluice replay {contract.source}` reads all of it in one go.",
        )
    for column in contract.columns:
        old = next((name for name in column.aliases if name in present), None)
        if column.name not in present and old is not None:
            rename(connection, contract, old, column.name)
            present[column.name] = present[old]
        if present.get(column.name) not in (None, spelled(connection, column.data_type)):
            widen(connection, contract, column.name, column.data_type)


def _gone(path: str) -> Refusal:
    return Refusal(path, "It is not in the landing zone any more.", "Put it back from a backup.")


def _inspected(result: Inspected | Refusal) -> Inspected:
    return result if isinstance(result, Inspected) else _refuse(result)


def _refuse(refusal: Refusal) -> Inspected:
    raise SluiceError(f"{refusal.file}: {refusal.reason}", remedy=refusal.remedy)
