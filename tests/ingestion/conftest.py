"""A dock of its own for each test, on DuckDB unless the test says otherwise (both_targets.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from dock import CONTRACTS, Dock, House
from postgres_fixtures import new_database
from postgres_server import PostgresServer
from pydantic import SecretStr


@pytest.fixture(scope="session")
def dock_database(postgres: PostgresServer) -> PostgresServer:
    return new_database(postgres)


@pytest.fixture
def dock(tmp_path: Path, request: pytest.FixtureRequest) -> Dock:
    dock = Dock(House(data_dir=tmp_path / "data", landing=""))
    if getattr(request, "param", "duckdb") == "postgres":
        dock = Dock(postgres_house(tmp_path, request.getfixturevalue("dock_database")))
        dock.lose_the_workshop()
    dock.contract(CONTRACTS)
    return dock


def postgres_house(folder: Path, database: PostgresServer) -> House:
    return House(
        data_dir=folder / "data", landing="", target="postgres", postgres=SecretStr(database.url)
    )
