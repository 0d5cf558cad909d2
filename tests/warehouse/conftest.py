"""A warehouse of a test's own, of either kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from postgres_fixtures import new_database
from postgres_server import PostgresServer

from warehouse.settings import Settings


@pytest.fixture(params=["duckdb", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Two snapshots are kept, on whichever target: what holds on one holds on the other."""
    given = {"data_dir": tmp_path / "data", "keep_snapshots": 2, "keep_days": 0}
    if request.param == "duckdb":
        return Settings(**given)
    server: PostgresServer = request.getfixturevalue("postgres")
    return Settings(**given, target="postgres", postgres=new_database(server).dsn)
