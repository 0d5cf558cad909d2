"""Reading the published snapshot: read-only, shut off from files and network, locked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb

from serving.access import Reader, log_access
from serving.query_log import logged, tables_of
from warehouse.errors import SluiceError
from warehouse.history import snapshot_at
from warehouse.settings import Settings
from warehouse.snapshots import open_published

__all__ = [
    "Answer",
    "QueryError",
    "fetch",
    "nearest",
    "open_published",
    "published_tables",
    "run_sql",
    "snapshot_as_of",
]

SCHEMA = "published"
READS = frozenset({"SELECT", "EXPLAIN"})


class QueryError(SluiceError):
    """A question that the published snapshot cannot answer, and why."""


@dataclass(frozen=True)
class Answer:
    """Rows of one question; `is_cut` when the limit left some out."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_cut: bool = False

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def snapshot_as_of(settings: Settings, wanted: str | None) -> str | None:
    """The kept snapshot that consumers saw then, or that bears this id; None: the current one."""
    return None if wanted is None else snapshot_at(settings, wanted)


def published_tables(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    found = connection.execute(
        "select table_name from information_schema.tables "
        "where table_catalog = current_catalog() and table_schema = ? order by table_name",
        [SCHEMA],
    ).fetchall()
    return tuple(str(name) for (name,) in found)


def run_sql(
    settings: Settings,
    sql: str,
    limit: int | None = 1000,
    snapshot_id: str | None = None,
    reader: Reader | None = None,
) -> Answer:
    """Answer one `select` from the published snapshot, at most `limit` rows of it.

    With a reader, personal columns are shown in clear, and it is logged who read them and why: if
    that cannot be logged, nothing is read.
    """
    if reader is not None:
        snapshot_id = log_access(settings, reader, tables_of(sql), snapshot_id)
    connection = open_published(settings, snapshot_id, clear=reader is not None)
    try:
        with logged(settings, "sql", tables_of(sql), snapshot_id) as asked:
            _only_a_read(connection, sql)
            answer = fetch(connection, sql, limit)
            asked.row_count = len(answer.rows)
            return answer
    except duckdb.Error as error:
        raise _explained(connection, error) from error
    finally:
        connection.close()


def fetch(connection: duckdb.DuckDBPyConnection, sql: str, limit: int | None = None) -> Answer:
    cursor = connection.execute(sql)
    description = cursor.description or []
    rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    is_cut = limit is not None and len(rows) > limit
    return Answer(
        columns=tuple(str(column[0]) for column in description),
        types=tuple(str(column[1]).lower() for column in description),
        rows=tuple(tuple(row) for row in (rows[:limit] if is_cut else rows)),
        is_cut=is_cut,
    )


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The known names most like this one: close in spelling, or sharing a word with it."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name.lower(), names, n=count, cutoff=0.5)
    words = {word for word in re.split(r"[_.\s]+", name.lower()) if len(word) > 2}
    sharing = [each for each in names if words & set(re.split(r"[_.]+", each))]
    return tuple(dict.fromkeys([*close, *sharing]))[:count]


def _only_a_read(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if not statements:
        raise QueryError("The query is empty.", remedy='For example: sluice query "show tables".')
    if len(statements) > 1:
        raise QueryError(
            f"The query holds {len(statements)} statements; one is answered at a time.",
            remedy="Send each statement on its own.",
        )
    kind = statements[0].type.name
    if kind not in READS:
        raise QueryError(
            f"The published snapshot is only read: `{kind.lower()}` is not possible on it.",
            remedy="Ask with select, show tables, describe <table> or explain; "
            "what is published changes through models and `sluice run`.",
        )


def _explained(connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> QueryError:
    text = str(error)
    # DuckDB writes "Parser Error: syntax error at or near …", then the line and a caret.
    message, _, pointer = text.partition("\n\n")
    plain = re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", message).split("\n")[0]
    place = f"\n{pointer}" if pointer.startswith("LINE") else ""
    unknown = re.search(r"Table with name (\S+) does not exist", text)
    if unknown:
        return _unknown_table(unknown.group(1), published_tables(connection))
    if isinstance(error, duckdb.PermissionException):
        return QueryError(
            f"Files and network are out of reach of a query: {plain}",
            remedy="Only published tables can be read; `show tables` lists them.",
        )
    if isinstance(error, duckdb.ParserException):
        return QueryError(
            f"The query is not understood: {plain}.{place}",
            remedy="Correct it at the marked place (the dialect is DuckDB's).",
        )
    candidates = re.findall(r'"([^"]+)"', text.partition("Candidate ")[2].split("\n")[0])
    return QueryError(
        f"The query cannot be answered: {plain.rstrip('!.')}.{place}",
        remedy=f"Did you mean {' or '.join(candidates)}?"
        if candidates
        else "`describe <table>` shows the columns and types of a table.",
    )


def _unknown_table(name: str, known: tuple[str, ...]) -> QueryError:
    bare = name.strip('"').rpartition(".")[2]
    close = nearest(bare, known)
    return QueryError(
        f"There is no published table {bare}.",
        remedy=(f"Did you mean {' or '.join(close)}? " if close else "")
        + "`show tables` lists the published tables.",
    )
