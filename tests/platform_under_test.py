"""The platform as the tests use it: the `sluice` command in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import pytest
from warm import Warm

from warehouse.settings import PROJECT_ROOT, Settings

# The first line of a script that is given with -c and whose words are read: DuckDB takes a program
# without a file for a person at a prompt, and draws a bar when a query takes two seconds.
NO_PROMPT = "__file__ = 'a script'\n"
# Written into sitecustomize.py of every process that the demo starts: notes that it watches, and
# each address that anything tries to connect to or look up.
WATCHED = "watched"
WATCHER = f"""
import os, sys
with open(os.environ["SLUICE_TEST_CONNECTIONS"], "a") as log:
    log.write(f"{WATCHED} {{os.getpid()}}\\n")
def _note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0] if event.startswith("socket.get") else arguments[1]
        with open(os.environ["SLUICE_TEST_CONNECTIONS"], "a") as log:
            log.write(f"{{event}} {{address!r}}\\n")
sys.addaudithook(_note)
"""


@dataclass(frozen=True)
class Sluice:
    """A place of its own for the `sluice` command: data, Dagster's home, environment."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.folder / "data", dagster_home=self.folder / "dagster")

    def __call__(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        # What is watched from its first line on is started as users start it.
        start = cold if "PYTHONPATH" in self.environment else warm()
        done = start(arguments, self.environment)
        if code is not None and done.returncode != code:
            pytest.fail(
                f"sluice {' '.join(arguments)} ended with {done.returncode}, not {code}:\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    def json(self, *arguments: str) -> object:
        return json.loads(self(*arguments, "--json").stdout)


def cold(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=PROJECT_ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
    )


@cache
def warm() -> Warm:
    """One for all commands of this test process; it ends with it."""
    return Warm()


def sluice_in(folder: Path, **more: str) -> Sluice:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SLUICE_")},
        "SLUICE_DATA_DIR": str(folder / "data"),
        "SLUICE_DAGSTER_HOME": str(folder / "dagster"),
        "COLUMNS": "160",
        # Two companies with the same data have the same hashes.
        "SLUICE_MASK_KEY": "a-key-that-only-tests-use",
        **more,
    }
    return Sluice(folder, environment)


@dataclass(frozen=True)
class Demo:
    sluice: Sluice
    output: str
    connections: tuple[str, ...]


@dataclass(frozen=True)
class BooksWorkshop:
    settings: Settings
    connection: duckdb.DuckDBPyConnection
    books: Path
