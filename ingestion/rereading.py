"""Landed files that were loaded before, read anew under today's contract.

The rows of a file that come out as they were keep their batch, so that nothing downstream moves;
those of one that changed become a new batch, and the days that they lay in before count as
touched, too: models take in both what has come and what has gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Final

import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.desk import Desk
from ingestion.inspection import Inspected, Numbered
from ingestion.landing import Landing
from ingestion.ledger import SCHEMA, WITHDRAWN, Batch, Known, registered
from ingestion.load import batch_of, load_files
from ingestion.raw import existing_columns
from ingestion.retention.staying import empty_but
from ingestion.withdrawal import touch_again
from warehouse.connection import Connection, Engine, engine, literal

_ROW_HASH: Final[Mapping[Engine, str]] = {
    "duckdb": "hash({})::hugeint",
    "postgres": "hashtextextended(row({})::text, 0)::numeric",
}


def read_again(
    desk: Desk,
    landing: Landing,
    contract: Contract,
    files: Sequence[Inspected],
    known: Mapping[str, Known],
    fresh: int,
    now: datetime,
    *,
    is_whole: bool,
    staying: Set[str] = frozenset(),
) -> list[Batch]:
    """All files of an entity, or some of them in the place of their rows.

    Rows of files that landing has let go (`staying`) are all that a whole table keeps.

    The caller holds the transaction, and writes the ledger.
    """
    connection = desk.target
    paths = [file.file.path for file in files]
    if is_whole:
        before = _fingerprints(connection, contract, "true", [])
        of_entity = f"entity = {literal(contract.entity)}"
        forget_all_but(connection, "quarantine", contract.source, staying, of_entity)
        empty_but(connection, contract, staying)
    else:
        of_files = f"""_batch_id in (
            select batch_id from {SCHEMA}.batches where file in (select unnest(?::varchar[]))
        )"""
        before = _fingerprints(connection, contract, of_files, [paths])
        connection.execute(
            f"delete from {SCHEMA}.quarantine where file in (select unnest(?::varchar[]))", [paths]
        )
        connection.execute(f"delete from {contract.relation} where {of_files}", [paths])
    # Every file starts under a new number; those that came out the same get their own back.
    numbered = [Numbered(fresh + n, file) for n, file in enumerate(files)]
    taken = load_files(desk, landing, contract, numbered, now)
    after = _fingerprints(connection, contract, f"_batch_id >= {fresh}", [])
    kept = {
        file.batch_id: known[file.path]
        for file in numbered
        if file.path in known and before.get(file.path, ()) == after.get(file.path, ())
    }
    _give_back(connection, contract, kept)
    moved = {file.path: file.batch_id for file in numbered if file.batch_id not in kept}
    touch_again(connection, contract, moved)
    batches = []
    for file in numbered:
        batch, earlier = batch_of(file, taken, now), kept.get(file.batch_id)
        batches.append(as_before(batch, earlier) if earlier else batch)
    return batches


def forget(connection: Connection, paths: Sequence[str]) -> None:
    """Out of the ledger what is written into it anew."""
    connection.execute(
        f"""delete from {SCHEMA}.batches
            where file in (select unnest(?::varchar[])) and status <> '{WITHDRAWN}'""",
        [list(paths)],
    )


def forget_all_but(
    connection: Connection, table: str, source: str, staying: Set[str], which: str
) -> None:
    """The ledger's lines of what is loaded anew."""
    files = pa.table({"file": pa.array(sorted(staying), pa.string())})
    with registered(connection, "sluice_staying_files", files):
        connection.execute(
            f"""delete from {SCHEMA}.{table} where source = ? and {which}
                and file not in (select file from sluice_staying_files)""",
            [source],
        )


def as_before(batch: Batch, earlier: Known) -> Batch:
    return replace(batch, batch_id=earlier.batch_id, loaded_at=earlier.loaded_at)


def _fingerprints(
    connection: Connection, contract: Contract, which: str, values: Sequence[object]
) -> dict[str, tuple[object, ...]]:
    """What each file brought, whatever the batch; a change of a column changes everything."""
    present = existing_columns(connection).get((contract.place, contract.entity))
    if present is None:
        return {}
    columns = {n: t for n, t in present.items() if n not in {"_batch_id", "_loaded_at"}}
    listed = ", ".join(f'"{name}"' for name in columns)
    rows = connection.execute(
        f"""select _source_file, count(*), sum({_ROW_HASH[engine(connection)].format(listed)})
            from {contract.relation} where {which} group by _source_file""",
        values,
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
