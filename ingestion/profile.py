"""What a table of texts holds: types that fit all of it, gaps, ranges, sets, nested values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from ingestion.contracts import Column
from ingestion.validation import misfits
from warehouse.connection import literal

# More distinct values are no set that somebody chose.
_SET_AT_MOST: Final = 12
# A set shows itself by repetition: fewer rows for each value may be chance.
_ROWS_A_VALUE: Final = 5
_NUMBER: Final = r"-?(0|[1-9]\d*)?(\.\d+)?([eE][-+]?\d+)?"
_DAY: Final = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
# What a text must look like besides being castable: `t` is no boolean, 00704 no number.
_LOOKS: Final = {
    "boolean": "(?i)true|false",
    "bigint": r"-?(0|[1-9]\d*)",
    "decimal": _NUMBER,
    "date": _DAY,
    "timestamptz": rf"{_DAY}([T ]\d{{1,2}}:\d\d.*)?",
    "json": r"(?s)\s*[\[{].*",
}
_EMAIL: Final = r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"
_PHONE: Final = r"(\+|00)[1-9][\d ()./-]{6,18}\d|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4}"
_IP: Final = r"(\d{1,3}\.){3}\d{1,3}|(?i)[0-9a-f]{1,4}(:[0-9a-f]{0,4}){3,7}"
_PATTERNS: Final = {"e-mail address": _EMAIL, "phone number": _PHONE, "IP address": _IP}


@dataclass(frozen=True)
class ColumnProfile:
    """One column as it came; `name` is the sender's."""

    name: str
    data_type: str
    rows: int
    filled: int
    distinct: int
    low: str = ""
    high: str = ""
    values: tuple[str, ...] = ()
    # What most values look like: an e-mail address, a phone number, an IP address.
    pattern: str = ""
    # A type that all but a few values have, and some of those few.
    almost: str = ""
    strangers: tuple[str, ...] = ()

    @property
    def is_full(self) -> bool:
        return self.rows > 0 and self.filled == self.rows

    @property
    def is_unique(self) -> bool:
        return self.is_full and self.distinct == self.rows


@dataclass(frozen=True)
class Profile:
    """A whole entity, or the first rows of it."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    # The narrowest combination of columns that tells all rows apart.
    key: tuple[str, ...] = ()
    repeated_rows: int = 0


def profile_column(
    connection: duckdb.DuckDBPyConnection, table: str, field: str, name: str, declared: str = ""
) -> ColumnProfile:
    """Look at one column of texts; `declared`: a type that the file itself says."""
    kinds = ["boolean", "bigint", _decimal(connection, table, field), "date", "timestamptz", "json"]
    counted = [
        f"count(*) filter ({field} is not null and not ({_fits(kind, field)}))" for kind in kinds
    ]
    matched = [f"count(*) filter ({_like(field, each)})" for each in _PATTERNS.values()]
    row: tuple[Any, ...] = connection.execute(
        f"select count(*), count({field}), count(distinct {field}), "
        f"{', '.join(counted + matched)} from {table}"
    ).fetchall()[0]
    rows, filled, distinct = row[:3]
    misfit = dict(zip(kinds, row[3 : 3 + len(kinds)], strict=True))
    seen = dict(zip(_PATTERNS, row[3 + len(kinds) :], strict=True))
    fitting = [kind for kind in kinds if filled and misfit[kind] == 0]
    kind = declared or (fitting[0] if fitting else "varchar")
    pattern = max(seen, key=lambda each: seen[each])
    nearest = min(kinds, key=lambda each: misfit[each])
    is_almost = kind == "varchar" and not declared and 0 < misfit[nearest] <= filled * 0.2
    low, high = _ends(connection, table, field, kind) if filled else ("", "")
    return ColumnProfile(
        name=name,
        data_type=kind,
        rows=rows,
        filled=filled,
        distinct=distinct,
        low=low,
        high=high,
        values=_values(connection, table, field) if _is_set(kind, filled, distinct) else (),
        pattern=pattern if kind == "varchar" and seen[pattern] > filled * 0.8 else "",
        almost=nearest if is_almost else "",
        strangers=_strangers(connection, table, field, nearest) if is_almost else (),
    )


def find_key(
    connection: duckdb.DuckDBPyConnection, table: str, fields: Sequence[str], rows: int
) -> tuple[str, ...]:
    """The first two or three of these columns that together tell all rows apart."""
    first = list(fields[:8])
    pairs = [(a, b) for n, a in enumerate(first) for b in first[n + 1 :]]
    threes = [(*pair, c) for pair in pairs for c in first[first.index(pair[1]) + 1 :]]
    for together in [*pairs, *threes]:
        columns = ", ".join(together)
        found = connection.execute(
            f"select count(*) from (select distinct {columns} from {table})"
        ).fetchall()
        if found[0][0] == rows:
            return together
    return ()


def _decimal(connection: duckdb.DuckDBPyConnection, table: str, field: str) -> str:
    """A decimal with room for the next file: more digits would be set aside, or cut."""
    scale, whole = connection.execute(
        f"""
        select coalesce(max(length(rtrim(split_part(exact, '.', 2), '0'))), 0),
            coalesce(max(length(ltrim(split_part(exact, '.', 1), '-'))), 1)
        from (select try_cast({field} as decimal(38,12))::varchar as exact from {table}
            where {_like(field, _NUMBER)})
        """
    ).fetchall()[0]
    places = next(each for each in (2, 6, 12) if scale <= min(each, 12))
    return f"decimal({18 if whole + places <= 16 else 38},{places})"


def _fits(kind: str, field: str) -> str:
    wrong = misfits(Column("it", kind), field, f"try_cast({field} as {kind})", False)
    return f"{_like(field, _LOOKS[kind.partition('(')[0]])} and not coalesce({wrong}, true)"


def _like(field: str, pattern: str) -> str:
    return f"{field} <> '' and regexp_full_match({field}, {literal(pattern)})"


def _ends(
    connection: duckdb.DuckDBPyConnection, table: str, field: str, kind: str
) -> tuple[str, str]:
    if kind in ("json", "varchar", "boolean"):
        return "", ""
    value = f"try_cast({field} as {kind})"
    low, high = connection.execute(
        f"select min({value})::varchar, max({value})::varchar from {table}"
    ).fetchall()[0]
    return str(low), str(high)


def _is_set(kind: str, filled: int, distinct: int) -> bool:
    return kind == "varchar" and 1 < distinct <= min(_SET_AT_MOST, filled // _ROWS_A_VALUE)


def _values(connection: duckdb.DuckDBPyConnection, table: str, field: str) -> tuple[str, ...]:
    found = connection.execute(
        f"select distinct {field} from {table} where {field} is not null order by 1"
    ).fetchall()
    values = tuple(str(row[0]) for row in found)
    # Braces would be a template for dbt, or a variable for a check.
    is_plain = all(0 < len(value) <= 40 and not set(value) & set("{}\n\r") for value in values)
    return values if is_plain else ()


def _strangers(
    connection: duckdb.DuckDBPyConnection, table: str, field: str, kind: str
) -> tuple[str, ...]:
    found = connection.execute(
        f"select distinct left({field}, 30) from {table} "
        f"where {field} is not null and not ({_fits(kind, field)}) order by 1 limit 3"
    ).fetchall()
    return tuple(str(row[0]) for row in found)
