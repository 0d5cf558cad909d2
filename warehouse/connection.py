"""What the rooms need of a warehouse, whichever engine it is: statements in, rows out.

DuckDB's own connection has this shape already. PostgreSQL's is made to have it
(warehouse/postgres.py): `?` and `$name` stand for parameters on both. SQL that both engines
understand is written once; where they differ, `engine` says which one is asked.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import duckdb

Engine = Literal["duckdb", "postgres"]


class Rows(Protocol):
    """What a statement gave."""

    @property
    def description(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def fetchone(self) -> Any: ...


class Connection(Protocol):
    """An open warehouse. Without `begin transaction`, each statement commits by itself."""

    def execute(self, query: str, parameters: Any = ...) -> Rows: ...

    def cursor(self) -> Connection:
        """A second session on the same warehouse."""
        ...

    def close(self) -> None: ...


class EngineError(Exception):
    """What PostgreSQL says, in the family of errors that rooms catch beside duckdb.Error."""


class NoSuchTableError(EngineError):
    """A relation, or its schema, is not there."""


class NoSuchColumnError(EngineError):
    """A column is not there."""


ENGINE_ERRORS = (duckdb.Error, EngineError)
NO_SUCH_TABLE = (duckdb.CatalogException, NoSuchTableError)
NO_SUCH_COLUMN = (duckdb.BinderException, NoSuchColumnError)


def engine(connection: Connection) -> Engine:
    return "duckdb" if isinstance(connection, duckdb.DuckDBPyConnection) else "postgres"


def as_duckdb(connection: Connection) -> duckdb.DuckDBPyConnection:
    """The same connection, where what follows is for DuckDB only."""
    assert isinstance(connection, duckdb.DuckDBPyConnection)
    return connection


def named(text: str) -> str:
    """An identifier, quoted."""
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted."""
    return "'" + text.replace("'", "''") + "'"
