"""Set-ups that several tests share, each made once: the demo, run as a user runs it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from platform_under_test import WATCHER, BooksWorkshop, Demo, Sluice, sluice_in
from postgres_fixtures import own_postgres, postgres

from warehouse.settings import PROJECT_ROOT, settings

__all__ = ["own_postgres", "postgres"]


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


# Files that take long begin first, those that need the demo beside one that does not.
FIRST = (
    "orchestration/test_ways_in.py",
    "macros_lib/test_touched_partitions.py",
    "books/test_books_on_a_server.py",
    "docs/test_docs.py",
    "cli/test_commands.py",
    "crash/test_crash_matrix.py",
    "dbt_project/test_same_rows_any_order.py",
    "orchestration/test_healing_in_a_run.py",
    "serving/test_metrics.py",
    "cli/test_interrupted.py",
    "cli/test_new_source.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        place = item.path.relative_to(Path(__file__).parent).as_posix()
        return FIRST.index(place) if place in FIRST else len(FIRST)

    items.sort(key=turn)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Demo:
    """`sluice demo` on a fresh folder, watched for connections: the whole way on small data.

    Made once, whichever of the processes that run the tests comes first; nobody changes it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    # Who writes tests may keep the demo from one session to the next.
    folder = Path(os.environ.get("SLUICE_TEST_DEMO") or shared / "the-demo")
    folder.mkdir(parents=True, exist_ok=True)
    printed, log = folder / "printed.txt", folder / "connections.log"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            watcher = folder / "watcher"
            watcher.mkdir()
            (watcher / "sitecustomize.py").write_text(WATCHER)
            path = f"{watcher}:{PROJECT_ROOT}"
            sluice = sluice_in(folder, PYTHONPATH=path, SLUICE_TEST_CONNECTIONS=str(log))
            printed.write_text(sluice("demo").stdout)
    noted = log.read_text().splitlines() if log.exists() else []
    return Demo(sluice_in(folder), printed.read_text(), tuple(noted))


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
    """A private copy of the demo, to break."""
    return copy_of(demo, tmp_path)


@pytest.fixture(scope="module")
def module_demo(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Sluice:
    """A copy of the demo that the tests of one module break together."""
    return copy_of(demo, tmp_path_factory.mktemp("demo"))


def copy_of(demo: Demo, folder: Path) -> Sluice:
    source = demo.sluice.folder
    link_landing(demo, folder)
    for name in ("warehouse", "published", "simulator", "books", "dbt"):
        shutil.copytree(source / "data" / name, folder / "data" / name, symlinks=True)
    shutil.copytree(source / "dagster", folder / "dagster", symlinks=True)
    return sluice_in(folder)


def link_landing(demo: Demo, folder: Path) -> None:
    """Landed files never change, so they are linked."""
    shutil.copytree(
        demo.sluice.folder / "data" / "landing",
        folder / "data" / "landing",
        copy_function=link,
    )


def link(source: str, target: str) -> None:
    if source.endswith("_clock.json"):
        shutil.copy(source, target)
    else:
        os.link(source, target)
