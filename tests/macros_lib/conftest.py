"""The macros' own dbt project on each engine, parsed once and given an empty database per test."""

from __future__ import annotations

import pytest
from macros_project import Project, copied_project
from postgres_fixtures import new_database
from postgres_server import PostgresServer


@pytest.fixture(scope="session")
def server(postgres: PostgresServer) -> PostgresServer:
    return new_database(postgres)


@pytest.fixture(scope="session")
def projects(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Project]:
    """Parsed once per engine, in the order in which tests ask for them."""
    return {}


@pytest.fixture(params=["duckdb", "postgres"])
def project(
    request: pytest.FixtureRequest,
    projects: dict[str, Project],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    return started(request.param, request, projects, tmp_path_factory)


@pytest.fixture
def on_duckdb(
    request: pytest.FixtureRequest,
    projects: dict[str, Project],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    return started("duckdb", request, projects, tmp_path_factory)


def started(
    engine: str,
    request: pytest.FixtureRequest,
    projects: dict[str, Project],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    if engine not in projects:
        folder = tmp_path_factory.mktemp(engine) / "project"
        if engine == "duckdb":
            projects[engine] = copied_project(folder, engine, {})
        else:
            server = request.getfixturevalue("server")
            projects[engine] = copied_project(
                folder,
                engine,
                {
                    "SLUICE_MACROS_PG_HOST": server.host,
                    "SLUICE_MACROS_PG_PORT": str(server.port),
                    "SLUICE_MACROS_PG_USER": server.user,
                    "SLUICE_MACROS_PG_DATABASE": server.database,
                    "SLUICE_MACROS_PG_PASSWORD": server.password or "unused",
                },
            )
            projects[engine].dsn = server.dsn
    project = projects[engine]
    project.begin_anew()
    return project
