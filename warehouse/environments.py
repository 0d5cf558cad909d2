"""Which environments share a database, and whose a schema is.

An environment is known by its books: of what it loaded, built, published or fetched.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from warehouse import structure
from warehouse.connection import Connection
from warehouse.schemas import called

_BOOKS: Final = {
    "raw_ledger": "batches",
    "platform": "builds",
    "snapshots": "_current",
    "production": "_fetched",
}
_MADE_BY_US: Final = """
    select nspname from pg_namespace
    where nspname not like 'pg\\_%' and nspname not in ('information_schema', 'public')
        and nspowner = (select oid from pg_roles where rolname = current_user) order by nspname"""


def prefixes(connection: Connection) -> set[str]:
    """Of every environment here, what stands before its schemas; ours is one of them."""
    return {called("")} | {
        schema.removesuffix(word)
        for schema, table in structure.columns(connection)
        for word, book in _BOOKS.items()
        if schema.endswith(word) and table == book
    }


def of(schema: str, known: Collection[str]) -> str | None:
    """The prefix of its environment; the longest one decides, for ci_4_marts is none of ci_'s."""
    return max((each for each in known if schema.startswith(each)), key=len, default=None)


def schemas(connection: Connection) -> list[str]:
    """Those of this environment: the platform's role has made them."""
    known = prefixes(connection)
    rows = connection.execute(_MADE_BY_US).fetchall()
    return [str(name) for (name,) in rows if of(str(name), known) == called("")]
