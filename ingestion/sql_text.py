"""Lists of texts as they stand in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Iterable

from warehouse.connection import literal


def names(values: Iterable[str]) -> str:
    listed = ", ".join(literal(value) for value in values)
    return f"[{listed}]::varchar[]"
