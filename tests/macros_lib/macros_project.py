"""The macros' own dbt project, run in a temporary folder on DuckDB and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from warehouse.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

LIBRARY = PROJECT_ROOT / "macros_lib"
AS_OF = "2026-04-01T00:00:00+00:00"

Row = tuple[Any, ...]


@dataclass
class Project:
    """The project on one engine; `begin_anew` gives it an empty database."""

    folder: Path
    engine: str
    environment: dict[str, str]
    dsn: str = ""
    manifest: Manifest | None = field(default=None, repr=False)
    databases: int = 0

    def begin_anew(self) -> None:
        if self.engine == "duckdb":
            self.databases += 1
            home = self.folder / f"database_{self.databases}"
            home.mkdir()
            self.environment["SLUICE_MACROS_DUCKDB"] = str(home / "macros.duckdb")
        else:
            for schema in ("main", "main_platform", "raw_clicks"):
                self.execute(f"drop schema if exists {schema} cascade")

    def continue_with_a_copy(self) -> None:
        """On DuckDB: another process may open the copy."""
        here = Path(self.environment["SLUICE_MACROS_DUCKDB"])
        self.execute("checkpoint")
        self.begin_anew()
        shutil.copy(here, self.environment["SLUICE_MACROS_DUCKDB"])

    def dbt(self, *arguments: str, fails: bool = False, **more: str) -> list[Any]:
        """Run a dbt command in this process on the manifest that was parsed first."""
        from dbt.cli.main import dbtRunner

        if self.manifest is None and arguments[0] not in ("deps", "parse"):
            self.dbt("parse")
        with set_in_environment({**self.environment, **more}):
            outcome = dbtRunner(manifest=self.manifest).invoke(
                [*arguments, *self.places, "--quiet", "--log-level-file", "none"]
            )
        if arguments[0] == "parse":
            self.manifest = outcome.result
        if outcome.success == fails:
            told = [f"{r.node.name}: {r.message}" for r in getattr(outcome.result, "results", [])]
            pytest.fail(f"dbt {' '.join(arguments)}: {outcome.exception}\n" + "\n".join(told))
        return list(getattr(outcome.result, "results", []))

    @property
    def places(self) -> list[str]:
        return [
            "--project-dir", str(self.folder), "--profiles-dir", str(self.folder),
            "--target", self.engine,
        ]  # fmt: skip

    def execute(self, *statements: str) -> list[Row]:
        """The rows of the last statement."""
        rows: list[Row] = []
        if self.engine == "duckdb":
            with duckdb.connect(self.environment["SLUICE_MACROS_DUCKDB"]) as connection:
                connection.execute("set TimeZone = 'UTC'")
                for statement in statements:
                    rows = connection.execute(statement).fetchall()
            return rows
        with psycopg.connect(self.dsn, autocommit=True) as server:
            for statement in statements:
                cursor = server.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def rows(self, relation: str) -> list[Row]:
        return sorted(self.execute(f"select * from {relation}"), key=repr)


@contextmanager
def set_in_environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def copied_project(folder: Path, engine: str, environment: dict[str, str]) -> Project:
    kept = shutil.ignore_patterns("target", "dbt_packages", "logs", "package-lock.yml")
    shutil.copytree(LIBRARY / "integration_tests", folder, ignore=kept)
    common = {
        "SLUICE_MACROS_LIB": str(LIBRARY),
        "SLUICE_AS_OF": AS_OF,
        "DBT_TARGET_PATH": str(folder / "target"),
        "DO_NOT_TRACK": "1",
        # How a connection to PostgreSQL gets the key of anonymise_hash; DuckDB's profile has it.
        "PGOPTIONS": "-c sluice.mask_key=a-key-that-only-tests-use",
        "SLUICE_TEST_FAIL": "",
        "SLUICE_TEST_HANG": "",
    }
    project = Project(folder, engine, {**common, **environment})
    project.dbt("deps")
    return project


def statuses(results: Sequence[Any]) -> dict[str, str]:
    return {result.node.name: str(result.status) for result in results}
