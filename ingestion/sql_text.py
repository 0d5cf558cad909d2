"""Names and texts as they stand in SQL."""

from __future__ import annotations

from collections.abc import Iterable


def names(values: Iterable[str]) -> str:
    listed = ", ".join(literal(value) for value in values)
    return f"[{listed}]::varchar[]"


def literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
