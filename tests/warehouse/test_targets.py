"""What a function does on PostgreSQL is asked for in the same way as on DuckDB."""

from __future__ import annotations

import inspect

import pytest

from warehouse import differences, publish, published_already, retention, snapshots, switching
from warehouse.targets import ON_POSTGRES, implementation

ROOMS = (differences, publish, published_already, retention, snapshots, switching)


@pytest.mark.parametrize("name", sorted(ON_POSTGRES))
def test_both_bodies_of_a_function_take_the_same(name: str) -> None:
    assert any(name.startswith(f"{each.__name__}:") for each in ROOMS)
    on_duckdb, on_postgres = implementation(name), implementation(ON_POSTGRES[name])
    assert [*inspect.signature(on_duckdb).parameters] == [
        *inspect.signature(on_postgres).parameters
    ]
