"""What a check's SQL names: does it parse, and do its columns and tables exist?

DuckDB's own parser judges the syntax; sqlglot finds the names. What only the engine can know
is left to it: there an error leaves the check unevaluated, and the gate closed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

import duckdb
import sqlglot
from sqlglot import Dialect, TokenType, exp
from sqlglot.errors import SqlglotError

from ingestion.ledger import SCHEMA as LEDGER
from warehouse.schemas import called


def syntax_fault(sql: str, *, is_query: bool) -> str:
    """The parser's complaint, or nothing. A query is one `select` and nothing else."""
    text = _filled(sql) if is_query else f"select {_filled(sql)}"
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        return str(error).partition("\n")[0]
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        return "it must be one select" if is_query else "it must be one expression"
    return ""


def columns_of(expression: str) -> Iterator[str]:
    """Columns that an expression reads of its own dataset."""
    tree = _tree(expression, is_query=False)
    if tree is None or tree.find(exp.Lambda, exp.Subquery):
        return
    for column in tree.find_all(exp.Column):
        if not column.table and isinstance(column.this, exp.Identifier):
            yield column.name


def tables_of(query: str) -> frozenset[str]:
    """Tables that a query reads, as schema.table; its own `with` parts are none."""
    tree = _tree(query, is_query=True)
    found = tree.find_all(exp.Table) if tree is not None else ()
    return frozenset(f"{each.db}.{each.name}" for each in found if each.db)


def placed(query: str, relations: Collection[str]) -> str:
    """The query as it is asked here, where schemas may bear this environment's prefix."""
    prefix = called("")
    if not prefix:
        return query
    tokens = Dialect.get_or_raise("duckdb").tokenize(query)
    for schema, dot, table in reversed(list(zip(tokens, tokens[1:], tokens[2:], strict=False))):
        name = prefix + f"{schema.text}.{table.text}".lower()
        is_table = dot.token_type == TokenType.DOT and (
            name in relations or name.startswith(f"{LEDGER}.")
        )
        if is_table:
            query = query[: schema.start] + prefix + query[schema.start :]
    return query


def mentions(query: str) -> tuple[frozenset[str], bool] | None:
    """Every column that a query names, and whether it says `*`; None if it cannot be read."""
    tree = _tree(query, is_query=True)
    if tree is None or tree.find(exp.Columns, exp.PositionalColumn):
        return None
    # The name of a table in a column's place is its whole row.
    tables = {each.alias_or_name.lower() for each in tree.find_all(exp.Table, exp.Subquery)}
    if any(each.name.lower() in tables for each in tree.find_all(exp.Column) if not each.table):
        return None
    names = frozenset(each.name.lower() for each in tree.find_all(exp.Identifier))
    return names, tree.find(exp.Star) is not None


@lru_cache(maxsize=512)
def _tree(sql: str, *, is_query: bool) -> exp.Expr | None:
    text = _filled(sql) if is_query else f"select {_filled(sql)}"
    try:
        return sqlglot.parse_one(text, dialect="duckdb")
    except SqlglotError:
        return None


def _filled(sql: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "0", sql)
