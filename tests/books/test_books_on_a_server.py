"""The demo's history on PostgreSQL: the same tables, the same metrics, and the books agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import duckdb
import pytest
import test_books_finance as finance
import test_books_product as product
import warehouse_rows
from conftest import link_landing
from platform_under_test import BooksWorkshop, Demo, Sluice, sluice_in
from postgres_server import running
from pydantic import SecretStr

from catalog.catalog import load_catalog
from serving.metrics import list_metrics, query
from warehouse import production, snapshots, structure
from warehouse.settings import Settings

# Each book is held against the marts of the server, too.
for _name, _test in {**vars(finance), **vars(product)}.items():
    if _name.startswith("test_"):
        globals()[_name] = _test


@dataclass(frozen=True)
class Served:
    """The same landing zone, run on a server."""

    sluice: Sluice
    settings: Settings
    printed: str


@pytest.fixture(scope="module")
def served(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("on-a-server")
    link_landing(demo, folder)
    with running() as server:
        sluice = sluice_in(
            folder,
            SLUICE_TARGET="postgres",
            SLUICE_POSTGRES=server.url,
            # With another key the same people would have other masks.
            SLUICE_MASK_KEY_FILE=str(demo.sluice.settings.mask_key_path),
        )
        here = sluice.settings.model_copy(
            update={"target": "postgres", "postgres": SecretStr(server.url)}
        )
        yield Served(sluice, here, sluice("run").stdout)


@pytest.fixture(scope="module")
def books_workshop(served: Served, demo: Demo) -> Iterator[BooksWorkshop]:
    """What the server publishes, brought to a DuckDB as `sluice develop` brings it."""
    with closing(duckdb.connect(":memory:")) as connection:
        connection.execute("set TimeZone = 'UTC'")
        there = served.settings.model_copy(
            update={"target": "duckdb", "production": served.settings.postgres}
        )
        names = [each.name for each in load_catalog(served.settings).public()]
        shown, fetched = production.fetch(there, connection, names)
        assert shown is not None and len(fetched) == len(names)
        connection.execute("create schema published")
        for name in names:
            connection.execute(f'create view published."{name}" as from production."{name}"')
        yield BooksWorkshop(served.settings, connection, demo.sluice.settings.books_dir)


def test_every_public_table_has_the_same_rows(served: Served, demo: Demo) -> None:
    catalog = load_catalog(demo.sluice.settings)
    # What the platform says of its own runs differs from run to run.
    names = [each.name for each in catalog.public() if not each.is_about_platform]
    assert len(names) > 30
    with (
        closing(snapshots.open_published(demo.sluice.settings)) as on_duckdb,
        closing(snapshots.open_published(served.settings)) as on_postgres,
    ):
        for name in names:
            columns = structure.columns(on_postgres)["published", name]
            assert warehouse_rows.rows(on_duckdb, "published", name, columns) == (
                warehouse_rows.rows(on_postgres, "published", name, columns)
            ), name


def test_every_metric_has_the_same_values(served: Served, demo: Demo) -> None:
    for metric in list_metrics(demo.sluice.settings):
        if metric.owner == "platform":
            continue
        for by in (
            [metric.grains[0], *metric.requires],
            [metric.grains[-1], *metric.dimensions],
        ):
            ours, theirs = (
                query(here, [metric.name], by, quietly=True)
                for here in (demo.sluice.settings, served.settings)
            )
            assert ours.columns == theirs.columns
            assert _plain(ours.rows) == _plain(theirs.rows), f"{metric.name} by {by}"


def _plain(rows: object) -> list[str]:
    return sorted(repr([_rounded(value) for value in row]) for row in rows)  # type: ignore[attr-defined]


def _rounded(value: object) -> object:
    """A ratio of decimals has other digits at its end on the two engines."""
    plain = warehouse_rows.plain(value)
    try:
        return plain if isinstance(plain, bool) else f"{float(plain):.9g}"
    except (TypeError, ValueError):
        return plain
