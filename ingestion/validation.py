"""A contract as SQL: texts become typed values, and each row gets its fault, if it has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from ingestion.contracts import Column, Contract
from ingestion.plain_json import is_odd
from ingestion.sql_text import names
from warehouse.connection import literal

PARSED: Final = "sluice_parsed"
"""The temporary table of rows that are looked at: typed, each with its fault (0: none)."""

NOT_JSON, NOT_AN_OBJECT, UNKNOWN_COLUMN = 1, 2, 3
FIELD_COUNT, OPEN_QUOTE, TOO_LONG = 4, 5, 6
NUL, ODD_EXTRA = 7, 8
_REASONS: Final = {
    NOT_JSON: "the line is not valid JSON",
    NOT_AN_OBJECT: "the line is JSON, but no object",
    UNKNOWN_COLUMN: "it brings a column that the contract does not have (on_drift: quarantine)",
    FIELD_COUNT: "it has too few or too many fields",
    OPEN_QUOTE: "a quote is not closed, or stands where none may",
    TOO_LONG: "the line is longer than the contract's max_line_bytes",
    NUL: "it holds the character U+0000, which not every database can keep",
    ODD_EXTRA: "a column that the contract does not have is no plain JSON",
}
_FIRST_COLUMN_FAULT: Final = 10
# Every database and every language has these; a year beyond is a slip of the pen.
_FIRST_DAY, _LAST_DAY = "date '0001-01-01'", "date '9999-12-31'"
_FIRST_TIME = "timestamptz '0001-01-01 00:00:00+00'"
_END_OF_TIME = "timestamptz '9999-12-31 23:59:59.999999+00'"


@dataclass(frozen=True)
class Fault:
    code: int
    column: str | None
    reason: str


def faults(contract: Contract) -> list[Fault]:
    """Everything that a row can be quarantined for."""
    found = [Fault(code, None, reason) for code, reason in _REASONS.items()]
    for number, column in enumerate(contract.columns):
        empty, wrong = _codes(number)
        found.append(Fault(empty, column.name, f"{column.name} is required and missing"))
        found.append(Fault(wrong, column.name, f"{column.name} is not a {column.data_type}"))
    return found


def faults_table(contract: Contract) -> pa.Table:
    rows = faults(contract)
    return pa.table(
        {
            "code": pa.array([row.code for row in rows], pa.int32()),
            "column_name": pa.array([row.column for row in rows], pa.string()),
            "reason": pa.array([row.reason for row in rows], pa.string()),
        }
    )


def judged(contract: Contract, texts: str, *, has_types: bool = False) -> str:
    """The query's rows, typed (c0 … cn), each with its fault: common table expressions.

    The query gives batch_id, file, row_number, content, structure (a fault found before, or 0),
    extra (JSON or null), unknown (a list of names), and t0 … tn, the columns' texts
    (`has_types`: values that have a type of their own already).
    """
    typed = ",\n".join(
        f"{_value(contract, column, f't{n}', has_types)} as c{n}"
        for n, column in enumerate(contract.columns)
    )
    return f"""
        with texts as ({texts}),
        typed as (select *, {typed} from texts),
        -- Something random is not pushed down: a filter on the fault would parse every row twice.
        judged as (
            select *, {_fault(contract, has_types)} + cast(0 * random() as integer) as fault
            from typed
        )
        """


def values(contract: Contract) -> str:
    return ", ".join(f"c{n}" for n in range(len(contract.columns)))


def parse_into_temp(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    texts: str,
    *,
    content: str = "content",
    has_types: bool = False,
) -> None:
    connection.execute(
        f"""
        create or replace temp table {PARSED} as
        {judged(contract, texts, has_types=has_types)}
        select batch_id, file, row_number, fault, unknown, extra, {values(contract)},
            case when fault > 0 then {content} end as content
        from judged
        """
    )


def from_header(contract: Contract, header: tuple[str, ...], fields: list[str]) -> str:
    """The columns' values, what is unknown, and what came under another name."""
    place = dict(zip(header, fields, strict=True))
    listed = []
    for number, column in enumerate(contract.columns):
        present = [place[name] for name in column.names if name in place]
        text = f"coalesce({', '.join(present)})" if present else "null::varchar"
        listed.append(f"{text} as t{number}")
    unknown = contract.unknown(header)
    extra = "null::json"
    if unknown:
        extra = f"json_object({', '.join(f'{literal(n)}, {place[n]}' for n in unknown)})"
    return f"{extra} as extra, {names(unknown)} as unknown, " + ", ".join(listed)


def _codes(number: int) -> tuple[int, int]:
    return _FIRST_COLUMN_FAULT + 2 * number, _FIRST_COLUMN_FAULT + 2 * number + 1


def _value(contract: Contract, column: Column, text: str, has_types: bool) -> str:
    kind = column.data_type
    if kind == "varchar":
        return f"cast({text} as varchar)" if has_types else text
    if kind == "json":
        value = f"to_json({text})" if has_types else f"try_cast({text} as json)"
        odd = is_odd(f"{value}::varchar", is_rewritten=contract.format == "jsonl")
        return f"case when {odd} then null else {value} end"
    return f"try_cast({text} as {kind})"


def _fault(contract: Contract, has_types: bool) -> str:
    cases = ["when structure > 0 then structure"]
    if has_types:
        texts = (n for n, c in enumerate(contract.columns) if c.data_type == "varchar")
        cases += [f"when contains(c{n}, chr(0)) then {NUL}" for n in texts]
    if contract.on_drift == "quarantine":
        cases.append(f"when len(unknown) > 0 then {UNKNOWN_COLUMN}")
    odd_extra = is_odd("extra::varchar", is_rewritten=contract.format == "jsonl")
    cases.append(f"when extra is not null and ({odd_extra}) then {ODD_EXTRA}")
    for n, column in enumerate(contract.columns):
        empty, wrong = _codes(n)
        if column.is_required:
            cases.append(f"when t{n} is null then {empty}")
        misfit = misfits(column, f"t{n}", f"c{n}", has_types)
        if misfit:
            cases.append(f"when {misfit} then {wrong}")
    return f"cast(case {' '.join(cases)} else 0 end as integer)"


def misfits(column: Column, text: str, value: str, has_types: bool) -> str:
    """True where a value is there and is none of this type, or only by losing something."""
    kind = column.data_type
    if kind == "varchar":
        return ""
    lost = f"{text} is not null and {value} is null"
    if kind == "json":
        return lost
    if kind in {"bigint", "integer"} or kind.startswith("decimal"):
        # A cast rounds 12.345 to 12.35 and 12.7 to 13: that would be another amount.
        exact = f"try_cast({text} as decimal(38,12))"
        return f"{text} is not null and ({value} is null or {exact} is distinct from {value})"
    if kind == "date":
        more = "" if has_types else f" or length({text}) > 10"
        return f"{lost}{more} or {value} not between {_FIRST_DAY} and {_LAST_DAY}"
    if kind == "timestamptz":
        return f"{lost} or {value} not between {_FIRST_TIME} and {_END_OF_TIME}"
    return lost
