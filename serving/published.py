"""Reading the published snapshot: read-only, shut off from files and network, locked."""

from __future__ import annotations

import re

import duckdb

from serving import answers, on_postgres
from serving.access import Reader, log_access
from serving.answers import Answer, QueryError, nearest
from serving.query_log import logged, tables_of
from warehouse.connection import Connection, EngineError, as_duckdb, engine
from warehouse.history import snapshot_at
from warehouse.settings import Settings
from warehouse.snapshot_rows.reading import tables
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


def snapshot_as_of(settings: Settings, wanted: str | None) -> str | None:
    """The kept snapshot that consumers saw then, or that bears this id; None: the current one."""
    return None if wanted is None else snapshot_at(settings, wanted)


def published_tables(connection: Connection) -> tuple[str, ...]:
    if engine(connection) == "postgres":
        return tables(connection)
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
        with logged(settings, "sql", tables_of(sql, engine(connection)), snapshot_id) as asked:
            answer = fetch(connection, _question(connection, sql), limit)
            asked.row_count = len(answer.rows)
            return answer
    except EngineError as error:
        raise on_postgres.explained(connection, error) from error
    except duckdb.Error as error:
        raise _explained(connection, error) from error
    finally:
        connection.close()


def fetch(connection: Connection, sql: str, limit: int | None = None) -> Answer:
    if engine(connection) == "postgres":
        return on_postgres.fetch(connection, sql, limit)
    cursor = as_duckdb(connection).execute(sql)
    description = cursor.description or []
    rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    is_cut = limit is not None and len(rows) > limit
    return Answer(
        columns=tuple(str(column[0]) for column in description),
        types=tuple(str(column[1]).lower() for column in description),
        rows=tuple(tuple(row) for row in (rows[:limit] if is_cut else rows)),
        is_cut=is_cut,
    )


def _question(connection: Connection, sql: str) -> str:
    if engine(connection) == "postgres":
        return on_postgres.question(connection, sql)
    _only_a_read(as_duckdb(connection), sql)
    return sql


def _only_a_read(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if not statements:
        raise answers.empty()
    if len(statements) > 1:
        raise answers.too_many(len(statements))
    kind = statements[0].type.name
    if kind not in READS:
        raise answers.no_read(kind)


def _explained(connection: Connection, error: duckdb.Error) -> QueryError:
    text = str(error)
    # DuckDB writes "Parser Error: syntax error at or near …", then the line and a caret.
    message, _, pointer = text.partition("\n\n")
    plain = re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", message).split("\n")[0]
    place = f"\n{pointer}" if pointer.startswith("LINE") else ""
    unknown = re.search(r"Table with name (\S+) does not exist", text)
    if unknown:
        return answers.unknown_table(unknown.group(1), published_tables(connection))
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
    return answers.misunderstood(plain, candidates, place)
