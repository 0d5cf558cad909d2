"""Days of a large model that do not hold what was built into them, or were never built.

Models that rebuild only touched days keep a book of how many rows each day held when it was built
(macros_lib/README.md). A day that holds another number has lost rows or won some that no build
wrote; a day that was read from a source and is not in the book was never built. Building such a
day anew is always right, because a build of a day is the model's definition for that day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from catalog.catalog import TOUCHED_PARTITIONS, Catalog, Dataset
from warehouse import platform_log
from warehouse.connection import Connection
from warehouse.settings import Settings
from warehouse.structure import exists
from warehouse.versions import BOOKS
from warehouse.words import counted

LOG_KIND: Final = "heals"


@dataclass(frozen=True)
class Hole:
    """The days of one model that are not as they were built, and their rows then and now."""

    key: str
    days: tuple[date, ...]
    built_rows: int
    held_rows: int

    def __str__(self) -> str:
        first, last = self.days[0], self.days[-1]
        days = f"{first}" if first == last else f"{len(self.days)} days ({first} to {last})"
        if self.built_rows == self.held_rows == 0:
            return f"{days} had been read and never built"
        return f"{days} held {counted(self.held_rows, 'row')} where {self.built_rows:,} were built"


def ask_for_holes(
    catalog: Catalog, connection: Connection, keys: Iterable[str]
) -> tuple[Hole, ...]:
    """Find the holes of these models and have their next build fill them."""
    holes = find_holes(catalog, connection, keys)
    for hole in holes:
        name = catalog[hole.key].name
        connection.execute(
            f"""insert into {BOOKS}.backfills
                select * from (select ?::varchar, unnest(?::date[])) as days
                except select model, partition_on from {BOOKS}.backfills""",
            [name, list(hole.days)],
        )
    return holes


def find_holes(catalog: Catalog, connection: Connection, keys: Iterable[str]) -> tuple[Hole, ...]:
    models = [catalog[key] for key in keys if catalog[key].materialized == TOUCHED_PARTITIONS]
    if not models or not exists(connection, str(BOOKS), "row_counts"):
        return ()
    found = []
    for model in models:
        if exists(connection, model.schema, model.name):
            rows = connection.execute(_compared(catalog, model), [model.name] * 2).fetchall()
            if rows:
                found.append(_hole(model, rows))
    return tuple(found)


def asked_for(connection: Connection) -> frozenset[str]:
    """The models of which somebody asked for days that no build has filled yet."""
    if not exists(connection, str(BOOKS), "backfills"):
        return frozenset()
    rows = connection.execute(f"select distinct model from {BOOKS}.backfills").fetchall()
    return frozenset(model for (model,) in rows)


def log_filled(
    settings: Settings,
    catalog: Catalog,
    connection: Connection,
    asked: Sequence[Hole],
) -> tuple[Hole, ...]:
    """Of the holes that were asked for, those that the build has filled."""
    left = {hole.key for hole in find_holes(catalog, connection, [each.key for each in asked])}
    filled = tuple(hole for hole in asked if hole.key not in left)
    platform_log.append(
        settings,
        LOG_KIND,
        [
            {
                "what": "backfilled",
                "dataset": hole.key,
                "row_count": _held(connection, catalog[hole.key].name, hole.days),
                "because": str(hole),
            }
            for hole in filled
        ],
    )
    return filled


def _compared(catalog: Catalog, model: Dataset) -> str:
    """Days whose rows differ from the book, for a model whose book is kept at all."""
    partition = catalog.manifest["nodes"][model.unique_id]["config"]["partition_by"]
    return f"""
        with built as (
            select partition_on, row_count from {BOOKS}.row_counts where model = ?
        ),
        received as (
            select distinct batches.partition_on
            from {BOOKS}.batch_partitions as batches
            join {BOOKS}.progress as progress using (model, input)
            where batches.model = ? and batches.batch_id <= progress.position
        ),
        held as (
            select {partition} as partition_on, count(*) as row_count
            from {model.relation} group by 1
        )
        select partition_on, coalesce(built.row_count, 0), coalesce(held.row_count, 0)
        from built full join received using (partition_on) full join held using (partition_on)
        where built.row_count is distinct from coalesce(held.row_count, 0)
            and exists (select 1 from built)
        order by partition_on"""


def _hole(model: Dataset, rows: Sequence[tuple[date, int, int]]) -> Hole:
    days = tuple(day for day, _, _ in rows)
    return Hole(model.key, days, sum(row[1] for row in rows), sum(row[2] for row in rows))


def _held(connection: Connection, model: str, days: Sequence[date]) -> int:
    [[count]] = connection.execute(
        f"select coalesce(sum(row_count), 0)::bigint from {BOOKS}.row_counts"
        " where model = ? and partition_on in (select unnest(?::date[]))",
        [model, list(days)],
    ).fetchall()
    return int(count)
