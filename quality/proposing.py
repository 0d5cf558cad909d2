"""Checks that fit what a dataset holds today: each with what would have to happen to break it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from catalog.catalog import Column, Dataset
from ingestion.naming import is_id
from quality.check_file import DeclaredCheck
from quality.masking import personal_columns
from warehouse.connection import Connection, literal, named
from warehouse.words import counted

KINDS: Final = ("rows", "completeness", "values", "range", "uniqueness", "freshness")
# So many rows are looked at: enough for shares, and no day's work on a large table.
LOOKED_AT: Final = 500_000
# A handful of gaps is watched; a hundred would be noise.
WATCHED: Final = 5
# More distinct values, or fewer rows for each of them, are no set that somebody chose.
SET_AT_MOST: Final = 12
ROWS_A_VALUE: Final = 5
NUMBERS: Final = ("bigint", "integer", "decimal")
TIMES: Final = ("date", "timestamptz")
NOBODYS: Final = "no value that anybody knows"
MOVES: Final = (
    r".*(updated|modified|loaded|received|created|occurred|day|week|month|as_of)(_(at|on))?"
)


@dataclass(frozen=True)
class Seen:
    """One column of a dataset as it is today."""

    column: Column
    rows: int
    filled: int
    distinct: int = 0
    low: Any = None
    high: Any = None
    values: tuple[str, ...] = ()

    @property
    def is_unique(self) -> bool:
        return 0 < self.rows == self.filled == self.distinct


@dataclass(frozen=True)
class ProposedCheck:
    """A check, and the statement that makes a copy of the dataset break it (`$copy`)."""

    kind: str
    type: str
    spoil: str
    column: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    def is_same(self, other: DeclaredCheck) -> bool:
        named_so = "name" not in self.body or self.body["name"] == other.name
        return (self.type, self.column) == (other.type, other.column) and named_so


def look(connection: Connection, relation: str, columns: Sequence[Column]) -> tuple[Seen, ...]:
    """In one scan for all columns, and one more for each that may be a set of words."""
    # PostgreSQL before 16 asks for a name even of what is looked at.
    rows = f"(select * from {relation} as whole limit {LOOKED_AT}) as looked_at"
    asked = ["count(*)"]
    for each in columns:
        name, is_json = named(each.name), each.data_type == "json"
        asked += [f"count({name})"]
        asked += ["null"] * 3 if is_json else [
            f"count(distinct {name})",
            *(f"{word}({name})" if _is_ordered(each) else "null" for word in ("min", "max")),
        ]  # fmt: skip
    found = connection.execute(f"select {', '.join(asked)} from {rows}").fetchone()
    seen = []
    for number, each in enumerate(columns):
        filled, distinct, low, high = found[1 + 4 * number : 5 + 4 * number]
        one = Seen(each, found[0], filled, distinct or 0, low, high)
        if _may_be_set(one):
            found_here = connection.execute(f"select distinct {named(each.name)} from {rows}")
            values = tuple(
                sorted(str(row[0]) for row in found_here.fetchall() if row[0] is not None)
            )
            one = Seen(each, found[0], filled, distinct, low, high, values)
        seen.append(one)
    return tuple(seen)


def propose(
    dataset: Dataset,
    seen: Sequence[Seen],
    now: datetime,
    kinds: Iterable[str] = KINDS,
    tested: Sequence[str] = (),
) -> tuple[ProposedCheck, ...]:
    """Those of these kinds that hold today and leave room; personal values stand in none.

    `tested` is the key that dbt tests already.
    """
    personal = personal_columns(dataset)
    wanted = set(kinds)
    if not seen or not seen[0].rows:
        return (_rows(0),) if "rows" in wanted else ()
    open_ = [each for each in seen if each.column.name not in personal]
    found = [
        _rows(seen[0].rows),
        *_gaps([each for each in seen if not _is_key(each)]),
        *(check for each in open_ for check in _set(each)),
        *(check for each in open_ for check in _range(each)),
        *([] if tested else _unique(dataset, seen)),
        *_fresh(dataset, open_, now),
    ]
    return tuple(each for each in found if each.kind in wanted)


def _rows(rows: int) -> ProposedCheck:
    return ProposedCheck("rows", "row_count", "delete from $copy", why=f"{rows:,} rows")


def _gaps(seen: Sequence[Seen]) -> Iterator[ProposedCheck]:
    """Twice the gaps that were seen, and 5 % where there were none."""
    for each in seen[: WATCHED if len(seen) > WATCHED else None]:
        missing = 100 * (1 - each.filled / each.rows)
        allowed = max(5, round(2 * missing))
        if allowed < 80:
            yield ProposedCheck(
                "completeness", "missing", _set_to(each, "null"), each.column.name,
                {"threshold": {"metric": "percent", "must_be_less_than": allowed}},
                f"{missing:.1f} % missing",
            )  # fmt: skip


def _set(seen: Seen) -> Iterator[ProposedCheck]:
    # A file of checks takes ${…} for one of its variables.
    if seen.values and not any("${" in each for each in seen.values):
        yield ProposedCheck(
            "values", "invalid", _set_to(seen, literal(NOBODYS)), seen.column.name,
            {
                "valid_values": list(seen.values),
                "threshold": {
                    "metric": "percent",
                    "must_be_less_than": 5,
                    "additional": {"level": "warn", "must_be": 0},
                },
            },
            f"{len(seen.values)} values",
        )  # fmt: skip


def _range(seen: Seen) -> Iterator[ProposedCheck]:
    """From nought, where nothing was below it, to ten times what was seen."""
    if not seen.column.data_type.startswith(NUMBERS) or is_id(seen.column.name):
        return
    if seen.low is None or seen.low == seen.high:
        return
    least = 0 if seen.low >= 0 else -_room(-seen.low)
    most = _room(seen.high) if seen.high > 0 else 0
    yield ProposedCheck(
        "range", "invalid", _set_to(seen, str(least - 1)), seen.column.name,
        {"valid_min": least, "valid_max": most}, f"{seen.low} to {seen.high}",
    )  # fmt: skip


def _room(value: Any) -> int:
    return int(10 ** math.ceil(math.log10(10 * max(float(value), 0.1))))


def _unique(dataset: Dataset, seen: Sequence[Seen]) -> Iterator[ProposedCheck]:
    """Deliveries repeat themselves: that a raw row is there twice says nothing."""
    if dataset.layer == "raw":
        return
    for each in seen:
        if _is_key(each):
            yield ProposedCheck(
                "uniqueness", "duplicate", "insert into $copy select * from $copy",
                each.column.name, {}, "no value twice",
            )  # fmt: skip
            return


def _fresh(dataset: Dataset, seen: Sequence[Seen], now: datetime) -> Iterator[ProposedCheck]:
    """Twice how far it lags now, or how far its moments are apart; unless a promise says it."""
    times = [each for each in seen if each.column.data_type in TIMES and each.distinct > 1]
    moving = [each for each in times if re.fullmatch(MOVES, each.column.name)] or times
    if "service_level" in dataset.meta or not moving:
        return
    newest = max(moving, key=lambda each: _day(each.high))
    lag, apart = (now.date() - _day(newest.high)).days, _span(newest) / (newest.distinct - 1)
    if lag < 0:
        return
    name, is_day = newest.column.name, newest.column.data_type == "date"
    behind = (
        f"cast(timestamptz '${{var.AS_OF}}' as date) - max({name})"
        if is_day
        else f"extract(epoch from timestamptz '${{var.AS_OF}}' - max({name})) / 86400"
    )
    allowed = 2 + 2 * max(lag, math.ceil(apart))
    back = f"date '{date(1970, 1, 1)}'" if is_day else "timestamptz '1970-01-01 00:00:00+00'"
    yield ProposedCheck(
        "freshness", "metric", _set_to(newest, back), "",
        {
            "name": f"days since the newest {name}",
            "expression": behind,
            "threshold": {"must_be_less_than": allowed},
        },
        f"{counted(lag, 'day')} behind",
    )  # fmt: skip


def _set_to(seen: Seen, value: str) -> str:
    return f"update $copy set {named(seen.column.name)} = {value}"


def _is_key(seen: Seen) -> bool:
    return seen.is_unique and is_id(seen.column.name)


def _is_ordered(column: Column) -> bool:
    return column.data_type.startswith(NUMBERS) or column.data_type in TIMES


def _may_be_set(seen: Seen) -> bool:
    is_word = seen.column.data_type == "varchar" and not is_id(seen.column.name)
    return (
        is_word and 1 < seen.distinct <= SET_AT_MOST and seen.filled >= ROWS_A_VALUE * seen.distinct
    )


def _day(value: Any) -> date:
    return value.date() if isinstance(value, datetime) else value


def _span(seen: Seen) -> int:
    return (_day(seen.high) - _day(seen.low)).days
