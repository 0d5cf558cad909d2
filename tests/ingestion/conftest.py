"""A dock of its own for each test, on DuckDB unless the test says otherwise (both_targets.py)."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from both_targets import postgres_house
from dock import CONTRACTS, Dock, House
from postgres_fixtures import new_database
from postgres_server import PostgresServer


@pytest.fixture(scope="session")
def dock_database(postgres: PostgresServer) -> PostgresServer:
    """Of a language in which `a` comes before `B`, where the server has one."""
    try:
        return new_database(postgres, "template template0 locale_provider icu icu_locale 'en-US'")
    except psycopg.Error:
        return new_database(postgres)


@pytest.fixture
def dock(tmp_path: Path, request: pytest.FixtureRequest) -> Dock:
    dock = Dock(House(data_dir=tmp_path / "data", landing=""))
    if getattr(request, "param", "duckdb") == "postgres":
        dock = Dock(postgres_house(tmp_path / "data", request.getfixturevalue("dock_database")))
        dock.lose_the_workshop()
    dock.contract(CONTRACTS)
    return dock
