"""What our own checks measure of a dataset: all of it in one scan where filters agree.

If a scan fails, each measurement is tried alone, so that one fault is not everyone's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from quality.check_file import DeclaredCheck
from quality.variables import filled
from quality.vocabulary import ARRIVAL
from warehouse.connection import ENGINE_ERRORS, Connection
from warehouse.engine_words import engine_message

QUANTILES = {"median": 0.5, "p05": 0.05, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Request:
    """One aggregate of a table's rows, in all or day by day."""

    check_id: str
    aggregate: str
    filters: tuple[str, ...] = ()
    by_day: str = ""
    # Not one number, but how many rows each value of this column has.
    shares_of: str = ""
    from_day: date | None = None
    to_day: date | None = None

    def filled(self, variables: Mapping[str, str]) -> Request:
        return replace(
            self,
            aggregate=filled(self.aggregate, variables),
            filters=tuple(filled(each, variables) for each in self.filters),
        )


@dataclass(frozen=True)
class Measured:
    """A number, or one per day with the rows of that day; or why there is none."""

    value: Any = None
    days: Mapping[date, Any] = field(default_factory=dict)
    rows: Mapping[date, int] = field(default_factory=dict)
    fault: str = ""


def aggregate(check: DeclaredCheck) -> str:
    """What a check measures, as SQL."""
    if not check.column:
        return str(check.body.get("expression", "count(*)"))
    column = f'"{check.column}"'
    match str(check.body["measure"]):
        case "missing":
            return f"100.0 * count(*) filter (where {column} is null) / nullif(count(*), 0)"
        case "distinct":
            return f"count(distinct {column})"
        case "avg":
            return f"avg({column})"
        case "shares":
            return "count(*)"
        case quantile:
            return f"percentile_cont({QUANTILES[quantile]}) within group (order by {column})"


def shares_of(check: DeclaredCheck) -> str:
    return check.column if check.body.get("measure") == "shares" else ""


def measure(
    connection: Connection, relation: str, requests: Sequence[Request]
) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    for together in _alike(requests):
        try:
            found |= _scan(connection, relation, together)
        except ENGINE_ERRORS:
            for each in together:
                try:
                    found |= _scan(connection, relation, [each])
                except ENGINE_ERRORS as error:
                    found[each.check_id] = Measured(fault=engine_message(str(error)))
    return found


def _alike(requests: Sequence[Request]) -> Iterable[list[Request]]:
    groups: dict[tuple[Any, ...], list[Request]] = {}
    for each in requests:
        groups.setdefault((each.filters, each.by_day, each.shares_of), []).append(each)
    return groups.values()


def _scan(
    connection: Connection, relation: str, requests: Sequence[Request]
) -> dict[str, Measured]:
    first = requests[0]
    conditions = [f"({each})" for each in first.filters]
    aggregates = ", ".join(f"({each.aggregate})" for each in requests)
    if not first.by_day:
        where = f" where {' and '.join(conditions)}" if conditions else ""
        row = connection.execute(f"select {aggregates} from {relation}{where}").fetchone()
        assert row is not None
        return {each.check_id: Measured(value) for each, value in zip(requests, row, strict=True)}
    start = min(each.from_day for each in requests if each.from_day is not None)
    end = max(each.to_day for each in requests if each.to_day is not None)
    column = f'"{first.by_day}"'
    conditions += [f"{column} >= date '{start}'", f"{column} < date '{end}' + 1"]
    source = f"from {relation} where {' and '.join(conditions)}"
    if first.shares_of:
        return _shares(connection, column, source, requests)
    rows = connection.execute(
        f"select cast({column} as date), count(*), {aggregates} {source} group by 1 order by 1"
    ).fetchall()
    counts = {row[0]: int(row[1]) for row in rows}
    return {
        each.check_id: Measured(
            days={row[0]: row[index + 2] for row in rows if _within(row[0], each)}, rows=counts
        )
        for index, each in enumerate(requests)
    }


def _shares(
    connection: Connection, day: str, source: str, requests: Sequence[Request]
) -> dict[str, Measured]:
    column = f"coalesce(cast(\"{requests[0].shares_of}\" as varchar), '')"
    parts: dict[date, dict[str, int]] = {}
    for on, value, count in connection.execute(
        f"select cast({day} as date), {column}, count(*) {source} group by 1, 2 order by 1, 2"
    ).fetchall():
        parts.setdefault(on, {})[value] = int(count)
    rows = {on: sum(values.values()) for on, values in parts.items()}
    return {
        each.check_id: Measured(
            days={on: values for on, values in parts.items() if _within(on, each)}, rows=rows
        )
        for each in requests
    }


def _within(day: date, request: Request) -> bool:
    after = request.from_day is None or day >= request.from_day
    return after and (request.to_day is None or day <= request.to_day)


def is_by_arrival(check: DeclaredCheck) -> bool:
    return check.body.get("by_day") == ARRIVAL
