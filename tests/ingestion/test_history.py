"""A simulated history is loaded as its books say, down to the last bad row."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from ingestion.load import LoadResult, load_all
from ingestion.simulator import simulate
from ingestion.simulator.defects import QUARANTINED
from warehouse.platform_log import PLATFORM
from warehouse.settings import Settings
from warehouse.workshop import connect

# Past the day on which `company` is renamed and the days on which files are cut.
DAYS = 250


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(data_dir=tmp_path_factory.mktemp("loaded"), landing="")
    simulate.run(settings, days=DAYS)
    return settings


@pytest.fixture(scope="module")
def results(history: Settings) -> list[LoadResult]:
    with closing(connect(history)) as connection:
        return load_all(history, connection)


def counts(settings: Settings, sql: str) -> dict[tuple[str, ...], int]:
    with closing(connect(settings)) as connection:
        return {tuple(row[:-1]): row[-1] for row in connection.execute(sql).fetchall()}


def defects(settings: Settings, kinds: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""select file, sum(row_count)::bigint from '{settings.books_dir}/defects.parquet'
                where kind in ({listed}) group by file"""
        ).fetchall()
    return {(file,): count for file, count in rows}


def test_the_bad_rows_and_only_they_are_quarantined(
    history: Settings, results: list[LoadResult]
) -> None:
    quarantined = counts(history, "select file, count(*) from raw_ledger.quarantine group by file")
    assert quarantined == defects(history, QUARANTINED)
    assert sum(quarantined.values()) == sum(result.quarantined for result in results) > 0
    assert all(result.refused == () for result in results)


def test_every_landed_line_is_in_raw_or_in_quarantine(
    history: Settings, results: list[LoadResult]
) -> None:
    loaded = counts(
        history,
        "select file, row_count + quarantined_count from raw_ledger.batches"
        f" where source <> '{PLATFORM}'",
    )
    landing = Path(history.landing_url)
    landed = {
        (str(path.relative_to(landing)),): len(path.read_text("utf-8").splitlines())
        - (path.suffix == ".csv")
        for path in landing.glob("*/*/*/*")
        if not path.is_relative_to(landing / PLATFORM)
    }
    assert loaded == landed


def test_drift_is_reported_for_the_files_that_brought_it(
    history: Settings, results: list[LoadResult]
) -> None:
    drift = counts(history, "select file, 1 from raw_ledger.batches where drift is not null")
    renamed = defects(history, ("renamed_column",))
    added = defects(history, ("added_column",))
    assert set(renamed) <= set(drift)
    # A line that is none, or is cut, may take its file's only new column with it.
    assert set(drift) - set(renamed) <= set(added)
    assert len(set(drift) - set(renamed)) > 0.99 * len(added)
    columns = {e: set(load.drift) for r in results for e, load in r.entities.items() if load.drift}
    assert columns == {
        "events": {"experiment"}, "invoices": {"purchase_order"}, "leads": {"company_name"},
    }  # fmt: skip


def test_a_second_load_finds_nothing(history: Settings, results: list[LoadResult]) -> None:
    with closing(connect(history)) as connection:
        # What the platform said of the first load is news, and nothing else.
        assert [each.source for each in load_all(history, connection) if each.files] == [PLATFORM]
