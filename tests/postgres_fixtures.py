"""A PostgreSQL for the tests: one server per process that runs tests, databases at will."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from postgres_server import PostgresServer, running
from psycopg import conninfo

GIVEN = "SLUICE_TEST_POSTGRES_URL"
_databases: list[str] = []


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[PostgresServer]:
    """A server that tests start and end: they are its superuser, may kill it, need not tidy up."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """The server that the environment names, as it was afterwards; else the tests' own."""
    given = conninfo.conninfo_to_dict(os.environ.get(GIVEN, ""))
    if not given:
        yield request.getfixturevalue("own_postgres")
        return
    server = PostgresServer(
        str(given["host"]), int(given.get("port") or 5432), str(given["user"]),
        str(given["dbname"]), password=str(given.get("password") or ""),
    )  # fmt: skip
    with _left_as_it_was(server):
        yield new_database(server)


@contextmanager
def _left_as_it_was(server: PostgresServer) -> Iterator[None]:
    with psycopg.connect(server.dsn, autocommit=True) as session:
        [is_ours] = session.execute("select pg_try_advisory_lock(5101)").fetchone() or [False]
        if not is_ours:
            pytest.fail(f"Another process tests on {GIVEN}: run the tests with -n0.")
        before = _roles(session)
        try:
            yield
        finally:
            for name in _databases:
                session.execute(f"drop database if exists {name} with (force)".encode())
            for role in _roles(session) - before:
                session.execute(f'drop role "{role}"'.encode())


def _roles(session: psycopg.Connection[tuple[str]]) -> set[str]:
    return {name for (name,) in session.execute("select rolname from pg_roles").fetchall()}


def new_database(server: PostgresServer, how: str = "") -> PostgresServer:
    """An empty database of this server."""
    name = f"sluice_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"create database {name} {how}".encode())
    _databases.append(name)
    return replace(server, database=name)
