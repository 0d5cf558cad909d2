"""A few of the rows that a failed check is about, with personal values masked.

Asked only when a check fails; a sample never decides anything, so one that cannot be had is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from catalog.catalog import Catalog, Dataset
from quality.check_file import DeclaredCheck
from quality.masking import masked_in_query, personal_columns, shown_row
from warehouse.connection import ENGINE_ERRORS, Connection

MOST_ROWS = 5
MOST_COLUMNS = 8
PLACE = ("_source_file", "_row_number")
"""Where a row of a source came from."""

Sample = tuple[Mapping[str, str | None], ...]


def rows_at_fault(
    connection: Connection,
    catalog: Catalog,
    dataset: Dataset,
    check: DeclaredCheck,
    filters: Sequence[str],
) -> Sample:
    masked = personal_columns(dataset)
    if check.type == "duplicate":
        return _fetch(connection, _duplicates(dataset, check, filters), masked)
    if "query" in check.body:
        query = f"select * from ({check.body['query']}) as tested limit {MOST_ROWS}"
        if check.type != "failed_rows":
            return ()
        return _fetch(connection, query, None, catalog, str(check.body["query"]))
    condition = _condition(check)
    if not condition:
        return ()
    own = check.body.get("filter")
    where = " and ".join(f"({each})" for each in (*filters, own, condition) if each)
    columns = ", ".join(f'"{each}"' for each in _columns(dataset, check))
    sql = f"select {columns} from {dataset.relation} where {where} limit {MOST_ROWS}"
    return _fetch(connection, sql, masked)


def _fetch(
    connection: Connection,
    sql: str,
    masked: Iterable[str] | None,
    catalog: Catalog | None = None,
    query: str = "",
) -> Sample:
    try:
        found = connection.execute(sql)
        names = [str(each[0]) for each in found.description or ()]
        rows = found.fetchall()
    except ENGINE_ERRORS:
        return ()
    if masked is None:
        assert catalog is not None
        masked = masked_in_query(catalog, query, names)
    return tuple(shown_row(dict(zip(names, row, strict=True)), masked) for row in rows)


def _columns(dataset: Dataset, check: DeclaredCheck) -> list[str]:
    """The check's own column, where the row came from, then what tells the row."""
    place = PLACE if dataset.layer == "raw" else ()
    names = [check.column, *place, *(column.name for column in dataset.columns)]
    return list(dict.fromkeys(filter(None, names)))[:MOST_COLUMNS]


def _duplicates(dataset: Dataset, check: DeclaredCheck, filters: Sequence[str]) -> str:
    keys = [f'"{each}"' for each in check.body.get("columns", [check.column])]
    own = check.body.get("filter")
    parts = [f"({each})" for each in (*filters, own) if each]
    where = f" where {' and '.join(parts)}" if parts else ""
    return (
        f"select {', '.join(keys)}, count(*) as row_count from {dataset.relation}{where}"
        f" group by {', '.join(keys)} having count(*) > 1"
        f" order by count(*) desc, {', '.join(keys)} limit {MOST_ROWS}"
    )


def _condition(check: DeclaredCheck) -> str:
    if check.type == "failed_rows":
        return str(check.body["expression"])
    if check.type == "missing":
        return _missing(check)
    if check.type == "invalid":
        wrong = " or ".join(f"({each})" for each in _invalid(check))
        return f"not ({_missing(check)}) and ({wrong})" if wrong else ""
    return ""


def _missing(check: DeclaredCheck) -> str:
    column = f'"{check.column}"'
    parts = [f"{column} is null"]
    if "missing_values" in check.body:
        parts.append(f"{column} in ({_literals(check.body['missing_values'])})")
    if "missing_format" in check.body:
        parts.append(_matches(column, check.body["missing_format"]))
    return " or ".join(parts)


def _invalid(check: DeclaredCheck) -> Iterable[str]:
    column, body = f'"{check.column}"', check.body
    length = f"length(cast({column} as varchar))"
    if "valid_values" in body:
        yield f"{column} not in ({_literals(body['valid_values'])})"
    if "invalid_values" in body:
        yield f"{column} in ({_literals(body['invalid_values'])})"
    if "valid_format" in body:
        yield f"not {_matches(column, body['valid_format'])}"
    if "invalid_format" in body:
        yield _matches(column, body["invalid_format"])
    for word, subject, sign in (
        ("valid_min", column, "<"),
        ("valid_max", column, ">"),
        ("valid_length", length, "<>"),
        ("valid_min_length", length, "<"),
        ("valid_max_length", length, ">"),
    ):
        if word in body:
            yield f"{subject} {sign} {body[word]}"
    if "valid_reference_data" in body:
        reference = body["valid_reference_data"]
        yield (
            f'{column} not in (select "{reference["column"]}"'
            f" from {reference['schema']}.{reference['table']}"
            f' where "{reference["column"]}" is not null)'
        )


def _matches(column: str, format_: Mapping[str, str]) -> str:
    """The engines name this differently; a text in which something is replaced is another one."""
    text = f"cast({column} as varchar)"
    return f"regexp_replace({text}, {_literals([format_['regex']])}, chr(1)) <> {text}"


def _literals(values: Iterable[Any]) -> str:
    return ", ".join(
        "'" + str(each).replace("'", "''") + "'" if isinstance(each, str) else str(each)
        for each in values
    )
