"""Set-ups that several tests share, each made once: the demo, run as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from warehouse.settings import PROJECT_ROOT, Settings, settings

# Written into sitecustomize.py of every process that the demo starts: notes each address that
# anything tries to connect to or look up.
WATCHER = """
import os, sys
def _note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0] if event.startswith("socket.get") else arguments[1]
        with open(os.environ["SLUICE_TEST_CONNECTIONS"], "a") as log:
            log.write(f"{event} {address!r}\\n")
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
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=PROJECT_ROOT,
            env=dict(self.environment),
            capture_output=True,
            text=True,
        )
        if code is not None and done.returncode != code:
            pytest.fail(
                f"sluice {' '.join(arguments)} ended with {done.returncode}, not {code}:\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    def json(self, *arguments: str) -> object:
        return json.loads(self(*arguments, "--json").stdout)


def sluice_in(folder: Path, **more: str) -> Sluice:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SLUICE_")},
        "SLUICE_DATA_DIR": str(folder / "data"),
        "SLUICE_DAGSTER_HOME": str(folder / "dagster"),
        "COLUMNS": "160",
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


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`sluice demo` on a fresh folder, watched for connections: the whole way on small data."""
    folder = tmp_path_factory.mktemp("demo")
    watcher = folder / "watcher"
    watcher.mkdir()
    (watcher / "sitecustomize.py").write_text(WATCHER)
    log = folder / "connections.log"
    sluice = sluice_in(
        folder, PYTHONPATH=f"{watcher}:{PROJECT_ROOT}", SLUICE_TEST_CONNECTIONS=str(log)
    )
    done = sluice("demo")
    noted = log.read_text().splitlines() if log.exists() else []
    return Demo(sluice_in(folder), done.stdout, tuple(noted))


@pytest.fixture(scope="session")
def books_workshop(demo: Demo) -> Iterator[BooksWorkshop]:
    """The demo's published snapshot, and the simulator's books beside it."""
    here = demo.sluice.settings
    connection = duckdb.connect(str(here.published_path.resolve()), read_only=True)
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("use published")
    yield BooksWorkshop(here, connection, here.books_dir)
    connection.close()


@pytest.fixture
def own_demo(demo: Demo, tmp_path: Path) -> Sluice:
    """A private copy of the demo, to break: landed files never change, so they are linked."""
    source = demo.sluice.folder
    shutil.copytree(source / "data" / "landing", tmp_path / "data" / "landing", copy_function=link)
    for name in ("warehouse", "published", "simulator", "books", "dbt"):
        shutil.copytree(source / "data" / name, tmp_path / "data" / name, symlinks=True)
    shutil.copytree(source / "dagster", tmp_path / "dagster", symlinks=True)
    return sluice_in(tmp_path)


def link(source: str, target: str) -> None:
    if source.endswith("_clock.json"):
        shutil.copy(source, target)
    else:
        os.link(source, target)
