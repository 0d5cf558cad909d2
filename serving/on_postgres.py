"""Questions in SQL to what is published on PostgreSQL: which are asked, and what went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from sqlglot import Dialect, Token, TokenType
from sqlglot.errors import SqlglotError

from serving import answers
from serving.answers import Answer, QueryError
from warehouse.connection import Connection, literal
from warehouse.postgres import sqlstate
from warehouse.snapshot_rows.books import VIEWS
from warehouse.snapshot_rows.reading import PublishedSession, tables

READS: Final = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "("})
_SHOW_TABLES: Final = re.compile(r"\s*show\s+tables\s*;?\s*", re.I)
_DESCRIBE: Final = re.compile(r"\s*describe\s+(?:published\.)?\"?(\w+)\"?\s*;?\s*", re.I)


def question(connection: Connection, sql: str) -> str:
    """The one statement that is asked, or why it is not.

    What the session's role may do is decided by the server; this tells a person sooner, and in
    words. `show tables` and `describe` are DuckDB's, and are understood here, too.
    """
    if _SHOW_TABLES.fullmatch(sql):
        names = ", ".join(f"({literal(name)})" for name in tables(connection))
        return f"select name from (values {names}) as shown(name)"
    described = _DESCRIBE.fullmatch(sql)
    if described:
        return _describe(connection, described[1])
    try:
        tokens = Dialect.get_or_raise("postgres").tokenize(sql)
    except SqlglotError:
        return sql
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        raise answers.empty()
    ends = sum(each.token_type == TokenType.SEMICOLON for each in tokens)
    if ends:
        raise answers.too_many(ends + 1)
    if tokens[0].text.upper() not in READS:
        raise answers.no_read(tokens[0].text)
    _only_what_is_published(connection, tokens)
    return sql[: tokens[-1].end + 1]


def _describe(connection: Connection, table: str) -> str:
    if table not in tables(connection):
        raise answers.unknown_table(table, tables(connection))
    return (
        "select attname as column_name, format_type(atttypid, atttypmod) as column_type"
        f" from pg_attribute where attrelid = {literal(table)}::regclass and attnum > 0"
        " order by attnum"
    )


def _only_what_is_published(connection: Connection, tokens: list[Token]) -> None:
    others = {
        str(name)
        for (name,) in connection.execute(
            "select nspname from pg_namespace where nspname not in"
            f" ('{VIEWS.word}', '{VIEWS}', 'pg_catalog', 'information_schema')"
        ).fetchall()
    }
    for token, after, table in zip(tokens, tokens[1:], [*tokens[2:], tokens[-1]], strict=False):
        if after.token_type == TokenType.DOT and token.text in others:
            raise answers.not_published(token.text, table.text, tables(connection))


def explained(connection: Connection, error: Exception) -> QueryError:
    """The server's complaint, with what it would have you look at."""
    state, text = sqlstate(error), str(error)
    said: Any = getattr(error.__cause__, "diag", None)
    hint = getattr(said, "message_hint", None) or ""
    if state == "42P01":
        name = re.search(r'relation "([^"]+)" does not exist', text)
        return answers.unknown_table(name[1] if name else text, tables(connection))
    if state == "57014":
        return QueryError(
            "The query took too long and was ended.",
            remedy="Ask for less, or raise SLUICE_QUERY_SECONDS.",
            exit_code=1,
        )
    if state == "25006":
        return answers.no_read(text.partition("execute ")[2].partition(" in ")[0] or "writing")
    if state == "42501":
        return QueryError(
            f"The role of this session may not read that: {text}",
            remedy="Only published tables can be read; `show tables` lists them.",
        )
    if state == "42601":
        return QueryError(
            f"The query is not understood: {text}.",
            remedy="Correct it (the dialect is PostgreSQL's).",
        )
    return answers.misunderstood(text, re.findall(r'"([^"]+)"', hint))


def fetch(connection: Connection, sql: str, limit: int | None) -> Answer:
    """All rows, or at most `limit` without bringing the others here."""
    assert isinstance(connection, PublishedSession)
    if limit is None or sql.lstrip().lower().startswith("explain"):
        cursor = connection.execute(sql)
        description, rows = cursor.description or [], cursor.fetchall()
    else:
        description, rows = connection.first(sql, limit + 1)
    known = connection.raw.adapters.types
    types = [known.get(column.type_code) for column in description]
    return Answer(
        columns=tuple(column.name for column in description),
        types=tuple(each.regtype if each is not None else "unknown" for each in types),
        rows=tuple(_as_on_duckdb(row) for row in rows[:limit]),
        is_cut=limit is not None and len(rows) > limit,
    )


def _as_on_duckdb(row: Iterable[Any]) -> tuple[Any, ...]:
    """PostgreSQL sums up whole numbers to a `numeric`, which is still a whole number."""
    return tuple(
        int(value) if isinstance(value, Decimal) and value.as_tuple().exponent == 0 else value
        for value in row
    )
