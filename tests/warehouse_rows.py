"""What a warehouse holds, in a form that two engines can be compared by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from warehouse import structure
from warehouse.connection import Connection, named

# The number of rows, and a sum over all of them that any other row would change.
Rows = tuple[int, int]


def tables(connection: Connection, schemas: Collection[str]) -> dict[str, Rows]:
    """By schema.table; columns that begin with _ say how rows came, not what they are."""
    return {
        f"{schema}.{table}": _digest(connection, schema, table, sorted(columns))
        for (schema, table), columns in sorted(structure.columns(connection).items())
        if schema in schemas and not table.startswith("_")
    }


def rows(connection: Connection, schema: str, table: str, columns: Collection[str]) -> list[str]:
    listed = ", ".join(named(each) for each in columns if not each.startswith("_"))
    found = connection.execute(f"select {listed} from {named(schema)}.{named(table)}").fetchall()
    return sorted(repr([plain(value) for value in row]) for row in found)


def plain(value: Any) -> Any:
    """A value as both engines' drivers give it."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
        case date():
            return value.isoformat()
        case bool() | int() | None:
            return value
        case Decimal():
            return str(value)
        case float():
            # Sums of floats depend on their order in the last digits.
            return f"{value:.12g}"
        case str() if value[:1] in ("{", "["):
            return _json(value)
        case list() | dict():
            return json.dumps(value, sort_keys=True)
        case _:
            return str(value)


def _json(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text


def _digest(connection: Connection, schema: str, table: str, columns: Collection[str]) -> Rows:
    found = rows(connection, schema, table, columns)
    total = sum(
        int.from_bytes(hashlib.blake2b(row.encode(), digest_size=12).digest()) for row in found
    )
    return len(found), total
