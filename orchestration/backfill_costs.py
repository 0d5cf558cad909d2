"""What a backfill will cost: days and rows from the workshop's books, seconds from the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import islice
from typing import Any, Final

from catalog.catalog import Catalog, Dataset
from ingestion.outcome import LOG_KIND as LOADS
from ingestion.portions import ROWS
from orchestration.run_log import MODELS
from warehouse import platform_log
from warehouse.connection import Connection
from warehouse.settings import Settings
from warehouse.structure import exists
from warehouse.versions import BOOKS

# As many in one step, however few rows they hold.
DAYS: Final = 366
# So much of the log is read: a few months of an ordinary company.
_EVENTS: Final = 20_000


@dataclass
class Costs:
    """Seconds a row of loads and builds, by their largest one; seconds of whole builds, by the
    last one.
    """

    loads: dict[str, tuple[int, float]] = field(default_factory=dict)
    models: dict[str, tuple[int, float]] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)

    def of_load(self, source: str, rows: int) -> float | None:
        return _scaled(self.loads.get(source), rows)

    def of_days(self, key: str, rows: int | None) -> float | None:
        return _scaled(self.models.get(key), rows)

    def of_builds(self, keys: Sequence[str]) -> float | None:
        return sum(self.last[key] for key in keys) if all(k in self.last for k in keys) else None


def costs(settings: Settings) -> Costs:
    found = Costs()
    for event in islice(platform_log.read_newest_first(settings, LOADS), _EVENTS):
        if event["outcome"] == "loaded":
            _keep(found.loads, event["source"], event["row_count"], event["seconds"])
    for event in islice(platform_log.read_newest_first(settings, MODELS), _EVENTS):
        if event["status"] == "success":
            found.last.setdefault(event["dataset"], event["seconds"])
            _keep(found.models, event["dataset"], event["row_count"] or 0, event["seconds"])
    return found


def _keep(into: dict[str, tuple[int, float]], name: str, rows: int, seconds: float) -> None:
    if rows > into.get(name, (0, 0.0))[0]:
        into[name] = (rows, seconds)


def _scaled(largest: tuple[int, float] | None, rows: int | None) -> float | None:
    if largest is None or rows is None:
        return None
    return round(largest[1] / largest[0] * rows, 1)


def rows_by_day(connection: Connection, model: Dataset) -> dict[date, int]:
    """Of every day that was ever built, how many rows it held then."""
    if not exists(connection, str(BOOKS), "row_counts"):
        return {}
    rows = connection.execute(
        f"select partition_on, row_count from {BOOKS}.row_counts where model = ?", [model.name]
    ).fetchall()
    return {day: int(count) for day, count in rows}


def days_to_be(
    catalog: Catalog,
    connection: Connection,
    model: Dataset,
    known: Mapping[str, frozenset[date]],
) -> frozenset[date]:
    """The days that a whole rebuild of it writes. `known` are those of models rebuilt before it."""
    found: set[date] = set(rows_by_day(connection, model))
    for each in catalog.node(model)["config"]["touched_by"]:
        before, after = int(each.get("reach_before", 0)), int(each.get("reach_after", 0))
        for day in _days_of_input(catalog, connection, each, known):
            found.update(day + timedelta(days=n) for n in range(-before, after + 1))
    return frozenset(found)


def _days_of_input(
    catalog: Catalog,
    connection: Connection,
    declared: Mapping[str, Any],
    known: Mapping[str, frozenset[date]],
) -> frozenset[date]:
    if "model" in declared:
        name = str(declared["model"])
        if name in known:
            return known[name]
        sql, values = f"select distinct partition_on from {BOOKS}.touches where model = ?", [name]
        if not exists(connection, str(BOOKS), "touches"):
            return frozenset()
    elif "source" in declared:
        source, table = declared["source"]
        relation = catalog[f"raw.{source}.{table}"].relation
        sql, values = f"select distinct {declared['partition']} from {relation}", []
    else:
        return frozenset()
    rows = connection.execute(sql, values).fetchall()
    return frozenset(day for (day,) in rows if day is not None)


def portioned(
    days: Iterable[date], rows: Mapping[date, int], size: int | None
) -> Iterator[tuple[Sequence[date], int]]:
    """So many days at a time, or as many as hold a bearable number of rows; and their rows."""
    some: list[date] = []
    count = 0
    for day in sorted(days):
        is_full = len(some) >= (size or DAYS) or (size is None and count + rows.get(day, 0) > ROWS)
        if some and is_full:
            yield some, count
            some, count = [], 0
        some.append(day)
        count += rows.get(day, 0)
    if some:
        yield some, count
