"""A PostgreSQL of the tests' own: one server per process that runs tests, databases at will."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from postgres_server import PostgresServer, running
from psycopg import conninfo

GIVEN = "SLUICE_TEST_POSTGRES_URL"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server that the environment names, or one that is started here and ended."""
    given = conninfo.conninfo_to_dict(os.environ.get(GIVEN, ""))
    if given:
        yield PostgresServer(
            str(given["host"]), int(given.get("port") or 5432), str(given["user"]),
            str(given["dbname"]),
        )  # fmt: skip
        return
    with running() as server:
        yield server


def new_database(server: PostgresServer) -> PostgresServer:
    """An empty database of this server."""
    name = f"sluice_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return replace(server, database=name)
