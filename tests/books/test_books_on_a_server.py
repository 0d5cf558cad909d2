"""The demo's history on PostgreSQL: the same tables, the same metrics, and the books agree."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import duckdb
import psycopg
import pytest
import test_books_finance as finance
import test_books_product as product
import warehouse_rows
from conftest import link_landing
from platform_under_test import BooksWorkshop, Demo, Sluice, sluice_in
from postgres_server import PostgresServer
from pydantic import SecretStr

from catalog.catalog import load_catalog
from serving.metrics import list_metrics, query
from warehouse import production, snapshots, structure
from warehouse.settings import PROJECT_ROOT, Settings

# Each book is held against the marts of the server, too.
for _name, _test in {**vars(finance), **vars(product)}.items():
    if _name.startswith("test_"):
        globals()[_name] = _test


GUIDE = PROJECT_ROOT / "docs" / "guides" / "postgres.md"
BLOCK = re.compile(r"^```(sql|sh)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Served:
    """The demo's landing zone on a server, brought there as the guide says."""

    sluice: Sluice
    settings: Settings
    printed: dict[str, str]


@pytest.fixture(scope="module")
def served(
    demo: Demo, own_postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Every command of the guide, in its order."""
    folder = tmp_path_factory.mktemp("on-a-server")
    link_landing(demo, folder)
    place = replace(own_postgres, user="sluice_platform", database="sluice")
    more = {
        "SLUICE_TARGET": "postgres",
        "SLUICE_POSTGRES": place.url,
    }
    sluice, printed = sluice_in(folder, **more), {}
    for kind, text in BLOCK.findall(GUIDE.read_text()):
        if kind == "sql":
            with psycopg.connect(own_postgres.dsn, autocommit=True) as administrator:
                for statement in filter(str.strip, text.split(";")):
                    administrator.execute(statement.encode())
            continue
        for command in text.splitlines():
            written = shlex.split(command)
            at = written.index("sluice")
            given = dict(each.split("=", 1) for each in written[:at])
            words = " ".join(map(shlex.quote, written[at + 1 :]))
            if "SLUICE_PRODUCTION" in given:
                # A laptop: nothing there but the way to production.
                given["SLUICE_PRODUCTION"] = replace(place, user="ann").url
                laptop = sluice_in(folder / "laptop", **given)
                printed[words] = laptop(*shlex.split(words)).stdout
            else:
                printed[words] = sluice(*shlex.split(words)).stdout
    here = sluice.settings.model_copy(
        update={"target": "postgres", "postgres": SecretStr(place.url)}
    )
    yield Served(sluice, here, printed)


def test_the_guide_goes_as_it_says(served: Served) -> None:
    assert len(served.printed) > 8
    assert "115 of 115 answered" in served.printed["run"] or "metrics:" in served.printed["run"]
    assert "0 stale" in served.printed["status"]
    shown = next(text for words, text in served.printed.items() if words.startswith("develop"))
    assert "production.fct_trials" in shown and "tests passed" in shown


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
