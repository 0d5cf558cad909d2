"""Where a function has another body on PostgreSQL: the one place that asks which target it is.

Whoever calls `snapshots.show(settings, …)` need not know what a snapshot is made of: a file on
DuckDB, numbered rows on PostgreSQL (warehouse/snapshot_rows).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, Final, ParamSpec, TypeVar

from warehouse.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

# By function as it is called, the one that does it on PostgreSQL; their signatures are the same
# (tests/warehouse/test_targets.py).
ON_POSTGRES: Final[dict[str, str]] = {}


def on_postgres(place: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """On PostgreSQL, `place` (module:function) does what the decorated function does on DuckDB."""

    def decorate(on_duckdb: Callable[P, R]) -> Callable[P, R]:
        ON_POSTGRES[f"{on_duckdb.__module__}:{on_duckdb.__qualname__}"] = place

        @wraps(on_duckdb)
        def chosen(*arguments: P.args, **named: P.kwargs) -> R:
            given: Any = arguments[0] if arguments else named.get("settings")
            if isinstance(given, Settings) and given.target == "postgres":
                found: Callable[P, R] = implementation(place)
                return found(*arguments, **named)
            return on_duckdb(*arguments, **named)

        return chosen

    return decorate


def implementation(place: str) -> Any:
    """Imported when it is needed: on DuckDB nobody loads a driver for PostgreSQL."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
