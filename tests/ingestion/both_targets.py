"""The same tests on DuckDB and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from dock import House
from postgres_server import PostgresServer
from pydantic import SecretStr

# A test with this mark is run with its `dock` on either target.
BOTH = pytest.mark.parametrize("dock", ["duckdb", "postgres"], indirect=True)


def postgres_house(data_dir: Path, database: PostgresServer, landing: str = "") -> House:
    return House(
        data_dir=data_dir, landing=landing, target="postgres", postgres=SecretStr(database.url)
    )
